"""Kiln: machine-learning models compiled ahead of time.

    model = kiln.compile("model.onnx")      # or kiln.load("model.kiln"), which needs no compiler
    outputs = model.run({"x": x})           # {name: array}, in the graph's output order
    model.save("model.kiln")

Several models as one, with a state that they share:

    model = kiln.compile({"prefill": "a.onnx", "decode": "b.onnx"}, states={"past": "present"})
    state = model.new_state()
    outputs = model.run({"ids": ids}, entry="prefill", state=state)
"""

from ._model import Entry, Model, Port, State, compile, load
from ._errors import Error, InputError, UnsupportedError
from ._kiln import version as _version

__version__ = _version()
__all__ = ["Entry", "Error", "InputError", "Model", "Port", "State", "UnsupportedError", "compile", "load"]
