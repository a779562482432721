"""From a seed to a case: a model and its inputs at three sets of sizes."""
import dataclasses
import typing

import numpy as np
import onnx

from . import grammar, patterns, dtypes
from .control import captured
from .graph import Graph, Reject, make_array, model_of
from .sizes import SETS

OPSETS = [21] * 6 + [18] * 4 + [17] * 4 + [13] * 4 + [23] * 4 + [24] * 2 + [11] * 2 + [12, 14, 15, 16, 19, 20, 22, 9, 10, 8, 7, 6, 25, 26, 27, 28, 28]


class Known(typing.NamedTuple):
    """What the generator knows of a value."""
    dtype: str
    dims: tuple
    steers: bool  # its elements are sizes, or may be asked for when compiling


@dataclasses.dataclass
class Case:
    seed: int
    model: object    # onnx.ModelProto
    feeds: list      # for each set of sizes {input: array}
    tags: frozenset  # why some way does not apply
    values: dict     # {name: Known}


def add_nodes(graph, count):
    """Adds about so many nodes, by entries chosen by weight."""
    entries = [e for e in grammar.ENTRIES if e.since <= graph.opset <= e.last]
    weights = [e.weight for e in entries]
    tries = 0
    while sum(n.op != "Constant" for n in graph.nodes) < count and tries < 20 * count + 40:
        tries += 1
        before = len(graph.nodes), len(graph.values), len(graph.inputs), set(graph.initializers), set(graph.symbols)
        try:
            if graph.chance(0.12):
                graph.random.choices(patterns.PATTERNS, [p.weight for p in patterns.PATTERNS])[0].make(graph)
            else:
                graph.random.choices(entries, weights)[0].make(graph)
        except Reject:
            undo(graph, *before)


def undo(graph, nodes, values, inputs, initializers, symbols):
    """Forgets what a rejected entry has made on its way."""
    del graph.nodes[nodes:], graph.values[values:], graph.inputs[inputs:]
    graph.initializers = {n: a for n, a in graph.initializers.items() if n in initializers}
    graph.symbols = {n: d for n, d in graph.symbols.items() if n in symbols}


def choose_outputs(graph):
    """Values that nobody reads, and a few others."""
    read = {name for node in graph.nodes for name in node.inputs}
    made = {name for node in graph.nodes for name in node.outputs if node.op != "Constant"}
    loose = [v for v in graph.values if v.name in made and v.name not in read]
    inner = [v for v in graph.values if v.name in made and v.name in read]
    if len(loose) > 3 and graph.chance(0.3):
        loose = graph.random.sample(loose, graph.random.randint(2, len(loose)))
    outputs = loose + [v for v in inner if graph.chance(0.15)]
    if graph.inputs and graph.chance(0.02):
        outputs.append(graph.inputs[0].value)
    graph.random.shuffle(outputs)
    return outputs


def prune(graph, outputs):
    """Leaves out nodes, inputs and constants that no output needs."""
    needed = {v.name for v in outputs}
    kept = []
    for node in reversed(graph.nodes):
        if needed & set(node.outputs) or graph.chance(0.02):
            needed |= set(node.inputs)
            for graph_inside in (a for a in node.attributes.values() if isinstance(a, onnx.GraphProto)):
                needed |= captured(graph_inside)
            kept.append(node)
    graph.nodes = kept[::-1]
    graph.inputs = [i for i in graph.inputs if i.value.name in needed or graph.chance(0.02)]
    graph.initializers = {n: a for n, a in graph.initializers.items() if n in needed}


def feeds_of(graph, seed):
    """Inputs at each set of sizes."""
    rng = np.random.default_rng(seed)
    return [{i.value.name: i.arrays[at] if i.arrays else make_array(rng, i.value, at) for i in graph.inputs} for at in range(SETS)]


def finish(graph, seed):
    outputs = []
    while not outputs:
        outputs = choose_outputs(graph)
        if not outputs:
            add_nodes(graph, len(graph.nodes) + 2)
    prune(graph, outputs)
    values = {v.name: Known(v.dtype, v.dims, v.known is not None or v.told) for v in [*graph.values, *(i.value for i in graph.inputs)]}
    return Case(seed, model_of(graph, outputs), feeds_of(graph, seed), frozenset(graph.tags), values)


def generate(seed):
    graph = Graph(seed)
    graph.opset = graph.pick_one(OPSETS)
    if graph.chance(0.8):  # most models keep to few types
        graph.types = {graph.new_dtype(dtypes.FLOATS), "i64", "bool"} | ({graph.new_dtype()} if graph.chance(0.5) else set())
    add_nodes(graph, graph.pick_one([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 16]))
    return finish(graph, seed)
