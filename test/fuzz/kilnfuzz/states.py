"""Models that change a part of one of their inputs: run with that input as a state, and with it passed in and out."""
import copy

import numpy as np
import onnx.helper as oh

from . import dtypes, engine

PRESENT, AT, UPDATE = "state_present", "state_at", "state_update"
STEPS = 3


def candidates(case):
    """Inputs of which elements may change places: they tell no sizes."""
    return [name for name in case.feeds[0]
            if not case.values[name].steers and case.values[name].dtype != "bf16" and all(f[name].ndim and min(f[name].shape) > 0 for f in case.feeds)]


def updated(case, random):
    """The model with an element put into one of its inputs, before all or some of the input's readers; the input; whether indices are
    tuples. None where no input lends itself to it."""
    names = candidates(case)
    if not names or case.model.opset_import[0].version < 13:
        return None
    past, tuples = random.choice(names), random.random() < 0.5
    rank, dtype = case.feeds[0][past].ndim, dtypes.ONNX[case.values[past].dtype]
    model = copy.deepcopy(case.model)
    graph = model.graph
    new = "state_new"
    for node in graph.node:
        node.input[:] = [new if name == past and random.random() < 0.8 else name for name in node.input]
    made = [oh.make_node("ScatterND", [past, AT, UPDATE], [new], name=new) if tuples else
            oh.make_node("ScatterElements", [past, AT, UPDATE], [new], name=new, axis=random.randrange(-rank, rank))]
    how = random.random()
    if how < 0.5:
        made[0].output[0] = PRESENT
        for node in graph.node:
            node.input[:] = [PRESENT if name == new else name for name in node.input]
    elif how < 0.75:  # once more
        made.append(oh.make_node(made[0].op_type, [new, AT, UPDATE], [PRESENT], name=PRESENT, **({} if tuples else {"axis": 0})))
    else:  # by an op that sees all of it
        made.append(oh.make_node("Where", ["state_keep", new, past], [PRESENT], name=PRESENT))
        graph.initializer.append(oh.make_tensor("state_keep", dtypes.ONNX["bool"], [1], [random.random() < 0.7]))
    nodes = [*made, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    ones = [1, rank] if tuples else [1] * rank
    graph.input.extend([oh.make_tensor_value_info(AT, dtypes.ONNX["i64"], ones), oh.make_tensor_value_info(UPDATE, dtype, ones[:1] if tuples else ones)])
    graph.output.append(oh.make_tensor_value_info(PRESENT, dtype, [None] * rank))
    return model, past, tuples


def steps(case, feeds, past, tuples, random):
    """What the runs are given besides the state: where an element goes, and which."""
    value = feeds[past]
    for _ in range(STEPS):
        element = value.flat[random.randrange(value.size)]
        if tuples:
            at = np.array([[random.randrange(-n, n) for n in value.shape]])
            yield {**feeds, AT: at, UPDATE: np.full([1], element, value.dtype)}
        else:
            least = min(value.shape)
            yield {**feeds, AT: np.full([1] * value.ndim, random.randrange(-least, least)), UPDATE: np.full([1] * value.ndim, element, value.dtype)}


def passed(model, past, given):
    """Outcomes of the steps, each with the new value among its outputs, where it is passed from one to the next."""
    outcomes, value = [], given[0][past]
    for feeds in given:
        outcomes.append(engine.run(model, {**feeds, past: value}))
        if not outcomes[-1].ok:
            break
        value = outcomes[-1].outputs[PRESENT]
    return outcomes


def kept(model, past, given):
    """The same with a state."""
    value = given[0][past]
    kind = model.states[0]
    sizes = {size: value.shape[i] for i, size in enumerate(kind.shape) if isinstance(size, str) and i != kind.growing}
    state = model.new_state(sizes)
    state[past] = value
    outcomes = []
    for feeds in given:
        outcomes.append(engine.run(model, feeds, state=state))
        if not outcomes[-1].ok:
            break
        outcomes[-1].outputs[PRESENT] = state[past]
    return outcomes
