"""Operators that move, select, repeat or regroup elements."""
import numpy as np

from .. import dtypes, sizes
from ..graph import freed, require, result
from ..sizes import Dim, derive, elements, product
from . import op
from .elementwise import attribute
from .shapes import compute, shape_operand, size_vector


def like(x, dims):
    return result(x.dtype, dims, x.low, x.high, x.grid)


# --- views

def regrouped(g, dims):
    """Dims of the same number of elements: neighbours merged, numbers split, ones put in."""
    dims = list(dims)
    for _ in range(g.pick_one([1, 1, 2, 3])):
        kind = g.random.random()
        if kind < 0.45 and len(dims) >= 2:
            at = g.random.randrange(len(dims) - 1)
            dims[at:at + 2] = [product(dims[at:at + 2])]
        elif kind < 0.75 and dims:
            at = g.random.randrange(len(dims))
            factors = [f for f in (2, 3, 4, 5, 8) if all(s % f == 0 and s for s in dims[at].sizes)]
            if factors:
                f = g.pick_one(factors)
                parts = [Dim.of(f), derive(lambda s: s // f, dims[at])]
                dims[at:at + 1] = parts if g.chance(0.5) else parts[::-1]
        elif kind < 0.9 and len(dims) < 5:
            dims.insert(g.random.randint(0, len(dims)), Dim.of(1))
        else:
            ones = [i for i, d in enumerate(dims) if d.is_(1) and d.static]
            if ones:
                del dims[g.pick_one(ones)]
    if g.chance(0.1):
        dims = [product(dims)]
    return dims


@op("Reshape", 4)
def reshape(g):
    x = g.pick(dtypes.ANY)
    dims = regrouped(g, x.dims)
    spelled = [d.fixed if d.fixed is not None and (d.static or g.chance(0.3)) else d for d in dims]
    zero = any(d.least == 0 for d in dims)
    more = {}
    for i, d in enumerate(dims):  # 0 copies the operand's dim
        if not zero and i < x.rank and d == x.dims[i] and g.chance(0.5):
            spelled[i] = 0
    unknown = [i for i, s in enumerate(spelled) if isinstance(s, Dim)]
    if (unknown and len(unknown) == 1 and g.chance(0.8) or g.chance(0.3)) and dims and not zero:
        spelled[unknown[0] if unknown else g.random.randrange(len(dims))] = -1
    if zero:
        require(g.opset >= 14)
        more["allowzero"] = 1
    if g.opset < 5:
        require(not any(isinstance(s, Dim) for s in spelled))
        return g.emit("Reshape", [x], like(x, dims), shape=spelled)
    shape = shape_operand(g, spelled)
    return g.emit("Reshape", [x, shape], like(x, freed([shape], dims)), **more)


@op("Flatten", 1)
def flatten(g):
    x = g.pick(dtypes.ANY)
    axis = g.random.randint(0, x.rank)
    spelled = axis - x.rank if g.opset >= 11 and axis < x.rank and g.chance(0.3) else None if axis == 1 and g.chance(0.5) else axis
    require(x.rank > 0 or spelled is not None)
    return g.emit("Flatten", [x], like(x, [product(x.dims[:axis]), product(x.dims[axis:])]), axis=spelled)


def axes_operand(g, x, axes, since=13):
    """Axes as an attribute or, from `since` on, an operand."""
    return ([x], {"axes": axes}) if g.opset < since else ([x, g.ints(axes)], {})


@op("Squeeze", 1.5)
def squeeze(g):
    x = g.pick(dtypes.ANY, rank=(1, 5))
    ones = [i for i, d in enumerate(x.dims) if d.is_(1)]
    require(ones)
    if all(d.static for d in x.dims) and g.chance(0.3):
        return g.emit("Squeeze", [x], like(x, [d for d in x.dims if not d.is_(1)]))
    axes = g.random.sample(ones, g.random.randint(1, len(ones)))
    inputs, more = axes_operand(g, x, [a - x.rank if g.opset >= 11 and g.chance(0.3) else a for a in axes])
    return g.emit("Squeeze", inputs, like(x, [d for i, d in enumerate(x.dims) if i not in axes]), **more)


@op("Unsqueeze", 1.5)
def unsqueeze(g):
    x = g.pick(dtypes.ANY, rank=(0, 4))
    rank = x.rank + g.pick_one([1, 1, 2])
    axes = g.random.sample(range(rank), rank - x.rank)
    rest = iter(x.dims)
    dims = [Dim.of(1) if i in axes else next(rest) for i in range(rank)]
    spelled = [a - rank if g.opset >= 11 and g.chance(0.3) else a for a in axes]
    if g.opset < 13:
        return g.emit("Unsqueeze", [x], like(x, dims), axes=spelled)
    operand = g.steer(spelled)
    return g.emit("Unsqueeze", [x, operand], like(x, freed([operand], dims)))


@op("Transpose", 4)
def transpose(g):
    x = g.pick(dtypes.ANY, rank=(0, 5))
    perm = list(range(x.rank))
    if x.rank >= 2 and g.chance(0.4):  # the last two
        perm[-1], perm[-2] = perm[-2], perm[-1]
    elif x.rank == 4 and g.chance(0.5):  # layouts of images, heads of attention
        perm = g.pick_one([[0, 2, 3, 1], [0, 3, 1, 2], [0, 2, 1, 3]])
    else:
        g.random.shuffle(perm)
    spelled = None if perm == list(range(x.rank))[::-1] and g.chance(0.7) else perm
    return g.emit("Transpose", [x], like(x, [x.dims[p] for p in perm]), perm=spelled)


# --- several to one, one to several

@op("Concat", 3)
def concat(g):
    x = g.pick(dtypes.ANY, rank=(1, 5))
    axis = g.random.randrange(x.rank)
    xs = [x]
    for _ in range(g.pick_one([0, 1, 1, 1, 2])):
        fits = [v for v in g.values if v.dtype == x.dtype and v.rank == x.rank and v.dims[:axis] + v.dims[axis + 1:] == x.dims[:axis] + x.dims[axis + 1:]]
        if g.chance(0.6):
            xs.append(g.pick_one(fits))
        else:
            dims = list(x.dims)
            dims[axis] = g.new_dim()
            require(elements(dims) <= g.elements)
            xs.append(g.source(x.dtype, dims))
    g.random.shuffle(xs)
    dims = list(x.dims)
    dims[axis] = derive(lambda *s: sum(s), *(v.dims[axis] for v in xs))
    grid = min(v.grid or 0 for v in xs) or None
    spelled = None if g.opset < 4 and axis == 1 else axis - x.rank if g.opset >= 11 and g.chance(0.3) else axis
    return g.emit("Concat", xs, result(x.dtype, dims, min(v.low for v in xs), max(v.high for v in xs), grid), axis=spelled)


@op("Split", 2.5, since=2)
def split(g):
    x = g.pick(dtypes.ANY, rank=(1, 5))
    axis = g.random.randrange(x.rank)
    size = x.dims[axis]
    parts = g.pick_one([1, 2, 2, 3, 4])
    spelled = axis - x.rank if g.opset >= 11 and g.chance(0.3) else None if axis == 0 and g.chance(0.5) else axis
    inputs, more = [x], {"axis": spelled}

    def outcomes(pieces):
        return [like(x, x.dims[:axis] + (p,) + x.dims[axis + 1:]) for p in pieces]
    if g.chance(0.5):  # equal parts
        if g.opset >= 18:
            chunk = derive(lambda s: -(-s // parts), size)
            require(all((parts - 1) * c <= s for c, s in zip(chunk.sizes, size.sizes)))
            pieces = [chunk] * (parts - 1) + [derive(lambda s, c: s - (parts - 1) * c, size, chunk)]
            more["num_outputs"] = parts
        else:
            require(all(s % parts == 0 for s in size.sizes))
            pieces = [derive(lambda s: s // parts, size)] * parts
        return g.node("Split", inputs, outcomes(pieces), **more)
    require(size.fixed is not None)
    cuts = sorted(g.random.randint(0, size.fixed) for _ in range(parts - 1))
    numbers = [b - a for a, b in zip([0] + cuts, cuts + [size.fixed])]
    if g.opset < 13:
        more["split"] = numbers
    else:
        inputs.append(g.ints(numbers))
    return g.node("Split", inputs, outcomes([Dim.of(n) for n in numbers]), **more)


# --- parts

def slice_size(start, end, step, size):
    if step > 0:
        start, end = (min(max(v + size if v < 0 else v, 0), size) for v in (start, end))
        return max(0, -(-(end - start) // step))
    start, end = (min(max(v + size if v < 0 else v, -1), size - 1) for v in (start, end))
    return max(0, -(-(start - end) // -step))


FAR = 2**31 - 1


def slice_bounds(g, dim, steps):
    """start, end and step for one dim."""
    most = dim.most
    kind = g.random.random()
    if not steps or kind < 0.5:
        start = g.pick_one([0, 0, 1, 2, -1, -2, -3, most // 2])
        end = g.pick_one([FAR, FAR, -1, most, most - 1, -2, max(most // 2, 1), 3])
        return start, end, 1
    if kind < 0.8:
        return g.pick_one([0, 0, 1, 2, -most]), g.pick_one([FAR, FAR, -1, most]), g.pick_one([2, 2, 3, 3, 4, 5])
    return g.pick_one([-1, -1, most - 1, FAR, -2]), g.pick_one([-FAR, -FAR, 0, -most - 1, 1]), g.pick_one([-1, -1, -2, -3])


@op("Slice", 7)
def slices(g):
    x = g.pick(dtypes.ANY, rank=(1, 5))
    axes = sorted(g.random.sample(range(x.rank), g.pick_one([1, 1, 1, 2, x.rank]) if x.rank > 1 else 1)[:x.rank])
    if g.chance(0.3):
        g.random.shuffle(axes)
    bounds = [slice_bounds(g, x.dims[a], g.opset >= 10) for a in axes]
    dims = list(x.dims)
    for a, (start, end, step) in zip(axes, bounds):
        dims[a] = derive(lambda s: slice_size(start, end, step, s), x.dims[a])
        require(dims[a].most > 0 or g.chance(0.05))
    starts, ends, steps = map(list, zip(*bounds))
    spelled = [a - x.rank if g.opset >= 10 and g.chance(0.3) else a for a in axes]
    leave_axes = axes == list(range(len(axes))) and g.chance(0.4)
    if g.opset < 10:
        return g.emit("Slice", [x], like(x, dims), starts=starts, ends=ends, axes=None if leave_axes else spelled)
    index = g.pick_one(["i64", "i64", "i32"])
    operands = [x, g.steer(starts, index), g.steer(ends, index)]
    with_steps = any(s != 1 for s in steps) or g.chance(0.3)
    operands.append(None if leave_axes else g.steer(spelled, index))
    operands.append(g.steer(steps, index) if with_steps else None)
    return g.emit("Slice", operands, like(x, freed(operands, dims)))


@op("DynamicSlice", 0.1, last=9)
def dynamic_slice(g):
    x = g.pick(rank=(1, 4))
    start, end, _ = slice_bounds(g, x.dims[0], False)
    dims = (derive(lambda s: slice_size(start, end, 1, s), x.dims[0]),) + x.dims[1:]
    g.tags.add("experimental operator")
    return g.emit("DynamicSlice", [x, g.ints([start]), g.ints([end])], like(x, dims))


def indices(g, dims, least, negative=True):
    """Positions along a dim of at least `least` elements."""
    require(least > 0)
    return g.source(g.pick_one(["i64", "i64", "i32"]), dims, -least if negative and g.opset >= 11 else 0, least - 1, 1)


@op("Gather", 3)
def gather(g):
    x = g.pick(dtypes.ANY, rank=(1, 4))
    axis = g.random.randrange(x.rank)
    at = indices(g, g.new_dims(g.pick_one([0, 1, 1, 2])), x.dims[axis].least)
    dims = x.dims[:axis] + at.dims + x.dims[axis + 1:]
    return g.emit("Gather", [x, at], like(x, dims), axis=None if axis == 0 and g.chance(0.5) else axis)


@op("GatherElements", 1, since=11)
def gather_elements(g):
    x = g.pick(dtypes.ANY, rank=(1, 4))
    axis = g.random.randrange(x.rank)
    dims = list(x.dims)
    dims[axis] = g.new_dim()
    require(elements(dims) <= g.elements)
    at = indices(g, dims, x.dims[axis].least)
    return g.emit("GatherElements", [x, at], like(x, dims), axis=None if axis == 0 and g.chance(0.5) else axis - x.rank if g.chance(0.3) else axis)


@op("GatherND", 1, since=11)
def gather_nd(g):
    x = g.pick(dtypes.ANY, rank=(1, 4))
    batch = g.pick_one([0, 0, 1]) if g.opset >= 12 and x.rank > 1 else 0
    count = g.random.randint(1, x.rank - batch)
    least = min(d.least for d in x.dims[batch:batch + count])
    dims = x.dims[:batch] + g.new_dims(g.pick_one([0, 1, 1, 2])) + (Dim.of(count),)
    at = g.source("i64", dims, 0 if g.chance(0.5) else -max(least, 1), max(least, 1) - 1, 1)
    require(least > 0)
    return g.emit("GatherND", [x, at], like(x, dims[:-1] + x.dims[batch + count:]), batch_dims=batch or None)


# --- margins, repeats, blocks

@op("Pad", 4, since=2)
def pad(g):
    x = g.pick(dtypes.NUMBERS, rank=(1, 4))
    modes = ["constant", "constant", "constant", "reflect", "edge"] + (["wrap"] if g.opset >= 19 else [])
    mode = g.pick_one(modes)
    least = [d.least for d in x.dims]
    pads = [g.pick_one([0, 0, 0, 1, 2, 3]) for _ in range(2 * x.rank)]
    for i in range(2 * x.rank):
        size = least[i % x.rank]
        if mode == "reflect":
            pads[i] = max(0, min(pads[i], size - 1))
        elif mode in ("edge", "wrap"):
            pads[i] = pads[i] if size > 0 else 0
        elif g.chance(0.06) and size > 2:
            pads[i] = -1
    if mode == "wrap":
        pads = [min(p, least[i % x.rank]) for i, p in enumerate(pads)]
    dims = [derive(lambda s: s + pads[i] + pads[i + x.rank], d) for i, d in enumerate(x.dims)]
    require(all(d.least >= 0 for d in dims))
    number = g.pick_one([0, 0, 1, -2, 0.5]) if mode == "constant" else 0
    if x.dtype not in dtypes.FLOATS:
        number = abs(int(number))
    outcome = result(x.dtype, dims, min(x.low, number), max(x.high, number), x.grid and min(x.grid, 0.5))
    if x.dtype in dtypes.INTS:
        outcome.grid = 1
    spelled = None if mode == "constant" and g.chance(0.5) else mode
    if g.opset < 11:
        require(x.dtype in dtypes.FLOATS)
        return g.emit("Pad", [x], outcome, pads=pads, value=float(number) if number else None, mode=spelled)
    axes = None
    if g.opset >= 18 and g.chance(0.4):
        used = [i for i in range(x.rank) if pads[i] or pads[i + x.rank]] or [0]
        axes = g.ints([a - x.rank if g.chance(0.3) else a for a in used])
        pads = [pads[i] for i in used] + [pads[i + x.rank] for i in used]
    value = g.literal(number, x.dtype) if mode == "constant" and (number or g.chance(0.3)) else None
    amounts = g.steer(pads)
    outcome.dims = tuple(freed([amounts], outcome.dims))
    return g.emit("Pad", [x, amounts, value, axes], outcome, mode=spelled)


@op("Tile", 1.5, since=6)
def tile(g):
    x = g.pick(dtypes.ANY, rank=(0, 4))
    repeats = [g.pick_one([1, 1, 1, 2, 3, 0 if g.chance(0.05) else 1]) for _ in range(x.rank)]
    dims = [derive(lambda s: s * r, d) for d, r in zip(x.dims, repeats)]
    operand = g.steer(repeats)
    return g.emit("Tile", [x, operand], like(x, freed([operand], dims)))


@op("Expand", 3, since=8)
def expand(g):
    x = g.pick(dtypes.ANY, rank=(0, 4))
    dims = [g.new_dim() if d.is_(1) and g.chance(0.6) else d for d in x.dims]
    front = list(g.new_dims(g.pick_one([0, 0, 1, 1, 2]))) if g.chance(0.7) else [Dim.of(1)]
    asked = front + dims
    if g.chance(0.3):
        asked = [Dim.of(1) if g.chance(0.4) else d for d in asked]
    if g.chance(0.15) and not front:
        asked = asked[1:]
    dims = sizes.broadcast(x.dims, asked)
    require(elements(dims) <= g.elements)
    shape = shape_operand(g, asked)
    return g.emit("Expand", [x, shape], like(x, freed([shape], dims)))


@op("DepthToSpace", 0.6)
def depth_to_space(g):
    block = g.pick_one([1, 2, 2, 3])
    fits = [v for v in g.values if v.rank == 4 and all(s % block**2 == 0 for s in v.dims[1].sizes)]
    made = g.new_dim(), Dim.of(block**2 * g.pick_one([1, 2, 3])), Dim.of(3), g.new_dim()
    x = g.pick_one(fits) if fits and g.chance(0.6) else g.source("f32", made)
    n, c, h, w = x.dims
    dims = [n, derive(lambda s: s // block**2, c), derive(lambda s: s * block, h), derive(lambda s: s * block, w)]
    return g.emit("DepthToSpace", [x], like(x, dims), blocksize=block, mode=attribute(g, "DCR", "CRD") if g.opset >= 11 else None)


@op("SpaceToDepth", 0.6)
def space_to_depth(g):
    block = g.pick_one([1, 2, 2, 3])
    fits = [v for v in g.values if v.rank == 4 and all(s % block == 0 for d in v.dims[2:] for s in d.sizes)]
    made = g.new_dim(), Dim.of(g.pick_one([1, 2, 3])), Dim.of(2 * block), Dim.of(block)
    x = g.pick_one(fits) if fits and g.chance(0.6) else g.source("f32", made)
    n, c, h, w = x.dims
    dims = [n, derive(lambda s: s * block**2, c), derive(lambda s: s // block, h), derive(lambda s: s // block, w)]
    return g.emit("SpaceToDepth", [x], like(x, dims), blocksize=block)


# --- by sizes that are computed

@op("Slice", 1, since=10)
def slice_to_size(g):
    x = g.pick(dtypes.ANY, rank=(1, 4))
    axis = g.random.randrange(x.rank)
    bound = size_vector(g, lambda s: True)
    low = g.chance(0.4)
    dims = list(x.dims)
    dims[axis] = Dim(slice_size(int(b[0]), FAR, 1, s) if low else slice_size(0, int(b[0]), 1, s) for b, s in zip(bound.known, x.dims[axis].sizes))
    operands = [bound, g.ints([FAR])] if low else [g.ints([0]), bound]
    return g.emit("Slice", [x, *operands, g.ints([axis])], like(x, dims))


@op("Tile", 0.6, since=6)
def tile_by_size(g):
    x = g.pick(dtypes.ANY, rank=1)
    count = size_vector(g, lambda s: 0 <= s <= 20)
    return g.emit("Tile", [x, count], like(x, [Dim(int(b[0]) * s for b, s in zip(count.known, x.dims[0].sizes))]))


@op("Pad", 0.6, since=11)
def pad_by_size(g):
    x = g.pick(dtypes.FLOATS, rank=1)
    amount = size_vector(g, lambda s: 0 <= s <= 20)
    pads = compute(g, "Concat", [g.ints([0]), amount], lambda a, b: np.concatenate([a, b]), axis=0)
    outcome = like(x, [Dim(int(b[0]) + s for b, s in zip(amount.known, x.dims[0].sizes))])
    outcome.low, outcome.high = min(x.low, 0), max(x.high, 0)
    return g.emit("Pad", [x, pads], outcome)
