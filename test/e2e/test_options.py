"""Options of a compilation, as the command, Python and C read them."""

import numpy as np
import pytest

import kiln
from conftest import graph
from test_cli import kiln as command, refused

F = np.float32


def add(path, a=("N", 3), b=("N", 3)):
    path.write_bytes(graph([("Add", ["a", "b"], ["y"], {})], {"a": (F, a), "b": (F, b)}, {"y": (F, ["?"] * max(len(a), len(b)))}))
    return path


@pytest.mark.parametrize("level", ["strict", "fast"])
def test_precision_that_is_not_built_is_refused(tmp_path, level):
    model = add(tmp_path / "m.onnx")
    text = f'precision "{level}" is not supported yet; only "default" is supported so far [KILN-E0701]'
    assert refused("compile", model, "-o", tmp_path / "m.kiln", "--precision", level, code=2) == f"kiln: {text}\n"
    with pytest.raises(kiln.Error) as caught:
        kiln.compile(model, precision=level)
    assert text in str(caught.value)


def imported(tmp_path, stage="imported", **dims):
    text = tmp_path / f"{stage}.mlir"
    command("compile", add(tmp_path / "m.onnx", **dims), "--stop-after", stage, "-o", text)
    return text


def test_shapes_of_ir_text(tmp_path):
    text = imported(tmp_path)
    fixed = command("compile", text, "--stop-after", "canonical", "--shape", "a=4x3").stdout
    assert fixed == command("compile", tmp_path / "m.onnx", "--stop-after", "canonical", "--shape", "a=4x3").stdout
    assert "tensor<4x3xf32>" in fixed and "kiln.dims" not in fixed
    ranged = command("compile", text, "--stop-after", "canonical", "--shape", "b=2..8x3").stdout
    assert '"N in 2..8"' in ranged
    named = command("compile", text, "--stop-after", "canonical", "--shape", "b=batch,3").stdout
    assert named.count("kiln.dims<[batch, 3]>") >= 3 and "N" not in named.replace("NaN", "")


@pytest.mark.parametrize("shape, text", [
    ("c=4x3", 'a shape is given for "c", which is no input of the model; its inputs are "a", "b" [KILN-E0501]'),
    ("a=4x5", 'shape of input "a", dim 1: 5 is given; the model fixes it to 3 [KILN-E0701]'),
    ("a=4", 'shape of input "a": 1 dims are given; the model has 2 [KILN-E0701]'),
])
def test_shapes_that_do_not_fit_ir_text(tmp_path, shape, text):
    path = imported(tmp_path)
    assert command("compile", path, "-o", tmp_path / "m.kiln", "--shape", shape, code=None).stderr == f"kiln: {path}: {text}\n"


def test_shapes_of_later_ir_are_refused(tmp_path):
    path = imported(tmp_path, "canonical")
    assert refused("compile", path, "-o", tmp_path / "m.kiln", "--shape", "a=4x3", code=2) == (
        f"kiln: {path}: shapes are given, but the sizes of IR at stage canonical are settled; "
        "give them with the model, or with IR at stage imported [KILN-E0703]\n")


def test_kernels_are_not_interpreted(tmp_path):
    path = imported(tmp_path, "kernels")
    text = 'the module holds kernels, which target "interpreter" cannot run [KILN-E0703]'
    assert text in refused("compile", path, "-o", tmp_path / "m.kiln", "--target", "interpreter", code=2)


def test_an_empty_model(tmp_path):
    (tmp_path / "m.onnx").write_bytes(b"")
    assert refused("compile", tmp_path / "m.onnx", "-o", tmp_path / "m.kiln", code=1) == f"kiln: {tmp_path / 'm.onnx'}: is empty [KILN-E0102]\n"


def test_sizes_that_do_not_broadcast_are_named(tmp_path):
    model = kiln.compile(add(tmp_path / "m.onnx", a=("N",), b=("K",)))
    with pytest.raises(kiln.InputError) as caught:
        model.run({"a": np.ones(2, F), "b": np.ones(3, F)})
    assert 'dim 0 of "a" is 2 (N) and dim 0 of "b" is 3 (K); they must be equal, or one of them 1 [KILN-E0508]' in str(caught.value)
    large = np.ones(3_000_000, F)
    assert (model.run({"a": large, "b": large})["y"] == 2).all()
    assert (model.run({"a": large[:1], "b": large})["y"] == 2).all()


@pytest.mark.parametrize("op, attributes, least", [
    ("Conv", {"strides": [2, 2]}, 5), ("Conv", {"strides": [1, 1], "pads": [1, 2, 1, 1]}, 3), ("Conv", {"dilations": [2, 2]}, 9),
    ("MaxPool", {"strides": [2, 2], "kernel_shape": [5, 5]}, 5), ("MaxPool", {"strides": [3, 3], "kernel_shape": [5, 5], "ceil_mode": 1}, 3)])
def test_windows_that_do_not_fit_a_size_that_only_a_run_tells(op, attributes, least):
    conv = op == "Conv"
    nodes = [("Relu", ["x"], ["h"], {}), (op, ["h", "w"] if conv else ["h"], ["y"], attributes)]
    model = kiln.compile(graph(nodes, {"x": (F, [1, 2, "H", 16])}, {"y": (F, [1, None, None, None])},
                               {"w": np.ones((3, 2, 5, 5), F)} if conv else {}))
    assert model.run({"x": np.ones((1, 2, least, 16), F)})["y"].shape[2] == 1
    for size in range(1, least):
        with pytest.raises(kiln.InputError) as caught:
            model.run({"x": np.ones((1, 2, size, 16), F)})
        assert f"H is {size}, allowed is at least {least} [KILN-E0507]" in str(caught.value)


def test_derived_sizes_that_a_window_does_not_fit():
    nodes = [("MaxPool", ["x"], ["h"], {"strides": [2, 2], "kernel_shape": [2, 2]}), ("MaxPool", ["h"], ["y"], {"kernel_shape": [4, 4]})]
    model = kiln.compile(graph(nodes, {"x": (F, [1, 1, "H", 16])}, {"y": (F, [1, 1, None, None])}))
    assert model.run({"x": np.ones((1, 1, 8, 16), F)})["y"].shape == (1, 1, 1, 5)
    with pytest.raises(kiln.InputError) as caught:
        model.run({"x": np.ones((1, 1, 7, 16), F)})
    assert "E0507" in str(caught.value)


BIG = 2**40


@pytest.mark.parametrize("nodes, inputs, text", [
    ([("Relu", ["x"], ["y"], {})], {"x": (F, [BIG, BIG])}, f'input "x": a tensor f32[{BIG},{BIG}] is larger than any memory [KILN-E0308]'),
    ([("Relu", ["x"], ["y"], {})], {"x": (F, [2**62])}, f'input "x": a tensor f32[{2**62}] is larger than any memory [KILN-E0308]'),
    ([("Relu", ["x"], ["y"], {})], {"x": (F, [1] * 70)}, 'input "x": a tensor of 70 dims; at most 64 are supported [KILN-E0207]'),
    ([("Add", ["x", "z"], ["y"], {})], {"x": (F, [2**32, 1]), "z": (F, [2**32])},
     f'node "/add0": a tensor f32[{2**32},{2**32}] is larger than any memory [KILN-E0308]'),
    ([("Reshape", ["x", "s"], ["y"], {})], {"x": (F, [2, 3])}, "KILN-E0308"),
])
def test_sizes_beyond_any_memory_are_named(nodes, inputs, text):
    with pytest.raises(kiln.Error) as caught:
        kiln.compile(graph(nodes, inputs, {"y": (F, None)}, {"s": np.array([2**62, 4])} if nodes[0][0] == "Reshape" else {}))
    assert text in str(caught.value)


def test_an_output_that_is_listed_twice(tmp_path):
    import onnx
    model = onnx.load_from_string(add(tmp_path / "m.onnx").read_bytes())
    model.graph.output.append(model.graph.output[0])
    with pytest.raises(kiln.Error) as caught:
        kiln.compile(model.SerializeToString())
    assert 'output "y" of the graph is listed twice [KILN-E0303]' in str(caught.value)


@pytest.mark.parametrize("version", [0, -1, 999])
def test_opsets_that_are_not_known(tmp_path, version):
    with pytest.raises(kiln.UnsupportedError) as caught:
        kiln.compile(graph([("Relu", ["x"], ["y"], {})], {"x": (F, [2])}, {"y": (F, [2])}, opset=version))
    assert f"opset {version} is not supported; versions 1 to 28 are [KILN-E0202]" in str(caught.value)


@pytest.mark.parametrize("name, shown, code", [
    (b"a\0b\x01c", r"a\x00b\x01c", 301), (b"caf\xe9", r"caf\xe9", 301),  # no names at all
    (b"a\x01c", r"a\x01c", 304), ("größe_漢字".encode(), "größe_漢字", 304), (b"n" * 100_000, "nnn...(", 304)])
def test_names_of_any_bytes_in_errors(tmp_path, name, shown, code):
    mark = b"Q" * len(name)
    model = graph([("Reshape", ["x", "s"], ["y"], {})], {"x": (F, [2, 3])}, {"y": (F, None)}, {"s": np.array([4])})
    import onnx
    proto = onnx.load_from_string(model)
    proto.graph.node[0].name = mark.decode()
    path = tmp_path / "m.onnx"
    path.write_bytes(proto.SerializeToString().replace(mark, name))
    with pytest.raises(kiln.Error) as caught:
        kiln.compile(path)
    text = str(caught.value)
    assert shown in text and text.endswith(f"[KILN-E0{code}]") and len(text) < 1000
    assert shown in refused("compile", path, "-o", tmp_path / "m.kiln", code=1)
