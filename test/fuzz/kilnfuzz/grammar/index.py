"""Operators that compare positions or write at them, and losses that pick by class."""
import math

from .. import dtypes
from ..graph import require, result
from ..sizes import Dim, elements
from . import op
from .elementwise import attribute


@op("Trilu", 1, since=14)
def trilu(g):
    x = g.pick(dtypes.ANY, rank=(2, 4))
    k = g.literal(g.pick_one([0, 1, -1, 2, 5, -7]), "i64", g.pick_one([0, 0, 1])) if g.chance(0.4) else None
    return g.emit("Trilu", [x, k], result(x.dtype, x.dims, min(x.low, 0), max(x.high, 0), x.grid), upper=attribute(g, 1, 0))


@op("OneHot", 0.8, since=9)
def one_hot(g):
    depth = g.pick_one([1, 3, 5, 8])
    index = g.source(g.pick_one(["i64", "i32", "i64"]), g.new_dims(g.pick_one([0, 1, 2])), -depth, depth + 1, 1)
    dtype = g.pick_one(["f32", "f32", "i64", "f64", "i32"])
    values = g.source(dtype, [Dim.of(2)], -2, 2, 1)
    axis = g.pick_one([None, -1, g.random.randint(0, index.rank)])
    at = index.rank if axis in (None, -1) else axis
    dims = index.dims[:at] + (Dim.of(depth),) + index.dims[at:]
    require(elements(dims) <= g.elements)
    size = g.literal(depth, g.pick_one(["i64", "i64", "i32"]), g.pick_one([0, 0, 1]))
    return g.emit("OneHot", [index, size, values], result(dtype, dims, -2, 2, 1), axis=axis)


def joining(g, x, updates, times):
    """A reduction, and bounds of what it makes of x and updates where up to `times` of them meet."""
    kinds = ["none", "none"] + (["add", "mul"] if g.opset >= 16 else []) + (["min", "max"] if g.opset >= 18 else [])
    kind = g.pick_one(kinds)
    low, high = min(x.low, updates.low), max(x.high, updates.high)
    grid = min(x.grid or 0, updates.grid or 0) or None
    if kind in ("add", "mul"):
        require(x.dtype in dtypes.NUMBERS)
        most = x.most + updates.most * times
        if kind == "mul":
            require(x.dtype in dtypes.INTS or updates.most <= 1 or times <= 4)
            most = x.most * max(updates.most, 1) ** min(times, 4)
        low, high, grid = -most, most, None
        if x.dtype in dtypes.INTS:
            low, high = dtypes.integer_range(x.dtype)
    elif kind != "none":
        require(x.dtype != "bool")
    if x.dtype not in dtypes.FLOATS:
        grid = 1
    spelled = None if kind == "none" and (g.opset < 16 or g.chance(0.6)) else kind
    return spelled, result(x.dtype, x.dims, low, high, grid)


def scatter_elements(name):
    def make(g):
        x = g.pick(dtypes.ANY, rank=(1, 4))
        require(all(d.least > 0 for d in x.dims))
        axis = g.random.randrange(x.rank)
        dims = [Dim.of(1) if g.chance(0.2) else d for d in x.dims]
        dims[axis] = Dim.of(g.pick_one([1, 2, 3, 5]))
        require(elements(dims) <= g.elements)
        least = x.dims[axis].least
        at = g.source(g.pick_one(["i64", "i32"]), dims, -least if g.opset >= 11 else 0, least - 1, 1)
        updates = g.source(x.dtype, dims)
        reduction, outcome = joining(g, x, updates, dims[axis].most)
        return g.emit(name, [x, at, updates], outcome, axis=None if axis == 0 and g.chance(0.5) else axis, reduction=reduction)
    return make


op("Scatter", 0.3, 9, 10)(scatter_elements("Scatter"))
op("ScatterElements", 1, 11)(scatter_elements("ScatterElements"))


@op("ScatterND", 1, since=11)
def scatter_nd(g):
    x = g.pick(dtypes.ANY, rank=(1, 4))
    count = g.random.randint(1, x.rank)
    least = min(d.least for d in x.dims[:count])
    require(least > 0)
    outer = g.new_dims(g.pick_one([0, 1, 1, 2]))
    at = g.source("i64", outer + (Dim.of(count),), 0 if g.chance(0.5) else -least, least - 1, 1)
    updates = g.source(x.dtype, outer + x.dims[count:])
    require(elements(updates.dims) <= g.elements)
    reduction, outcome = joining(g, x, updates, max(elements(outer), 1))
    return g.emit("ScatterND", [x, at, updates], outcome, reduction=reduction)


@op("ReverseSequence", 0.7, since=10)
def reverse_sequence(g):
    x = g.pick(dtypes.ANY, rank=(2, 4))
    batch = g.pick_one([0, 1])
    require(x.dims[1 - batch].least > 0)
    lengths = g.source("i64", [x.dims[batch]], 1, x.dims[1 - batch].least, 1)
    return g.emit("ReverseSequence", [x, lengths], result(x.dtype, x.dims, x.low, x.high, x.grid), batch_axis=None if batch == 1 else 0,
                  time_axis=None if batch == 1 else 1)


def loss(name):
    def make(g):
        rank = g.pick_one([2, 2, 3, 4])
        classes = Dim.of(g.pick_one([2, 3, 5]))
        fits = [v for v in g.values if v.dtype in ("f32", "f64") and v.rank >= 2 and v.dims[1].least > 1 and all(d.least > 0 for d in v.dims)]
        x = g.pick_one(fits) if fits and g.chance(0.5) else g.source("f32", (g.new_dim(), classes) + g.new_dims(rank - 2), -3, 3)
        require(all(d.least > 0 for d in x.dims))
        target = g.source(g.pick_one(["i64", "i32"]), x.dims[:1] + x.dims[2:], 0, x.dims[1].least - 1, 1)
        weight = g.source(x.dtype, [x.dims[1]], 0.5, 1.5) if g.chance(0.4) else None
        reduction = attribute(g, "mean", "sum", "none")
        ignore = None
        if g.chance(0.3) and (reduction or "mean") != "mean":
            ignore = g.pick_one([0, -1])
        most = (x.high - x.low + math.log(x.dims[1].most) + 1) * 1.5
        if name == "NegativeLogLikelihoodLoss":
            most = x.most * 1.5
        if reduction == "sum":
            most *= max(elements(target.dims), 1)
        outputs = [result(x.dtype, target.dims if reduction == "none" else (), -most, most)]
        if name == "SoftmaxCrossEntropyLoss" and g.chance(0.3):
            outputs.append(result(x.dtype, x.dims, -most, 0))
        return g.node(name, [x, target, weight], outputs, reduction=reduction, ignore_index=ignore)
    op(name, 0.6, 13)(make)


loss("NegativeLogLikelihoodLoss")
loss("SoftmaxCrossEntropyLoss")
