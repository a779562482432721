"""Matrix products."""
import math

from .. import dtypes, sizes
from ..graph import require, result
from ..sizes import Dim, elements
from ..dtypes import FLOATS, INTS
from . import op
from .elementwise import attribute

TYPES = ("f32",) * 9 + FLOATS * 2 + ("i32", "i64", "u32", "u64")


def product_bound(x, y, inner):
    """A bound of a sum of products: in part they cancel."""
    return x.most * y.most * min(max(inner, 1), 4 * math.sqrt(max(inner, 1)))


def product_result(x, y, dims, inner):
    if x.dtype in INTS:
        return result(x.dtype, dims, *dtypes.integer_range(x.dtype), 1)
    most = product_bound(x, y, inner.most)
    exact = x.grid and y.grid and x.dtype in ("f32", "f64") and most / (x.grid * y.grid) < 2**18
    return result(x.dtype, dims, -most, most, x.grid * y.grid if exact else None)


def weights(g, dtype, dims, **bounds):
    """An operand that is mostly a constant."""
    bounds = bounds or ({"low": -1, "high": 1, "grid": None} if dtype in FLOATS else {"low": -3, "high": 3, "grid": 1})
    static = all(d.fixed is not None for d in dims)
    return g.source(dtype, dims, constant=static and g.chance(0.6), **bounds)


@op("MatMul", 5)
def matmul(g):
    x = g.pick(TYPES, rank=(1, 5))
    inner = x.dims[-1]
    fits = [v for v in g.values if v.dtype == x.dtype and v.rank >= 1 and v.dims[-2 if v.rank > 1 else 0] == inner
            and sizes.broadcast(v.dims[:-2], x.dims[:-2]) is not None]
    if fits and g.chance(0.5):
        y = g.pick_one(fits)
    else:
        kind = g.random.random()
        ones = tuple(Dim.of(1) if g.chance(0.5) else d for d in x.dims[:-2])[g.pick_one([0, 1]):]
        batch = () if kind < 0.5 else x.dims[:-2] if kind < 0.75 else ones
        if x.rank > 2 and all(d.is_(1) for d in x.dims[:-2]) and g.chance(0.4):
            batch = g.new_dims(1)
        y = weights(g, x.dtype, (inner,) if kind < 0.08 else batch + (inner, g.new_dim()))
    batch = sizes.broadcast(x.dims[:-2], y.dims[:-2])
    dims = batch + (x.dims[-2:-1] if x.rank > 1 else ()) + (y.dims[-1:] if y.rank > 1 else ())
    require(elements(dims) * inner.most <= g.work)
    return g.emit("MatMul", [x, y], product_result(x, y, dims, inner))


@op("Gemm", 3)
def gemm(g):
    x = g.pick(TYPES, rank=2)
    transpose_a, transpose_b = attribute(g, 0, 1), attribute(g, 0, 1)
    rows, inner = x.dims[::-1] if transpose_a else x.dims
    columns = g.new_dim()
    require(rows.most * columns.most * inner.most <= g.work)
    y = weights(g, x.dtype, (columns, inner) if transpose_b else (inner, columns))
    more = {"alpha": attribute(g, 1.0, 0.5, 2.0, -1.0), "beta": attribute(g, 1.0, 0.5, 0.0, 2.0)} if x.dtype in FLOATS else {}
    bias = None
    if g.opset < 11 or g.chance(0.7):
        dims = g.pick_one([(columns,), (columns,), (Dim.of(1),), (rows, columns), (Dim.of(1), columns), (rows, Dim.of(1)), ()])
        if g.opset < 7:
            dims = (rows, columns)
        bias = weights(g, x.dtype, dims)
    outcome = product_result(x, y, (rows, columns), inner)
    if x.dtype in FLOATS:
        outcome.grid = None
        outcome.low, outcome.high = 2 * outcome.low - 2, 2 * outcome.high + 2
    return g.emit("Gemm", [x, y, bias], outcome, transA=transpose_a, transB=transpose_b, **more)


@op("Einsum", 2, since=12)
def einsum(g):
    """Two or three terms (or one) over a few letters; the dims of the first are those of a value at hand."""
    x = g.pick(("f32",) * 8 + ("f64", "i64"), rank=(1, 4))
    letters = "bijkmn"
    labels = g.random.sample(letters, x.rank)
    dim = dict(zip(labels, x.dims))
    terms, operands = [labels], [x]
    for _ in range(g.pick_one([0, 1, 1, 1, 1, 2])):
        seen = list(dim)
        own = g.random.sample(seen, g.random.randint(min(1, len(seen)), min(3, len(seen))))
        unused = [c for c in letters if c not in dim]
        if unused and g.chance(0.7):
            fresh = g.pick_one(unused)
            dim[fresh] = g.new_dim()
            own.append(fresh)
        g.random.shuffle(own)
        terms.append(own)
        dims = [dim[c] for c in own]
        require(elements(dims) <= g.elements)
        operands.append(weights(g, x.dtype, dims))
    output = [c for c in dim if g.chance(0.65)]
    g.random.shuffle(output)
    require(elements(list(dim.values())) <= g.work)
    summed = sizes.product([d for c, d in dim.items() if c not in output])
    ellipsis = "..." if g.chance(0.15) and len(operands) <= 2 else ""
    if ellipsis:  # in front of every term, for leading dims of the first
        front = [g.new_dim()]
        operands[0] = g.source(x.dtype, front + list(x.dims), x.low, x.high, x.grid, constant=False)
    else:
        front = []
    once = sorted(c for c in dim if sum(c in t for t in terms) == 1)
    implicit = g.chance(0.15)
    if implicit:
        output = once
        summed = sizes.product([d for c, d in dim.items() if c not in output])
    equation = ",".join(ellipsis + "".join(t) for t in terms) + ("" if implicit else "->" + ellipsis + "".join(output))
    if g.chance(0.2):
        equation = equation.replace(",", " , ").replace("->", " -> ")
    dims = front + [dim[c] for c in output]
    require(elements(dims) * max(summed.most, 1) <= g.work)
    most = math.prod(v.most for v in operands) * max(summed.most, 1)
    if x.dtype in INTS:
        return g.emit("Einsum", operands, result(x.dtype, dims, *dtypes.integer_range(x.dtype), 1), equation=equation)
    return g.emit("Einsum", operands, result(x.dtype, dims, -most, most), equation=equation)


@op("Det", 0.5, since=11)
def det(g):
    size = Dim.of(g.pick_one([1, 2, 3, 4])) if g.chance(0.7) else g.new_dim()
    require(size.most <= 5)
    x = g.source(g.pick_one(("f32",) * 6 + FLOATS), g.new_dims(g.pick_one([0, 1, 2])) + (size, size), -2, 2)
    most = 32 * math.factorial(max(size.most, 1))
    return g.emit("Det", [x], result(x.dtype, x.dims[:-2], -most, most))
