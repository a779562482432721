"""Sizes that only the inputs of a run tell: what must hold between them is checked, and never assumed."""
import kiln
import numpy as np
import pytest

from conftest import graph
from test_cli import kiln as run_kiln


def test_reshape_of_a_size_that_does_not_divide():
    model = kiln.compile(graph([("Reshape", ["x", "s"], ["y"], {})], {"x": ("float32", ["N", 3])},
                               {"y": ("float32", None)}, {"s": np.array([-1, 2])}))
    x = np.arange(12, dtype=np.float32).reshape(4, 3)
    assert (model.run({"x": x})["y"] == x.reshape(-1, 2)).all()
    with pytest.raises(kiln.Error, match="KILN-E0508"):
        model.run({"x": x[:3]})


def test_sizes_that_constants_tell_by_way_of_fractions():
    """As detectors pad images to a multiple of 32: nothing depends on data where the sizes are known."""
    numbers = {"multiple": np.array([4], np.float32), "zeros": np.array([0, 0])}
    nodes = [("Shape", ["x"], ["s"], {}), ("Cast", ["s"], ["f"], {"to": 1}), ("Div", ["f", "multiple"], ["d"], {}), ("Ceil", ["d"], ["c"], {}),
             ("Mul", ["c", "multiple"], ["m"], {}), ("Cast", ["m"], ["t"], {"to": 7}), ("Sub", ["t", "s"], ["e"], {}),
             ("Concat", ["zeros", "e"], ["p"], {"axis": 0}), ("Pad", ["x", "p"], ["y"], {})]
    model = kiln.compile(graph(nodes, {"x": ("float32", [3, 6])}, {"y": ("float32", None)}, numbers), require_compiled=True)
    assert list(model.outputs[0].shape) == [4, 8]
    x = np.ones((3, 6), np.float32)
    np.testing.assert_array_equal(model.run({"x": x})["y"], np.pad(x, ((0, 1), (0, 2))))


def test_squeeze_of_a_size_that_is_not_1():
    model = kiln.compile(graph([("Squeeze", ["x", "axes"], ["y"], {})], {"x": ("float32", ["A", "B"])},
                               {"y": ("float32", None)}, {"axes": np.array([0])}))
    x = np.arange(3, dtype=np.float32)
    assert (model.run({"x": x[None]})["y"] == x).all()
    with pytest.raises(kiln.Error, match="dim 0 is 2, expected 1"):
        model.run({"x": np.ones((2, 3), np.float32)})


def test_product_over_a_computed_size():
    """The classifier of a convolutional network whose images may have any size, but for its weights."""
    rng = np.random.default_rng(0)
    w = rng.standard_normal((10, 36), np.float32)
    model = kiln.compile(graph([("Flatten", ["x"], ["f"], {}), ("Gemm", ["f", "w"], ["y"], {"transB": 1})],
                               {"x": ("float32", ["N", 4, "H", "W"])}, {"y": ("float32", None)}, {"w": w}))
    x = rng.standard_normal((2, 4, 3, 3), np.float32)
    np.testing.assert_allclose(model.run({"x": x})["y"], x.reshape(2, 36) @ w.T, rtol=1e-4, atol=1e-4)
    with pytest.raises(kiln.Error, match="KILN-E0508"):
        model.run({"x": x[:, :, :2]})


@pytest.mark.parametrize("k", [-2**63, -5, -1, 0, 1, 5, 2**63 - 1])
def test_diagonals_far_out(k):
    x = np.arange(12, dtype=np.float32).reshape(3, 4) + 1
    model = kiln.compile(graph([("Trilu", ["x", "k"], ["y"], {})], {"x": ("float32", [3, 4]), "k": ("int64", [])},
                               {"y": ("float32", None)}))
    assert (model.run({"x": x, "k": np.array(k)})["y"] == np.triu(x, min(max(k, -9), 9))).all()


def test_group_normalization_spelled_out():
    """As the standard's function body has it: sizes are found equal in both directions."""
    nodes = [("Shape", ["x"], ["shape"], {}), ("Shape", ["x"], ["c"], {"start": 1, "end": 2}), ("Div", ["c", "groups"], ["each"], {}),
             ("Shape", ["x"], ["n"], {"end": 1}), ("Shape", ["x"], ["image"], {"start": 2}),
             ("Concat", ["n", "groups", "each", "image"], ["grouped"], {"axis": 0}), ("Reshape", ["x", "grouped"], ["g"], {}),
             ("Reshape", ["g", "flat"], ["f"], {}), ("ReduceMean", ["f", "axis"], ["mean"], {}), ("Sub", ["f", "mean"], ["d"], {}),
             ("Reshape", ["d", "shape"], ["back"], {}), ("Reshape", ["back", "flat"], ["b"], {}), ("Reshape", ["scale", "column"], ["s"], {}),
             ("Mul", ["s", "b"], ["scaled"], {}), ("Reshape", ["scaled", "shape"], ["y"], {})]
    model = kiln.compile(graph(nodes, {"x": ("float32", ["N", "C", "H", "W"]), "scale": ("float32", ["S"])}, {"y": ("float32", None)},
                               {"groups": np.array([2]), "flat": np.array([0, 0, -1]), "axis": np.array([2]), "column": np.array([1, -1, 1])}))
    x = np.random.default_rng(0).standard_normal((3, 4, 5, 6)).astype(np.float32)
    scale = np.arange(4, dtype=np.float32)
    grouped = x.reshape(3, 2, -1)
    expected = (grouped - grouped.mean(2, keepdims=True)).reshape(x.shape) * scale[:, None, None]
    np.testing.assert_allclose(model.run({"x": x, "scale": scale})["y"], expected, rtol=1e-4, atol=1e-4)
    with pytest.raises(kiln.Error, match="KILN-E0508"):
        model.run({"x": x[:, :3], "scale": scale[:3]})


def windows(names, strides):
    """Two convolutions of an image of unknown height and width, called `names`."""
    rng = np.random.default_rng(0)
    w = rng.standard_normal((2, 4, 4, 3, 3), np.float32)
    nodes = [("Conv", [["x", "t"][i], f"w{i}"], [["t", "y"][i]], {"pads": [1, 1, 1, 1], "strides": s}) for i, s in enumerate(strides)]
    return graph(nodes, {"x": ("float32", [1, 4, *names])}, {"y": ("float32", None)}, {"w0": w[0], "w1": w[1]})


@pytest.mark.parametrize("names", [("H", "W"), ("d0", "d1"), ("d1", "d0"), ("u0", "part"), ("a b", "a$20b"), ("d$_0", "d$_1"), (None, None)])
def test_sizes_of_windows_whatever_the_dims_are_called(names):
    model = windows(names, [[1, 2], [2, 2]])
    compiled, interpreter = kiln.compile(model), kiln.compile(model, target="interpreter")
    for height, width in [(16, 40), (7, 9), (33, 5)]:
        x = np.random.default_rng(1).standard_normal((1, 4, height, width), np.float32)
        np.testing.assert_allclose(compiled.run({"x": x})["y"], interpreter.run({"x": x})["y"], rtol=1e-4, atol=1e-4)


def test_a_callers_name_is_no_size_that_the_compiler_named(tmp_path):
    """The name `d0` given for a dim of IR text means a size of its own, not the half of another."""
    text = tmp_path / "m.mlir"
    model = tmp_path / "m.onnx"
    model.write_bytes(windows(("H", "W"), [[1, 2], [2, 2]]))
    run_kiln("compile", model, "--stop-after=imported", "-o", text)
    artifact = tmp_path / "m.kiln"
    run_kiln("compile", text, "--shape", "x=1,4,d0,W", "-o", artifact)
    x = np.ones((1, 4, 16, 40), np.float32)
    expected = kiln.compile(model, target="interpreter").run({"x": x})["y"]
    np.testing.assert_allclose(kiln.load(artifact).run({"x": x})["y"], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["check", "in", "floordiv", "min", "%", "check a == b", "<="])
def test_words_of_the_size_table_as_names(name):
    """Sizes with a range and with a definition: both lines begin with the name."""
    model = kiln.compile(graph([("MaxPool", ["x"], ["y"], {"kernel_shape": [3], "strides": [2]})], {"x": ("float32", [1, 1, name])},
                               {"y": ("float32", None)}))
    x = np.arange(9, dtype=np.float32)
    assert (model.run({"x": x[None, None]})["y"] == [[[2, 4, 6, 8]]]).all()


def test_scales_that_broadcast_to_a_size_that_only_a_run_tells():
    model = kiln.compile(graph([("RMSNormalization", ["x", "s"], ["y"], {"axis": 1, "epsilon": 0.0})],
                               {"x": ("float32", ["N", "A", "B"]), "s": ("float32", [1, "S"])}, {"y": ("float32", None)}, opset=23))
    x = np.full((1, 2, 3), 2, np.float32)
    assert (model.run({"x": x, "s": np.array([[1, 2, 3]], np.float32)})["y"] == [[[1, 2, 3]] * 2]).all()
    assert (model.run({"x": x, "s": np.array([[3]], np.float32)})["y"] == 3).all()
    with pytest.raises(kiln.InputError, match="KILN-E0508"):
        model.run({"x": x, "s": np.ones((1, 2), np.float32)})


def test_equal_parts_of_a_size_whose_expression_has_a_minus():
    nodes = [("Slice", ["x", "start", "end", "axis", "step"], ["h"], {}), ("Split", ["h"], ["a", "b"], {"num_outputs": 2})]
    model = kiln.compile(graph(nodes, {"x": ("float32", ["N"])}, {"a": ("float32", None), "b": ("float32", None)},
                               {"start": np.array([-2]), "end": np.array([-2**31]), "axis": np.array([0]), "step": np.array([-2])}))
    for size in (2, 7, 12):
        x = np.arange(size, dtype=np.float32)
        parts, half = model.run({"x": x}), (len(x[-2::-2]) + 1) // 2
        assert (parts["a"] == x[-2::-2][:half]).all() and (parts["b"] == x[-2::-2][half:]).all()


@pytest.mark.parametrize("target", ["interpreter", "host"])
def test_a_constant_under_dims_that_only_a_run_tells(target):
    """Its elements decide what the size may be."""
    nodes = [("Shape", ["x"], ["s"], {}), ("Gather", ["s", "i"], ["n"], {"axis": 0}), ("Concat", ["n", "rest"], ["to"], {"axis": 0}),
             ("Reshape", ["c", "to"], ["y"], {})]
    model = kiln.compile(graph(nodes, {"x": ("float32", ["N"])}, {"y": ("float32", None)},
                               {"i": np.array([0]), "rest": np.array([1, 8]), "c": np.arange(8, dtype=np.float32)}), target=target)
    assert model.run({"x": np.zeros(1, np.float32)})["y"].shape == (1, 1, 8)
    for n in (0, 2):
        with pytest.raises(kiln.Error, match=f"size N\\*8 is {8 * n}; it must be 8 .KILN-E0508"):
            model.run({"x": np.zeros(n, np.float32)})
