"""Normalisations."""
import math

from ..graph import require, result
from ..sizes import Dim, elements
from . import op
from .elementwise import attribute
from .products import weights

SCALE = {"low": 0.5, "high": 1.5, "grid": None}
BIAS = {"low": -1, "high": 1, "grid": None}


def normal_bound(dims):
    """The most that a normalised element can be, times a scale, plus a bias."""
    return 1.5 * math.sqrt(max(elements(dims), 1)) + 1


def norm_operand(g, rank):
    x = g.pick(rank=rank)
    require(all(d.least > 0 for d in x.dims))
    return x


def layer_norm(name, since):
    def make(g):
        x = norm_operand(g, (1, 4))
        axis = g.pick_one([x.rank - 1, x.rank - 1, g.random.randrange(x.rank)])
        inner = x.dims[axis:]
        shape = inner if g.chance(0.8) else [Dim.of(1) if g.chance(0.5) else d for d in inner]
        scale = weights(g, x.dtype, shape, **SCALE)
        most = normal_bound(inner)
        spelled = None if axis == x.rank - 1 and g.chance(0.5) else axis - x.rank if g.chance(0.5) else axis
        more = {"axis": spelled, "epsilon": attribute(g, 1e-5, 1e-3)}
        outcome = result(x.dtype, x.dims, -most, most)
        if name == "RMSNormalization":
            return g.emit(name, [x, scale], outcome, **more)
        bias = weights(g, x.dtype, inner, **BIAS) if g.chance(0.7) else None
        outputs = [outcome]
        if x.dtype == "f32" and g.chance(0.12):
            statistics = x.dims[:axis] + (Dim.of(1),) * len(inner)
            outputs += [result("f32", statistics, x.low, x.high), result("f32", statistics, 0, 1e4)]
        return g.node(name, [x, scale, bias], outputs, **more)
    op(name, 2, since)(make)


layer_norm("LayerNormalization", 17)
layer_norm("RMSNormalization", 23)


@op("BatchNormalization", 2, since=7)
def batch_norm(g):
    x = norm_operand(g, (2, 5))
    channels = [x.dims[1]]
    scale, bias = weights(g, x.dtype, channels, **SCALE), weights(g, x.dtype, channels, **BIAS)
    mean, variance = weights(g, x.dtype, channels, **BIAS), weights(g, x.dtype, channels, low=0.5, high=2, grid=None)
    most = (x.most + 1) * 3 + 1
    more = {"epsilon": attribute(g, 1e-5, 1e-3)}
    outputs = [result(x.dtype, x.dims, -most, most)]
    if g.opset >= 14 and x.dtype == "f32" and g.chance(0.1):
        more.update(training_mode=1, momentum=attribute(g, 0.9, 0.5))
        outputs += [result(x.dtype, channels, -x.most - 1, x.most + 1), result(x.dtype, channels, 0, x.most**2 + 2)]
        outputs[0].low, outputs[0].high = -normal_bound(x.dims), normal_bound(x.dims)
    return g.node("BatchNormalization", [x, scale, bias, mean, variance], outputs, **more)


@op("InstanceNormalization", 1, since=6)
def instance_norm(g):
    x = norm_operand(g, (3, 5))
    scale, bias = weights(g, x.dtype, [x.dims[1]], **SCALE), weights(g, x.dtype, [x.dims[1]], **BIAS)
    most = normal_bound(x.dims[2:])
    return g.emit("InstanceNormalization", [x, scale, bias], result(x.dtype, x.dims, -most, most), epsilon=attribute(g, 1e-5, 1e-3))


@op("GroupNormalization", 1, since=18)
def group_norm(g):
    x = norm_operand(g, (3, 5))
    groups = g.pick_one([f for f in range(1, 9) if all(s % f == 0 for s in x.dims[1].sizes)])
    shape = [x.dims[1]] if g.opset >= 21 else [Dim.of(groups)]
    scale, bias = weights(g, x.dtype, shape, **SCALE), weights(g, x.dtype, shape, **BIAS)
    most = normal_bound(x.dims[1:])
    return g.emit("GroupNormalization", [x, scale, bias], result(x.dtype, x.dims, -most, most), num_groups=groups, epsilon=attribute(g, 1e-5, 1e-3))


@op("MeanVarianceNormalization", 0.6, since=9)
def mean_variance(g):
    x = norm_operand(g, (2, 4))
    axes = sorted(g.random.sample(range(x.rank), g.random.randint(1, x.rank)))
    if x.rank == 4 and g.chance(0.4):
        axes = None
    over = [x.dims[a] for a in (axes or [0, 2, 3])]
    require(elements(over) > 3 and all(d.least > 1 for d in over))  # a variance of 0 amplifies rounding
    most = normal_bound(over)
    return g.emit("MeanVarianceNormalization", [x], result(x.dtype, x.dims, -most, most), axes=axes)


@op("LpNormalization", 0.6)
def lp_norm(g):
    x = norm_operand(g, (1, 4))
    axis = g.random.randrange(x.rank)
    return g.emit("LpNormalization", [x], result(x.dtype, x.dims, -1, 1), axis=axis - x.rank if g.chance(0.3) else axis, p=attribute(g, 2, 1))


@op("LRN", 0.6)
def lrn(g):
    x = norm_operand(g, (3, 4))
    more = {"alpha": attribute(g, 1e-4, 0.1), "beta": attribute(g, 0.75, 0.5), "bias": attribute(g, 1.0, 2.0)}
    return g.emit("LRN", [x], result(x.dtype, x.dims, x.low, x.high), size=g.pick_one([1, 2, 3, 4, 5]), **more)
