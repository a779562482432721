"""Reductions, softmax and its relatives, positions of extremes."""
import math

from .. import dtypes, sizes
from ..graph import freed, require, result
from ..sizes import Dim
from ..dtypes import FLOATS, INTS, NUMBERS
from . import op
from . import shapes
from .elementwise import attribute, gridded


def some_axes(g, rank):
    """Some axes, from the front or the back, in any order."""
    axes = g.random.sample(range(rank), g.pick_one([1, 1, 1, 2, 2, rank])) if rank > 1 else [0] * rank
    axes = axes[:rank]
    return axes, [a - rank if g.chance(0.3) else a for a in axes]


def reduced_dims(x, axes, keep):
    return [Dim.of(1) if i in axes else d for i, d in enumerate(x.dims) if keep or i not in axes]


def reduce_bounds(kind, x, count):
    """Bounds of a reduction over `count` elements; mixed signs are taken to cancel in part."""
    many = count if x.low >= 0 or x.high <= 0 else min(count, 3 * math.sqrt(count))
    most = x.most
    return {
        "Sum": (min(x.low * many, 0), max(x.high * many, 0)), "Mean": (x.low, x.high), "Max": (x.low, x.high), "Min": (x.low, x.high),
        "L1": (0, most * count), "L2": (0, most * math.sqrt(max(count, 1))), "SumSquare": (0, most**2 * count),
        "LogSumExp": (x.low, x.high + math.log(max(count, 1)) + 0.1),
    }.get(kind, (-most, most))


def reduction(kind, weight):
    name = "Reduce" + kind

    def make(g):
        x = g.pick(NUMBERS if kind not in ("LogSum", "LogSumExp", "L2") else FLOATS)
        if kind == "LogSum":
            require(x.low >= 0.05)
        axes, spelled = some_axes(g, x.rank)
        more = {"keepdims": attribute(g, 1, 0)}
        keep = more["keepdims"] is None or more["keepdims"] == 1
        inputs = [x]
        as_operand = g.opset >= (13 if kind == "Sum" else 18)
        every = g.chance(0.15) or x.rank == 0
        if every:
            axes = list(range(x.rank))
            if as_operand and g.chance(0.3):
                inputs.append(g.ints([]))
            if as_operand and g.chance(0.25):  # each element is a group of its own
                more["noop_with_empty_axes"] = 1
                axes, keep = [], True
        elif as_operand:
            inputs.append(g.steer(spelled))
        else:
            more["axes"] = spelled
        count = sizes.product([x.dims[a] for a in axes])
        if kind in ("Mean", "Max", "Min", "LogSum", "LogSumExp"):
            require(count.least > 0 or g.chance(0.2))
        if kind == "Prod":
            require(x.dtype in INTS or count.most * math.log2(max(x.most, 1.001)) < 15)
            bounds = (-2**15, 2**15)
        elif kind == "LogSum":
            bounds = (math.log(x.low), math.log(x.high * max(count.most, 1)) + 0.1)
        else:
            bounds = reduce_bounds(kind, x, count.most)
        grid = x.grid if kind in ("Max", "Min") else 1 if x.dtype in INTS else None
        if x.dtype in INTS and kind not in ("Max", "Min", "Mean"):
            bounds = dtypes.integer_range(x.dtype)
        return g.emit(name, inputs, result(x.dtype, freed(inputs, reduced_dims(x, axes, keep)), *bounds, grid), **more)
    op(name, weight)(make)


@op("CumSum", 0.8, since=11)
def cumsum(g):
    x = g.pick(("f32",) * 4 + FLOATS + ("i32", "i64", "u32", "u64"), rank=(1, 4))
    axis = g.random.randrange(x.rank)
    at = axis - x.rank if g.chance(0.3) else axis
    where = g.literal(at, g.pick_one(["i64", "i32"])) if g.chance(0.8) else g.source("i64", [], at, at, 1, constant=False)
    most = x.most * max(x.dims[axis].most, 1)
    bounds = dtypes.integer_range(x.dtype) if x.dtype in INTS else (-most, most)
    return g.emit("CumSum", [x, where], result(x.dtype, x.dims, *bounds, 1 if x.dtype in INTS else None),
                  exclusive=attribute(g, 0, 1), reverse=attribute(g, 0, 1))


@op("CumProd", 0.6, since=26)
def cumprod(g):
    x = g.pick(("f32",) * 4 + FLOATS + ("i32", "i64", "u32", "u64"), rank=(1, 4))
    axis = g.random.randrange(x.rank)
    count = x.dims[axis].most
    require(x.dtype in INTS or count * math.log2(max(x.most, 1.001)) < 10)
    at = axis - x.rank if g.chance(0.3) else axis
    where = g.literal(at, g.pick_one(["i64", "i32"])) if g.chance(0.8) else g.source("i64", [], at, at, 1, constant=False)
    bounds = dtypes.integer_range(x.dtype) if x.dtype in INTS else (-2**10, 2**10)
    return g.emit("CumProd", [x, where], result(x.dtype, x.dims, *bounds, 1 if x.dtype in INTS else None),
                  exclusive=attribute(g, 0, 1), reverse=attribute(g, 0, 1))


WEIGHTS = {"Sum": 2, "Mean": 2, "Max": 1.5, "Min": 1, "Prod": 0.7, "L1": 0.7, "L2": 0.7, "SumSquare": 0.7, "LogSum": 0.5, "LogSumExp": 0.7}
for _kind, _weight in WEIGHTS.items():
    reduction(_kind, _weight)


def position(name):
    def make(g):
        x = gridded(g, NUMBERS)
        require(x.rank >= 1)
        axis = g.random.randrange(x.rank)
        require(x.dims[axis].least > 0)
        keep = attribute(g, 1, 0)
        last = attribute(g, 0, 1) if g.opset >= 12 else None
        outcome = result("i64", reduced_dims(x, [axis], keep != 0), 0, x.dims[axis].most, 1)
        return g.emit(name, [x], outcome, axis=axis if g.chance(0.7) else axis - x.rank, keepdims=keep, select_last_index=last)
    op(name, 0.7)(make)


for _name in ("ArgMax", "ArgMin"):
    position(_name)


@op("TopK", 1.5)
def topk(g):
    x = gridded(g, NUMBERS if g.opset >= 11 else FLOATS)
    require(x.rank >= 1)
    axis = g.random.randrange(x.rank)
    size = x.dims[axis]
    k = Dim.of(g.random.randint(0 if g.chance(0.1) else min(1, size.least), size.least))
    if g.opset >= 10 and g.chance(0.3):  # the whole axis
        k = size
    operands = [x] if g.opset < 10 else [x, shapes.shape_operand(g, [k])]
    more = {"axis": None if axis == x.rank - 1 and g.chance(0.3) else axis if g.chance(0.7) else axis - x.rank}
    if g.opset >= 11:
        more.update(largest=attribute(g, 1, 0), sorted=attribute(g, 1))
    if g.opset < 10:
        more["k"] = k.fixed
    dims = freed(operands, x.dims[:axis] + (k,) + x.dims[axis + 1:])
    outcomes = [result(x.dtype, dims, x.low, x.high, x.grid), result("i64", dims, 0, max(size.most - 1, 0), 1)]
    return g.node("TopK", operands, outcomes, **more)


def softmax_like(name, weight, low, high):
    def make(g):
        x = g.pick(rank=(1, 5)) if name != "Hardmax" else gridded(g)
        require(x.rank >= 1)
        axis = g.pick_one([None, x.rank - 1, -1, g.random.randrange(x.rank)])
        if g.opset < 13 and axis is None:
            require(x.rank >= 2)
        if name == "Hardmax":
            require(all(d.least > 0 for d in x.dims))
        span = x.high - x.low + math.log(max(sizes.elements(x.dims), 1)) + 1
        return g.emit(name, [x], result(x.dtype, x.dims, low if low is not None else -span, high, 1 if name == "Hardmax" else None), axis=axis)
    op(name, weight)(make)


softmax_like("Softmax", 2, 0, 1)
softmax_like("LogSoftmax", 1, None, 0)
softmax_like("Hardmax", 0.5, 0, 1)


def global_pool(name):
    def make(g):
        x = g.pick(rank=(3, 5))
        require(all(d.least > 0 for d in x.dims[2:]) or g.chance(0.1))
        return g.emit(name, [x], result(x.dtype, x.dims[:2] + (Dim.of(1),) * (x.rank - 2), x.low, x.high, x.grid if "Max" in name else None))
    op(name, 0.8)(make)


for _name in ("GlobalAveragePool", "GlobalMaxPool"):
    global_pool(_name)
