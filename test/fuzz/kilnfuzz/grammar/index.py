"""Operators that compare positions, and losses that pick by class."""
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
