"""Kiln: machine-learning models compiled ahead of time.

    model = kiln.compile("model.onnx")      # or kiln.load("model.kiln"), which needs no compiler
    outputs = model.run({"x": x})           # {name: array}, in the graph's output order
    model.save("model.kiln")
"""

from ._model import Model, Port, compile, load
from ._errors import Error, InputError, UnsupportedError
from ._kiln import version as _version

__version__ = _version()
__all__ = ["Error", "InputError", "Model", "Port", "UnsupportedError", "compile", "load"]
