"""Kiln: machine-learning models compiled ahead of time.

    model = kiln.compile("model.onnx")      # or kiln.load("model.kiln"), which needs no compiler
    outputs = model.run({"x": x})           # {name: array}, in the graph's output order
    model.save("model.kiln")

Several models as one, with a state that they share:

    model = kiln.compile({"prefill": "a.onnx", "decode": "b.onnx"}, states={"past": "present"})
    state = model.new_state()
    outputs = model.run({"ids": ids}, entry="prefill", state=state)

With weights that live elsewhere, such as those of a PyTorch module that is being trained:

    model = kiln.compile("model.onnx", bind="all")
    weights = module.state_dict()
    model.bind({c.name: weights[c.name] for c in model.constants})
"""

from ._model import Constant, Entry, Model, Port, State, compile, load
from ._errors import Error, InputError, UnsupportedError
from ._kiln import version as _version

__version__ = _version()
__all__ = ["Constant", "Entry", "Error", "InputError", "Model", "Port", "State", "UnsupportedError", "compile", "load"]
