"""Chains of operators that ONNX Runtime's optimizer writes as one (domain com.microsoft)."""
import math

import numpy as np

from ..graph import require, result
from ..sizes import Dim, derive, elements
from . import op
from .attention import sequence
from .elementwise import attribute
from .norm import BIAS, SCALE, norm_operand, normal_bound
from .products import product_bound, weights
from .window import image, window

DOMAIN = "com.microsoft"
TYPES = ("f32",) * 6 + ("f16",)


def fused(name, weight=0.5, since=7):
    return op(f"{DOMAIN}.{name}", weight, since)


def gelu(name, biased, alphas=()):
    def make(g):
        x = g.pick(TYPES, rank=(1, 5))
        bias = weights(g, x.dtype, x.dims[-1:], **BIAS) if biased == "always" or biased and g.chance(0.5) else None
        more = {"alpha": g.pick_one(alphas)} if alphas else {}
        return g.node(name, [x, bias], [result(x.dtype, x.dims, -1, max(x.high, 0) + 1)], domain=DOMAIN, **more)
    fused(name, 0.3)(make)


gelu("Gelu", False)
gelu("BiasGelu", "always")
gelu("FastGelu", True)
gelu("QuickGelu", False, (None, 1.702, 1.0, 0.5))


def activation(g):
    """Attributes of an activation and its parameters, by the standard's names."""
    kind, parameters = g.pick_one([("", {}), ("Relu", {}), ("Relu", {}), ("Tanh", {}), ("Sigmoid", {}), ("LeakyRelu", {"alpha": 0.25}),
                                   ("HardSigmoid", {"alpha": 0.25, "beta": 0.5}), ("Clip", {"min": -0.5, "max": 2.0})])
    return kind or None, parameters


@fused("FusedConv", 0.7)
def fused_conv(g):
    x = image(g)
    require(x.dtype == "f32" and x.dims[1].fixed)
    channels, outputs = x.dims[1].fixed, Dim.of(g.pick_one([1, 4, 8, 16, 17]))
    kernel, more, spatial = window(g, x.dims[2:])
    dims = (x.dims[0], outputs) + tuple(spatial)
    inner = channels * math.prod(kernel)
    require(elements(dims) * inner <= g.work)
    w = weights(g, x.dtype, [outputs, x.dims[1]] + [Dim.of(k) for k in kernel], low=-1, high=1, grid=None)
    bias = weights(g, x.dtype, [outputs]) if g.chance(0.6) else None
    added = g.source(x.dtype, dims, -2, 2) if g.chance(0.3) else None
    kind, parameters = activation(g)
    if parameters:
        more["activation_params"] = list(parameters.values())
    most = product_bound(x, w, inner) + 3
    return g.node("FusedConv", [x, w, bias, added], [result(x.dtype, dims, -most, most)], domain=DOMAIN, activation=kind or "Relu", **more)


@fused("FusedGemm")
def fused_gemm(g):
    x = g.pick(("f32",), rank=2)
    transpose_a, transpose_b = attribute(g, 0, 1), attribute(g, 0, 1)
    rows, inner = x.dims[::-1] if transpose_a else x.dims
    columns = g.new_dim()
    require(rows.most * columns.most * inner.most <= g.work)
    y = weights(g, x.dtype, (columns, inner) if transpose_b else (inner, columns))
    bias = weights(g, x.dtype, g.pick_one([(columns,), (rows, columns), (Dim.of(1), columns)]))
    kind, parameters = activation(g)
    require(kind != "Clip")
    more = {f"activation_{k}": v for k, v in parameters.items()}
    most = 2 * product_bound(x, y, inner.most) + 2 * bias.most
    return g.node("FusedGemm", [x, y, bias], [result(x.dtype, (rows, columns), -most, most)], domain=DOMAIN, activation=kind or "Relu",
                  transA=transpose_a, transB=transpose_b, alpha=attribute(g, 1.0, 0.5, -1.0), beta=attribute(g, 1.0, 0.5), **more)


@fused("FusedMatMul", 1)
def fused_matmul(g):
    x = g.pick(("f32",) * 5 + ("f64",), rank=(2, 4))
    more = {"transA": attribute(g, 0, 1), "transB": attribute(g, 0, 1), "alpha": attribute(g, 1.0, 0.5, 0.125)}
    batch, (rows, inner) = x.dims[:-2], x.dims[-2:][::-1] if more["transA"] else x.dims[-2:]
    if x.rank > 2 and g.chance(0.2):  # the first dim is the row dim, and the batch dims follow
        more["transBatchA"] = 1
        batch, (rows, inner) = x.dims[1:-1], (x.dims[-1], x.dims[0]) if more["transA"] else (x.dims[0], x.dims[-1])
    columns = g.new_dim()
    matrix = (columns, inner) if more["transB"] else (inner, columns)
    shape = (() if g.chance(0.5) and "transBatchA" not in more else batch) + matrix
    if "transBatchA" in more:  # ONNX Runtime wants equal batch dims then
        more["transBatchB"] = 1
        shape = matrix[:1] + batch + matrix[1:]
    dims = batch + (rows, columns)
    require(elements(dims) * inner.most <= g.work)
    y = weights(g, x.dtype, shape)
    most = product_bound(x, y, inner.most)
    return g.node("FusedMatMul", [x, y], [result(x.dtype, dims, -most, most)], domain=DOMAIN, **more)


def skip_norm(name, rms):
    def make(g):
        x = norm_operand(g, (2, 3))
        require(x.dtype == "f32")
        skip = g.same(x) if g.chance(0.8) else g.source(x.dtype, x.dims[1:] if x.rank == 3 else x.dims, -2, 2)
        operands = [x, skip] + [weights(g, x.dtype, x.dims[-1:], **b) for b in ((SCALE,) if rms else (SCALE, BIAS))]
        added = x.most + skip.most
        if g.chance(0.5):
            operands.append(weights(g, x.dtype, x.dims[-1:], **BIAS))
            added += 1
        outputs = [result(x.dtype, x.dims, -normal_bound(x.dims[-1:]), normal_bound(x.dims[-1:]))]
        if g.chance(0.5):
            outputs += [None, None, result(x.dtype, x.dims, -added, added)]
        return g.node(name, operands, outputs, domain=DOMAIN, epsilon=g.pick_one([1e-5, 1e-3]))
    fused(name, 0.8)(make)


skip_norm("SkipLayerNormalization", False)
skip_norm("SkipSimplifiedLayerNormalization", True)


@op("SimplifiedLayerNormalization", 0.5)
def simplified_layer_norm(g):
    x = norm_operand(g, (1, 4))
    require(x.dtype == "f32")
    most = normal_bound(x.dims[-1:])
    return g.node("SimplifiedLayerNormalization", [x, weights(g, x.dtype, x.dims[-1:], **SCALE)], [result(x.dtype, x.dims, -most, most)],
                  epsilon=g.pick_one([None, 1e-3]))


@fused("EmbedLayerNormalization")
def embed_layer_norm(g):
    batch, length, width = sequence(g), sequence(g), Dim.of(g.pick_one([4, 8, 5]))
    words, places, segments = Dim.of(g.pick_one([3, 20])), Dim.of(40), Dim.of(2)
    ids = g.source("i32", (batch, length), 0, words.fixed - 1, 1)
    segment_ids = g.source("i32", (batch, length), 0, 1, 1) if g.chance(0.7) else None
    tables = [weights(g, "f32", (rows, width), low=-1, high=1, grid=None) for rows in (words, places)]
    tables.append(weights(g, "f32", (segments, width), low=-1, high=1, grid=None) if segment_ids else None)
    mask = g.source("i32", (batch, length), 0, 1, 1) if g.chance(0.5) else None
    position_ids = g.source("i32", (batch, length), 0, places.fixed - 1, 1) if g.chance(0.3) else None
    operands = [ids, segment_ids] + tables + [weights(g, "f32", (width,), **SCALE), weights(g, "f32", (width,), **BIAS), mask, position_ids]
    dims, most = (batch, length, width), normal_bound([width])
    outputs = [result("f32", dims, -most, most), result("i32", (batch,), 0, 40, 1), result("f32", dims, -3, 3)]
    return g.node("EmbedLayerNormalization", operands, outputs[:g.pick_one([2, 2, 3])], domain=DOMAIN, epsilon=1e-5)


def integer_mask(g, batch, length, total):
    """A mask of integers: lengths, what counts of each position, or of each for each query; and what is added to the scores of others. That is
    little where it may be all of a row, whose scores would drown in it."""
    shape = g.pick_one([(batch,), (batch, total), (batch, length, total)])
    if len(shape) == 1:
        return g.source("i32", shape, 1, total.least, 1), None
    return g.source("i32", shape, 0, 1, 1), -8.0


@fused("Attention", 1)
def attention(g):
    batch, length = sequence(g), sequence(g)
    inputs, heads, width = Dim.of(g.pick_one([4, 8, 12])), g.pick_one([1, 2, 3]), g.pick_one([2, 4, 8])
    require(batch.most * heads * length.most * length.most <= 20000)
    hidden = heads * width
    x = g.source("f32", (batch, length, inputs), -1, 1, constant=False)
    w = weights(g, "f32", (inputs, Dim.of(3 * hidden)), low=-1, high=1, grid=None)
    bias = weights(g, "f32", (Dim.of(3 * hidden),), **BIAS)
    more = {"num_heads": heads, "unidirectional": attribute(g, 0, 1), "scale": g.pick_one([None, 0.25])}
    past, total, mask = None, length, None
    if g.chance(0.3):
        before = sequence(g)
        past = g.source("f32", (Dim.of(2), batch, Dim.of(heads), before, Dim.of(width)), -2, 2)
        total = derive(lambda a, b: a + b, before, length)
    elif g.chance(0.5):
        mask, more["mask_filter_value"] = integer_mask(g, batch, length, total)
    added = g.source("f32", (batch if g.chance(0.5) else Dim.of(1), Dim.of(heads), length, total), -2, 2) if g.chance(0.3) else None
    outputs = [result("f32", (batch, length, Dim.of(hidden)), -9, 9)]
    if past is not None or g.chance(0.2):
        outputs.append(result("f32", (Dim.of(2), batch, Dim.of(heads), total, Dim.of(width)), -9, 9))
    return g.node("Attention", [x, w, bias, mask, past, added], outputs, domain=DOMAIN, **more)


@fused("MultiHeadAttention", 1)
def multi_head_attention(g):
    batch, length = sequence(g), sequence(g)
    keys = length if g.chance(0.5) else sequence(g)
    heads, width, value_width = g.pick_one([1, 2, 3]), g.pick_one([2, 4, 8]), g.pick_one([4, 8, 3])
    require(batch.most * heads * length.most * keys.most <= 20000)

    def flat(size, width):
        return (batch, size, Dim.of(heads * width))
    q, k, v = (g.source("f32", flat(size, w), -2, 2, constant=False) for size, w in ((length, width), (keys, width), (keys, value_width)))
    more = {"num_heads": heads, "scale": g.pick_one([None, 0.25]), "unidirectional": 1 if keys is length and g.chance(0.3) else None}
    bias = weights(g, "f32", (Dim.of(heads * (2 * width + value_width)),), **BIAS) if g.chance(0.4) else None
    total, past, outputs, mask = keys, [None, None], [result("f32", flat(length, value_width), -4, 4)], None
    if keys is length and g.chance(0.3):
        before = sequence(g)
        past = [g.source("f32", (batch, Dim.of(heads), before, Dim.of(w)), -2, 2) for w in (width, value_width)]
        total = derive(lambda a, b: a + b, before, length)
        outputs += [result("f32", (batch, Dim.of(heads), total, Dim.of(w)), -4, 4) for w in (width, value_width)]
    elif g.chance(0.5):
        mask, more["mask_filter_value"] = integer_mask(g, batch, length, total)
    added = g.source("f32", (batch if g.chance(0.5) else Dim.of(1), Dim.of(heads), length, total), -2, 2) if g.chance(0.3) else None
    return g.node("MultiHeadAttention", [q, k, v, bias, mask, added] + past, outputs, domain=DOMAIN, **more)


@fused("RotaryEmbedding")
def rotary(g):
    batch, length = sequence(g), sequence(g)
    heads, width, rows = g.pick_one([1, 2, 3]), g.pick_one([2, 4, 8]), Dim.of(64)
    flat = g.chance(0.5)
    dims = (batch, length, Dim.of(heads * width)) if flat else (batch, Dim.of(heads), length, Dim.of(width))
    x = g.source("f32", dims, -2, 2, constant=False)
    first = g.chance(0.4)  # the position of the first element alone
    ids = g.source("i64", (Dim.of(1),) if first else (batch, length), 0, 20 if first else rows.fixed - 1, 1)
    caches = [weights(g, "f32", (rows, Dim.of(width // 2)), low=-1, high=1, grid=None) for _ in range(2)]
    return g.node("RotaryEmbedding", [x, ids] + caches, [result("f32", dims, -4, 4)], domain=DOMAIN, interleaved=attribute(g, 0, 1))


@fused("GroupQueryAttention", 1)
def group_query_attention(g):
    """A cache that is full before what is new, or a prompt without one: what lies behind a sequence's end is nobody's."""
    batch, length = sequence(g), sequence(g)
    before = sequence(g) if g.chance(0.6) else Dim.of(0)
    kv_heads, width = g.pick_one([1, 2]), Dim.of(16)
    heads = kv_heads * g.pick_one([1, 2, 3])
    total = derive(lambda a, b: a + b, before, length)
    require(batch.most * heads * length.most * total.most <= 20000)

    def flat(count):
        return (batch, length, Dim.of(count * 16))
    more = {"num_heads": heads, "kv_num_heads": kv_heads, "scale": g.pick_one([None, 0.25]), "local_window_size": g.pick_one([None, None, 1, 3])}
    if g.chance(0.3):
        q, k, v = g.source("f32", flat(heads + 2 * kv_heads), -2, 2, constant=False), None, None
    else:
        q, k, v = (g.source("f32", flat(count), -2, 2, constant=False) for count in (heads, kv_heads, kv_heads))
    cache = (batch, Dim.of(kv_heads), before, width)
    past = [g.source("f32", cache, -2, 2, constant=False) for _ in range(2)]
    last = g.told([np.full(b, t - 1, np.int32) for b, t in zip(batch.sizes, total.sizes)], [batch])
    lengths = [last, g.told([np.asarray(t, np.int32) for t in total.sizes], [])]
    caches = [None, None]
    if g.chance(0.5):
        more.update(do_rotary=1, rotary_interleaved=attribute(g, 0, 1))
        caches = [weights(g, "f32", (Dim.of(128), Dim.of(8)), low=-1, high=1, grid=None) for _ in range(2)]
    added = g.source("f32", (Dim.of(1), Dim.of(1), length, total), -2, 2) if g.chance(0.3) else None
    if g.chance(0.2):
        more["softcap"] = 5.0
    outputs = [result("f32", flat(heads), -4, 4)] + [result("f32", cache[:2] + (total, width), -4, 4) for _ in past]
    return g.node("GroupQueryAttention", [q, k, v] + past + lengths + caches + [None, added], outputs, domain=DOMAIN, **more)
