"""Attention and rotary embedding."""
import onnx.helper as oh

from .. import dtypes
from ..graph import require, result
from ..sizes import Dim, derive
from . import op
from .elementwise import attribute

TYPES = ("f32",) * 12 + ("f64", "f16", "bf16")


def sequence(g):
    """A size along which something is repeated: batch or length."""
    for _ in range(8):
        dim = g.new_dim()
        if 0 < dim.least and dim.most <= 40:
            return dim
    return Dim.of(g.pick_one([1, 2, 5, 8]))


@op("Attention", 1.5, since=23)
def attention(g):
    dtype = g.pick_one(TYPES)
    batch, length = sequence(g), sequence(g)
    keys = length if g.chance(0.5) else sequence(g)
    kv_heads = g.pick_one([1, 2, 3])
    heads = kv_heads * g.pick_one([1, 1, 2])
    width, value_width = g.pick_one([2, 4, 8, 5, 16]), g.pick_one([4, 8, 3])
    flat = g.chance(0.4)
    require(batch.most * heads * length.most * keys.most <= 20000)

    def operand(size, count, channels, bounds):
        dims = (batch, size, Dim.of(count * channels)) if flat else (batch, Dim.of(count), size, Dim.of(channels))
        fits = [v for v in g.values if v.dtype == dtype and v.dims == dims and v.most <= 4]
        return g.pick_one(fits) if fits and g.chance(0.4) else g.source(dtype, dims, *bounds, constant=False)
    q, k = operand(length, heads, width, (-2, 2)), operand(keys, kv_heads, width, (-2, 2))
    v = operand(keys, kv_heads, value_width, (-3, 3))
    more = {"is_causal": attribute(g, 0, 1), "scale": g.pick_one([None, 0.25, 1.0])}
    if flat:
        more.update(q_num_heads=heads, kv_num_heads=kv_heads)
    total, past_key, past_value = keys, None, None
    if g.chance(0.2):
        past = sequence(g)
        past_key = g.source(dtype, (batch, Dim.of(kv_heads), past, Dim.of(width)), -2, 2)
        past_value = g.source(dtype, (batch, Dim.of(kv_heads), past, Dim.of(value_width)), -3, 3)
        total = derive(lambda a, b: a + b, past, keys)
    mask = None
    if g.chance(0.5):
        rank = g.pick_one([2, 3, 4])
        shape = [batch if g.chance(0.5) else Dim.of(1), Dim.of(heads) if g.chance(0.4) else Dim.of(1)][-(rank - 2):] if rank > 2 else []
        mask = g.source(g.pick_one([dtype, dtype, "bool"]), shape + [length, total], -2, 2)
    if g.chance(0.15):
        more["softcap"] = 5.0
    if g.chance(0.1) and dtype == "f16":
        more["softmax_precision"] = dtypes.ONNX["f32"]
    dims = (batch, length, Dim.of(heads * value_width)) if flat else (batch, Dim.of(heads), length, Dim.of(value_width))
    outputs = [result(dtype, dims, -3, 3)]
    if past_key is not None or g.chance(0.15):
        outputs += [result(dtype, (batch, Dim.of(kv_heads), total, Dim.of(w)), -b, b) for w, b in ((width, 2), (value_width, 3))]
        if g.chance(0.4):
            more["qk_matmul_output_mode"] = g.pick_one([0, 1, 2, 3])
            outputs.append(result(dtype, (batch, Dim.of(heads), length, total), -70, 70))
            if mask is not None and mask.dtype == "bool" or more["is_causal"]:
                outputs[-1] = None if more["qk_matmul_output_mode"] == 2 else outputs[-1]
    while outputs[-1] is None:
        outputs.pop()
    return g.node("Attention", [q, k, v, mask, past_key, past_value], outputs, **more)


@op("RotaryEmbedding", 0.8, since=23)
def rotary(g):
    dtype = g.pick_one(TYPES)
    batch, length = sequence(g), sequence(g)
    heads, width = g.pick_one([1, 2, 3]), g.pick_one([2, 4, 8, 6])
    rotated = g.pick_one([0, 0, 2])
    flat = g.chance(0.4)
    dims = (batch, length, Dim.of(heads * width)) if flat else (batch, Dim.of(heads), length, Dim.of(width))
    x = g.source(dtype, dims, -2, 2, constant=False)
    half = Dim.of((rotated or width) // 2)
    ids = None
    if g.chance(0.6):
        rows = Dim.of(g.pick_one([5, 16]))
        ids = g.source("i64", (batch, length), 0, rows.least - 1, 1)
        caches = [g.source(dtype, (rows, half), -1, 1) for _ in range(2)]
    else:
        caches = [g.source(dtype, (batch, length, half), -1, 1) for _ in range(2)]
    more = {"interleaved": attribute(g, 0, 1), "rotary_embedding_dim": rotated or None}
    if flat or g.chance(0.2):
        more["num_heads"] = heads
    return g.emit("RotaryEmbedding", [x] + caches + [ids], result(dtype, dims, -4, 4), **more)


@op("FlexAttention", 0.8, since=21)
def flex_attention(g):
    """With graphs that scale, mask with a value from outside, or do nothing."""
    dtype = g.pick_one(TYPES)
    batch, length, keys = sequence(g), sequence(g), sequence(g)
    kv_heads = g.pick_one([1, 2, 3])
    heads = Dim.of(kv_heads * g.pick_one([1, 1, 2]))
    width, value_width = Dim.of(g.pick_one([2, 4, 8, 5])), Dim.of(g.pick_one([4, 8, 3]))
    require(batch.most * heads.fixed * length.most * keys.most <= 20000)
    q = g.source(dtype, (batch, heads, length, width), -2, 2)
    k = g.source(dtype, (batch, Dim.of(kv_heads), keys, width), -2, 2)
    v = g.source(dtype, (batch, Dim.of(kv_heads), keys, value_width), -3, 3)
    inner = "f64" if dtype == "f64" else "f32"
    more = {}
    for name in ("score_mod", "prob_mod"):
        if g.chance(0.5):
            other = g.source(inner, (length, keys), 0.5, 1.5) if g.chance(0.5) else g.literal(0.5, inner)
            x, y = g.name("s"), g.name("s")
            ports = [[oh.make_tensor_value_info(n, dtypes.ONNX[inner], None)] for n in (x, y)]
            more[name] = oh.make_graph([oh.make_node("Mul", [x, other.name], [y])], name, *ports)
    if g.chance(0.5):
        more["scale"] = g.pick_one([0.25, 1.0])
    return g.node("FlexAttention", [q, k, v], [result(dtype, (batch, heads, length, value_width), -5, 5)], domain="ai.onnx.preview", **more)
