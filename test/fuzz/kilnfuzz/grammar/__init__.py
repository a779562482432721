"""What operators there are. An entry is a function that adds one node (or a few) to a graph from what is at hand; it raises Reject where
nothing fits. `@op(NAME, ...)` registers it under the ONNX operators that it makes."""
import dataclasses
import importlib
import typing


@dataclasses.dataclass
class Entry:
    operator: str
    make: typing.Callable
    weight: float
    since: int
    last: int


ENTRIES = []


def op(operator, weight=1.0, since=1, last=99):
    """Registers a function (graph) as the maker of an operator, for opsets since..last."""
    def register(make):
        ENTRIES.append(Entry(operator, make, weight, since, last))
        return make
    return register


for _module in ("elementwise", "reduce", "movement", "shapes", "products", "window", "norm", "attention", "fused", "index", "sampling", "selection", "quantize", "recurrent", "signal", "statespace", "training", "vision"):
    importlib.import_module(f"{__name__}.{_module}")


def operators():
    """Names of the ONNX operators that the grammar knows."""
    return {entry.operator for entry in ENTRIES}
