"""Models that add to a cache: an input beside which another value is put, along any axis, with every run."""
import copy

import numpy as np
import onnx.helper as oh

from . import dtypes, states

PAST, SEEN, OLD = "cache_past", "cache_seen", "cache_old"


def grown(case, random):
    """The model with a cache that one of its inputs, or what is computed of it, is added to; that input; the cache's dims, with None for
    the axis that it grows along. None where no input lends itself to it."""
    names = states.candidates(case)
    if not names or case.model.opset_import[0].version < 13:
        return None
    added = random.choice(names)
    rank, kind = case.feeds[0][added].ndim, case.values[added].dtype
    axis, order = random.randrange(rank), random.sample(range(rank), rank)
    nodes, outputs, new = [], [states.PRESENT, SEEN], added

    def node(op, inputs, output, **attributes):
        nodes.append(oh.make_node(op, inputs, [output], name=output, **attributes))
        return output
    if kind in ("f32", "f64", "f16", "i64", "i32") and random.random() < 0.5:
        new = node("Neg", [new], "cache_negated")
    if random.random() < 0.6:
        new = node("Transpose", [new], "cache_new", perm=order)
    else:
        order = list(range(rank))
    along = axis - random.choice([0, rank])
    how = random.random()
    if how < 0.5:
        node("Concat", [PAST, *[new] * random.choice([1, 1, 2])], states.PRESENT, axis=along)
    elif how < 0.7:
        node("Concat", [node("Concat", [PAST, new], "cache_longer", axis=along), new], states.PRESENT, axis=axis)
    elif how < 0.85:  # in front of what is there
        node("Concat", [new, PAST], states.PRESENT, axis=along)
    else:  # the last few
        node("Slice", [node("Concat", [PAST, new], "cache_longer", axis=along), "cache_starts", "cache_ends", "cache_axes"], states.PRESENT)
    if random.random() < 0.5:
        node("Transpose", [states.PRESENT], SEEN, perm=random.sample(range(rank), rank))
    else:
        node("Concat", [states.PRESENT, new], SEEN, axis=axis)
    if random.random() < 0.3:
        outputs.append(node("Concat", [PAST, PAST], OLD, axis=axis))
    model = copy.deepcopy(case.model)
    graph, dtype = model.graph, dtypes.ONNX[kind]
    for name, value in (("starts", -random.randrange(1, 9)), ("ends", 1 << 40), ("axes", axis)):
        graph.initializer.append(oh.make_tensor(f"cache_{name}", dtypes.ONNX["i64"], [1], [value]))
    graph.node.extend(nodes)
    graph.input.append(oh.make_tensor_value_info(PAST, dtype, [None] * rank))
    graph.output.extend(oh.make_tensor_value_info(name, dtype, [None] * rank) for name in outputs)
    return model, added, order, axis


def steps(feeds, added, order, axis, random):
    """What the runs are given: the cache before the first one, and other values to add each time."""
    dims = [feeds[added].shape[d] for d in order]
    dims[axis] = random.choice([0, 0, 1, 3])
    past = np.resize(feeds[added], dims) if feeds[added].size else np.zeros(dims, feeds[added].dtype)
    for i in range(states.STEPS):
        yield {**feeds, PAST: past, added: np.ascontiguousarray(np.roll(feeds[added], i))}
