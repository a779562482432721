"""Makes the built package importable and offers the repository's models and small ONNX graphs."""

import pathlib
import sys

import numpy as np
import onnx
import onnx.helper as oh
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODELS = ROOT / "test" / "models"
sys.path.insert(0, str(ROOT / "build" / "python"))


@pytest.fixture(params=sorted(p.name for p in MODELS.iterdir() if p.is_dir()))
def case(request):
    """(path, inputs, expected outputs) of each trained model."""
    folder = MODELS / request.param
    return folder / "model.onnx", dict(np.load(folder / "inputs.npz")), dict(np.load(folder / "outputs.npz"))


@pytest.fixture
def digits():
    return MODELS / "mnist_8" / "model.onnx", dict(np.load(MODELS / "mnist_8" / "inputs.npz"))


def graph(nodes, inputs, outputs, initializers=(), opset=18):
    """Bytes of a model. inputs and outputs: {name: (numpy type, dims)}; nodes: (op, inputs, outputs, attributes)."""
    def info(ports):
        return [oh.make_tensor_value_info(n, oh.np_dtype_to_tensor_dtype(np.dtype(t)), d) for n, (t, d) in ports.items()]
    made = [oh.make_node(op, i, o, name=f"/{op.lower()}{k}", **a) for k, (op, i, o, a) in enumerate(nodes)]
    tensors = [onnx.numpy_helper.from_array(v, n) for n, v in dict(initializers).items()]
    model = oh.make_model(oh.make_graph(made, "g", info(inputs), info(outputs), tensors), opset_imports=[oh.make_opsetid("", opset)])
    return model.SerializeToString()
