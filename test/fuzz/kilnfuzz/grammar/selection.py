"""Operators whose results have as many entries as data tells. What they select by is an input of known elements, so that the sizes are known here."""
import numpy as np
import onnx.helper as oh
from onnx.reference import ReferenceEvaluator

from .. import dtypes
from ..graph import require, result
from ..sizes import Dim, SETS, elements
from . import op


def shapes(dims):
    return [tuple(d.sizes[at] for d in dims) for at in range(SETS)]


@op("NonZero", 2.5, since=9)
def nonzero(g):
    dims = g.new_dims(g.pick_one([0, 1, 1, 2, 2, 3]))
    dtype = g.new_dtype()
    rng, share = np.random.default_rng(g.random.getrandbits(32)), g.pick_one([0, 0.3, 0.3, 0.8, 1])
    arrays = [(rng.random(shape) < share).astype(dtypes.NUMPY[dtype]) for shape in shapes(dims)]
    x = g.told(arrays, dims)
    g.values.append(x)
    counts = Dim([int(np.count_nonzero(a)) for a in arrays])
    return g.emit("NonZero", [x], result("i64", [Dim.of(len(dims)), counts], 0, max((d.most for d in dims), default=1), 1))


@op("Compress", 1.5, since=9)
def compress(g):
    x = g.pick(dtypes.ANY, rank=(1, 4))
    axis = g.pick_one([None, *range(x.rank)])
    sizes = [elements_at(x.dims, at) for at in range(SETS)] if axis is None else x.dims[axis].sizes
    length = Dim(sizes, axis is not None and x.dims[axis].static) if g.chance(0.7) else Dim.of(g.random.randint(0, min(sizes)))
    rng, share = np.random.default_rng(g.random.getrandbits(32)), g.pick_one([0, 0.3, 0.6, 0.6, 1])
    arrays = [rng.random(shape) < share for shape in shapes([length])]
    kept = Dim([int(a.sum()) for a in arrays])
    dims = [kept] if axis is None else [kept if i == axis else d for i, d in enumerate(x.dims)]
    spelled = axis - x.rank if axis is not None and g.opset >= 11 and g.chance(0.3) else axis
    return g.emit("Compress", [x, g.told(arrays, [length])], result(x.dtype, dims, x.low, x.high, x.grid), axis=spelled)


def elements_at(dims, at):
    return int(np.prod([d.sizes[at] for d in dims], dtype=np.int64))


def different(array, axis):
    """How many slices along an axis differ."""
    lines = np.moveaxis(array, axis, 0)
    return len({line.tobytes() for line in lines})


@op("Unique", 2, since=11)
def unique(g):
    """Of few numbers, so that some are equal; all four results, or some."""
    dims = g.new_dims(g.pick_one([1, 1, 2, 3]))
    axis = g.pick_one([None, *range(len(dims))])
    require(axis is None or elements([d for i, d in enumerate(dims) if i != axis]) > 0)
    dtype = g.pick_one(["f32", "f32", "f64", "i32", "i64", "i8", "u8"])
    rng, most = np.random.default_rng(g.random.getrandbits(32)), g.pick_one([0, 1, 3, 20])
    arrays = [rng.integers(0, most, shape, endpoint=True).astype(dtypes.NUMPY[dtype]) for shape in shapes(dims)]
    counts = Dim([different(a.ravel() if axis is None else a, axis or 0) for a in arrays])
    total = Dim([a.size for a in arrays]) if axis is None else dims[axis]
    kept = [counts] if axis is None else [counts if i == axis else d for i, d in enumerate(dims)]
    outcomes = [result(dtype, kept, 0, most, 1)] + [result("i64", [d], 0, max(total.most, 1), 1) for d in (counts, total, counts)]
    wanted = 1 + g.random.randrange(15)
    outcomes = [o if wanted >> i & 1 else None for i, o in enumerate(outcomes)]
    outcomes[0] = outcomes[0] or result(dtype, kept, 0, most, 1)
    while outcomes[-1] is None:
        outcomes.pop()
    spelled = axis - len(dims) if axis is not None and g.chance(0.3) else axis
    return g.node("Unique", [g.told(arrays, dims)], outcomes, axis=spelled, sorted=g.pick_one([None, 0, 1]))


@op("NonMaxSuppression", 2, since=10)
def non_max_suppression(g):
    """Corners on a grid, scores that differ, and a threshold that no quotient of areas hits."""
    batches, classes, spatial = g.new_dims(3)
    require(elements([batches, classes, spatial]) <= 400)
    rng = np.random.default_rng(g.random.getrandbits(32))
    scores = [rng.permutation(int(np.prod(s))).reshape(s).astype(np.float32) / 512 for s in shapes([batches, classes, spatial])]
    boxes = [rng.integers(0, 9, s).astype(np.float32) for s in shapes([batches, spatial, Dim.of(4)])]
    center = g.pick_one([None, 0, 1])
    limits = [np.array([g.pick_one([0, 1, 3, 50])], np.int64), np.array([g.pick_one([0.3701, 0.6101])], np.float32),
              np.array([g.pick_one([0.0005, 0.1003])], np.float32)]
    given = g.pick_one([0, 1, 2, 3, 3])
    absent = [np.array([0], np.int64), np.array([0], np.float32), np.array([-1], np.float32)]  # as the standard says
    limits = limits[:given] + absent[given:]
    names = ["boxes", "scores", "most", "overlap", "least"]
    node = oh.make_node("NonMaxSuppression", names, ["y"], **({} if center is None else {"center_point_box": center}))
    reference = ReferenceEvaluator(node)
    selected = [reference.run(None, dict(zip(names, [b, s, *limits])))[0] if s.size and b.size else np.zeros((0, 3)) for b, s in zip(boxes, scores)]
    operands = [g.told(boxes, [batches, spatial, Dim.of(4)]), g.told(scores, [batches, classes, spatial])]
    operands += [g.told([a] * SETS) if g.chance(g.data) else g.constant(a) for a in limits[:given]]
    most = max(batches.most, classes.most, spatial.most)
    return g.emit("NonMaxSuppression", operands, result("i64", [Dim([len(s) for s in selected]), Dim.of(3)], 0, most, 1), center_point_box=center)
