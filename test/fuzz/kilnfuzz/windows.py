"""Chains of two to four convolutions and pools over images of unknown height and width: the sizes of one are windows of windows."""
from .generate import finish, undo
from .grammar.window import WINDOWS
from .graph import Graph, Reject
from .sizes import SETS, Dim

NAMES = ["H", "W", "d0", "d1", "d2", "u0", "u1", "part", "a b", "x:y", "", "é", "漢字", "x_2", "x_3", "N", "d0 = W", "s0", "min", "floordiv"]


def spatial_dims(graph):
    """Height and width with their names: mostly two, now and then one for both."""
    names = graph.random.sample(NAMES, 2) if graph.chance(0.9) else [graph.pick_one(NAMES)] * 2
    dims = []
    for name in names:
        dim = graph.symbols.get(name) or Dim([graph.random.randint(9, 41) for _ in range(SETS)])
        if name:
            graph.symbols[name] = dim
        dims.append(dim)
    return names, dims


def chain(seed):
    graph = Graph(seed)
    graph.opset = graph.pick_one([11, 13, 17, 18, 19, 21, 22])
    graph.constants = 1
    names, spatial = spatial_dims(graph)
    batch, channels = Dim.of(graph.pick_one([1, 1, 2])), Dim.of(graph.pick_one([1, 3, 4, 8]))
    x = graph.source("f32", [batch, channels, *spatial], -2, 2, constant=False)
    graph.inputs[0].declared = [batch.sizes[0], channels.sizes[0], *names]
    length = graph.random.randint(2, 4)
    for _ in range(60):
        before = len(graph.nodes), len(graph.values), len(graph.inputs), set(graph.initializers), set(graph.symbols)
        try:
            results = graph.pick_one([WINDOWS["Conv"]] * 2 + list(WINDOWS.values()))(graph, x)
            x = results[0] if isinstance(results, list) else results  # positions lead nowhere
            length -= 1
        except Reject:
            undo(graph, *before)
        if length == 0:
            break
        if len(graph.nodes) > before[0] and graph.chance(0.2):
            x = graph.emit("Relu", [x], x)
    return finish(graph, seed)
