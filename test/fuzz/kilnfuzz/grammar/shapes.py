"""Shapes as values: arithmetic on them, and what is made from them."""
import numpy as np
from onnx import numpy_helper

from .. import dtypes
from ..graph import Reject, freed, require, result
from ..sizes import Dim, SETS, elements
from . import op


def known(g, array_at, dtype="i64"):
    """A result whose elements the sizes decide. array_at: set of sizes -> elements."""
    arrays = tuple(np.asarray(array_at(i), dtypes.NUMPY[dtype]) for i in range(SETS))
    require(len({a.shape for a in arrays}) == 1)
    low, high = (min(int(a.min()) for a in arrays), max(int(a.max()) for a in arrays)) if arrays[0].size else (0, 0)
    require(-2**31 < low and high < 2**31)
    return result(dtype, [Dim.of(s) for s in arrays[0].shape], low, high, 1, arrays)


def compute(g, name, inputs, function, dtype="i64", **attributes):
    """A node of shape arithmetic: function maps the elements of its operands to those of the result."""
    outcome = known(g, lambda i: function(*(v.known[i] for v in inputs)), dtype)
    return g.node(name, inputs, [outcome], **attributes)


def shape_of(g, x):
    return compute_shape(g, x, None, None)


def compute_shape(g, x, start, end):
    outcome = known(g, lambda i: [d.sizes[i] for d in x.dims][start:end])
    return g.node("Shape", [x], [outcome], start=start, end=end)


@op("Shape", 1.5)
def shape(g):
    x = g.pick(dtypes.ANY)
    if g.opset >= 15 and g.chance(0.4):
        return compute_shape(g, x, g.pick_one([None, 0, 1, -1, -2]), g.pick_one([None, -1, 2, x.rank]))
    return shape_of(g, x)


@op("Size", 0.5)
def size(g):
    x = g.pick(dtypes.ANY)
    return g.node("Size", [x], [known(g, lambda i: int(np.prod([d.sizes[i] for d in x.dims], dtype=np.int64)))])


def small(v):
    return v.known is not None and v.known[0].size <= 8 and v.dtype in ("i64", "i32") and v.rank <= 1


@op("Add", 1.5, since=7)
def arithmetic(g):
    """Arithmetic on sizes."""
    x = g.pick(("i64", "i32"), where=small, fresh=0)
    name = g.pick_one(["Add", "Sub", "Mul", "Div", "Max", "Min", "Mod"])
    fits = [v for v in g.values if small(v) and v.dtype == x.dtype and (v.rank == 0 or x.rank == 0 or v.known[0].size == x.known[0].size)]
    y = g.pick_one(fits) if g.chance(0.4) else g.literal(g.pick_one([1, 2, 3, 4]), x.dtype, g.pick_one([0, x.rank]))
    require(name in ("Max", "Min") and g.opset >= 12 or name not in ("Max", "Min", "Mod") or name == "Mod" and g.opset >= 10)
    if name in ("Div", "Mod"):
        require(all((a > 0).all() for a in y.known) and all((a >= 0).all() for a in x.known))
    functions = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.floor_divide, "Max": np.maximum, "Min": np.minimum, "Mod": np.mod}
    return compute(g, name, [x, y], functions[name], x.dtype)


@op("Gather", 1.5)
def pick_size(g):
    """One size out of a shape."""
    x = g.pick(("i64",), where=lambda v: small(v) and v.rank == 1 and v.known[0].size, fresh=0)
    at = g.random.randrange(x.known[0].size)
    index = g.literal(at - x.known[0].size if g.opset >= 11 and g.chance(0.3) else at, "i64") if g.chance(0.6) else g.ints([at])
    index.known = (np.array(at) if index.rank == 0 else np.array([at]),) * SETS
    return compute(g, "Gather", [x, index], lambda a, i: a[i], axis=0)


@op("Concat", 1)
def join_sizes(g):
    fits = [v for v in g.values if small(v) and v.dtype == "i64" and v.rank == 1]
    require(fits)
    xs = [g.pick_one(fits) for _ in range(g.pick_one([1, 2, 2, 3]))]
    require(sum(v.known[0].size for v in xs) <= 8)
    return compute(g, "Concat", xs, lambda *a: np.concatenate(a), axis=0)


@op("Cast", 0.5, since=6)
def cast_sizes(g):
    x = g.pick(("i64", "i32"), where=small, fresh=0)
    to = g.pick_one(["i64", "i32", "i64"])
    return compute(g, "Cast", [x], lambda a: a, to, to=dtypes.ONNX[to])


@op("ReduceProd", 0.5)
def product_of_sizes(g):
    x = g.pick(("i64",), where=lambda v: small(v) and v.rank == 1, fresh=0)
    keep = g.pick_one([0, 1])
    return compute(g, "ReduceProd", [x], lambda a: a.prod(keepdims=bool(keep)), keepdims=keep)


# --- shapes as operands

def entry(g, dim):
    """A vector of one element that holds a dim's sizes: from the shape of a value that has it, or by arithmetic."""
    for v in g.random.sample(g.values, len(g.values)):
        if dim in v.dims and not v.constant:
            at = v.dims.index(dim)
            shape = shape_of(g, v)
            kind = g.random.random()
            if kind < 0.4:
                index = g.literal(at, "i64")
                index.known = (np.array(at),) * SETS
                scalar = compute(g, "Gather", [shape, index], lambda a, i: a[i], axis=0)
                if g.chance(0.2):
                    one = g.literal(1, "i64")
                    one.known = (np.array(1),) * SETS
                    scalar = compute(g, "Mul", [scalar, one], np.multiply)
                return unsqueeze(g, scalar)
            if g.opset >= 10 and kind < 0.7:
                operands = [shape, g.ints([at]), g.ints([at + 1])] + ([g.ints([0])] if g.chance(0.7) else [])
                return g.node("Slice", operands, [known(g, lambda i: shape.known[i][at:at + 1])])
            return compute(g, "Gather", [shape, g.ints([at])], lambda a, i: a[i], axis=0)
    raise Reject


def unsqueeze(g, scalar):
    outcome = known(g, lambda i: scalar.known[i].reshape(1))
    if g.opset < 13:
        return g.node("Unsqueeze", [scalar], [outcome], axes=[0])
    return g.node("Unsqueeze", [scalar, g.ints([0])], [outcome])


def shape_operand(g, entries):
    """A vector of numbers and dims: constants and computed parts joined, or the shape of a value that has just these dims."""
    entries = [e.fixed if isinstance(e, Dim) and e.static else e for e in entries]
    if g.chance(g.data):
        return g.told_vector([np.array([e.sizes[i] if isinstance(e, Dim) else e for e in entries], np.int64) for i in range(SETS)])
    if not any(isinstance(e, Dim) for e in entries):
        return g.ints(entries)
    if all(isinstance(e, Dim) for e in entries) and g.chance(0.7):
        for v in g.values:
            if v.rank and list(v.dims) == entries:
                return shape_of(g, v)
    parts, run = [], []
    for e in entries:
        if isinstance(e, Dim):
            if run:
                parts.append(g.ints(run))
            run = []
            parts.append(entry(g, e))
        else:
            run.append(e)
    if run:
        parts.append(g.ints(run))
    for part in parts:
        if part.known is None:
            part.known = tuple(g.initializers[part.name] for _ in range(SETS))
    return compute(g, "Concat", parts, lambda *a: np.concatenate(a), axis=0) if len(parts) > 1 or g.chance(0.3) else parts[0]


@op("ConstantOfShape", 1, since=9)
def constant_of_shape(g):
    fits = [v for v in g.values if not v.constant and v.rank]
    dims = g.pick_one(fits).dims if fits and g.chance(0.7) else g.new_dims(g.pick_one([0, 1, 2, 3]))
    require(elements(dims) <= g.elements)
    dtype, number = "f32", 0
    more = {}
    if g.chance(0.7):
        dtype = g.new_dtype()
        number = g.pick_one([0, 1, 2])
        if dtype == "bool":
            number = min(number, 1)
        more["value"] = numpy_helper.from_array(np.full([1], number, dtypes.NUMPY[dtype]))
    shape = shape_operand(g, dims)
    return g.emit("ConstantOfShape", [shape], result(dtype, freed([shape], dims), number, number, 1), **more)


@op("Range", 1.5, since=11)
def ranges(g):
    """0, 1, ... up to a size, or numbers with any step."""
    fits = [v for v in g.values if small(v) and v.rank == 0 and all(0 <= int(a) <= 300 for a in v.known)]
    if fits and g.chance(0.7):
        limit = g.pick_one(fits)
        start, step = 0, g.pick_one([1, 1, 2])
        first, delta = g.literal(start, limit.dtype), g.literal(step, limit.dtype)
        dim = Dim([len(range(start, int(a), step)) for a in limit.known])
        return g.emit("Range", [first, limit, delta], result(limit.dtype, [dim], 0, 300, 1))
    dtype = g.pick_one(["i64", "i32", "f32", "f64", "i16"])
    start, step, count = g.pick_one([0, 1, -3]), g.pick_one([1, 2, -1, 3]), g.pick_one([0, 1, 5, 16])
    limit = start + step * count
    operands = [g.told([np.array(n, dtypes.NUMPY[dtype])] * SETS) if g.chance(g.data) else g.literal(n, dtype) for n in (start, limit, step)]
    return g.emit("Range", operands, result(dtype, freed(operands, [Dim.of(count)]), -80, 80, 1))


@op("EyeLike", 0.5, since=9)
def eye_like(g):
    x = g.pick(dtypes.NUMBERS, rank=2)
    dtype = g.pick_one([None, "f32", "i64", "bool", "f16", "i32"])
    return g.emit("EyeLike", [x], result(dtype or x.dtype, x.dims, 0, 1, 1), dtype=dtypes.ONNX.get(dtype), k=g.pick_one([None, 0, 1, -1, 3]))


@op("Constant", 0.5)
def constant(g):
    return g.source(g.new_dtype(), [Dim.of(g.pick_one([1, 2, 3, 5])) for _ in range(g.pick_one([0, 1, 2]))], constant=True)


# --- sizes that steer movement

def size_vector(g, fits):
    """A computed vector of one element with sizes that fit, made from a scalar if need be."""
    found = [v for v in g.values if small(v) and not v.constant and v.dtype == "i64" and v.known[0].size == 1]
    found = [v for v in found if all(fits(int(a.reshape(-1)[0])) for a in v.known)]
    require(found)
    v = g.pick_one(found)
    return unsqueeze(g, v) if v.rank == 0 else v
