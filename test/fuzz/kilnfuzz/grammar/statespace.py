"""Layers that carry a state from call to call."""
from ..graph import require, result
from ..sizes import Dim, derive, elements
from . import op
from .attention import sequence
from .elementwise import attribute
from .products import weights


@op("LinearAttention", 3, since=27)
def linear_attention(g):
    dtype = g.pick_one(("f32",) * 8 + ("f16",))
    batch, steps = sequence(g), sequence(g)
    kv_heads = g.pick_one([1, 2, 3])
    heads, width, value_width = kv_heads * g.pick_one([1, 1, 2]), g.pick_one([1, 2, 4, 5]), g.pick_one([1, 3, 4])
    require(steps.most <= 16 and batch.most * steps.most * heads * width * value_width <= g.work)
    rule = g.pick_one(["linear", "gated", "delta", "gated_delta"])

    def packed(size, low, high):
        return g.source(dtype, [batch, steps, Dim.of(size)], low, high, constant=False)
    q, k = packed(heads * width, -1, 1), packed(kv_heads * width, -0.5, 0.5)
    v = packed(kv_heads * value_width, -1, 1)
    state = g.source(dtype, [batch, Dim.of(kv_heads), Dim.of(width), Dim.of(value_width)], -1, 1) if g.chance(0.5) else None
    decay = packed(kv_heads * g.pick_one([1, width]), -2, 0) if rule in ("gated", "gated_delta") else None
    beta = packed(g.pick_one([1, kv_heads]), 0, 1) if rule in ("delta", "gated_delta") else None
    most = (1 + steps.most) * width
    outcomes = [result(dtype, [batch, steps, Dim.of(heads * value_width)], -most, most),
                result(dtype, [batch, Dim.of(kv_heads), Dim.of(width), Dim.of(value_width)], -most, most)]
    return g.node("LinearAttention", [q, k, v, state, decay, beta], outcomes, q_num_heads=heads, kv_num_heads=kv_heads,
                  scale=g.pick_one([None, 0.0, 0.25, 1.0]), update_rule=None if rule == "gated_delta" and g.chance(0.5) else rule)


@op("CausalConvWithState", 2, since=27)
def causal_conv(g):
    channels, width = Dim.of(g.pick_one([1, 2, 3, 4, 8])), g.pick_one([1, 2, 3, 4])
    x = g.source(g.pick_one(("f32",) * 8 + ("f64", "f16")), [sequence(g), channels, sequence(g)])
    before = Dim.of(width - 1)
    w = weights(g, x.dtype, [channels, Dim.of(1), Dim.of(width)], low=-1, high=1, grid=None)
    bias = weights(g, x.dtype, [channels]) if g.chance(0.5) else None
    state = g.source(x.dtype, [x.dims[0], channels, before], -3, 3) if g.chance(0.5) else None
    most = max(x.most, 3) * width + 3
    outcomes = [result(x.dtype, x.dims, -most, most), result(x.dtype, [x.dims[0], channels, before], -max(x.most, 3), max(x.most, 3))]
    return g.node("CausalConvWithState", [x, w, bias, state], outcomes if width > 1 and g.chance(0.7) else outcomes[:1],
                  activation=attribute(g, "none", "silu", "swish"))


@op("TensorScatter", 1, since=24)
def tensor_scatter(g):
    rank = g.pick_one([2, 3, 4, 4])
    cache = g.pick(("f32",) * 6 + ("f16", "bf16", "i32"), rank=rank, fresh=0.4)
    axis = g.random.randrange(1, rank)
    size = cache.dims[axis]
    require(size.least > 0 and elements(cache.dims) * rank <= g.work)
    written = Dim.of(g.random.randint(1, size.least))
    update = g.source(cache.dtype, cache.dims[:axis] + (written,) + cache.dims[axis + 1:], cache.low, cache.high, cache.grid)
    mode = g.pick_one([None, "linear", "circular"])
    most = size.least - 1 if mode == "circular" else size.least - written.fixed
    starts = g.source("i64", [cache.dims[0]], 0, most, 1) if g.chance(0.7) else None
    spelled = None if axis == rank - 2 and g.chance(0.5) else axis - rank if g.chance(0.5) else axis
    outcome = result(cache.dtype, cache.dims, min(cache.low, update.low), max(cache.high, update.high), cache.grid)
    return g.emit("TensorScatter", [cache, update, starts], outcome, mode=mode, axis=spelled)
