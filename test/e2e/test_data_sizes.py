"""Sizes that only data tells: every op that tells one, what goes on with them, and what is refused."""
import json

import numpy as np
import pytest
from onnx import TensorProto as T
from onnx import helper as h

import kiln
from test_cli import kiln as command
from test_cli import refused
from test_control_flow import F, graph, model, run_everywhere, value

I = np.int64


def test_what_follows_a_selection(tmp_path):
    """The entries above 0, softmaxed: contraction, normalisation and movement at a size that only x tells."""
    nodes = [h.make_node("Greater", ["x", "zero"], ["c"]), h.make_node("Compress", ["x", "c"], ["k"]),
             h.make_node("Unsqueeze", ["k", "zeroth"], ["r"]), h.make_node("Softmax", ["r"], ["s"]),
             h.make_node("Transpose", ["s"], ["t"], perm=[1, 0]), h.make_node("MatMul", ["t", "r"], ["y"])]
    path = model(tmp_path / "m.onnx", nodes, [value("x", T.FLOAT, ["N"])], [value("y", T.FLOAT, ["K", "K"])],
                 {"zero": F(0), "zeroth": I([0])})
    compiled = kiln.compile(path)
    for n in (1, 7, 64, 0, 7):
        x = np.random.default_rng(n).standard_normal(n).astype(F)
        kept = x[x > 0]
        e = np.exp(kept - kept.max(initial=-np.inf))
        expected = np.outer(e / e.sum(), kept)
        np.testing.assert_allclose(run_everywhere(path, {"x": x}), expected, rtol=1e-5)
        np.testing.assert_allclose(compiled.run({"x": x})["y"], expected, rtol=1e-5)


def test_two_selections_of_one_size(tmp_path):
    """Two results of a size each meet; equal ones are added, others are a refused run."""
    nodes = [h.make_node("Compress", ["x", "c"], ["a"], axis=0), h.make_node("Compress", ["x", "d"], ["b"], axis=0),
             h.make_node("Concat", ["a", "b"], ["j"], axis=1, name="join"), h.make_node("Neg", ["j"], ["y"])]
    path = model(tmp_path / "m.onnx", nodes, [value("x", T.FLOAT, ["N", 1]), value("c", T.BOOL, ["N"]), value("d", T.BOOL, ["N"])],
                 [value("y", T.FLOAT, ["K", 2])])
    x = np.arange(4, dtype=F).reshape(4, 1)
    c, d = np.array([1, 1, 0, 0], bool), np.array([0, 1, 0, 1], bool)
    np.testing.assert_array_equal(run_everywhere(path, {"x": x, "c": c, "d": d}), -np.concatenate([x[c], x[d]], axis=1))
    for options in ({}, {"target": "interpreter"}):
        with pytest.raises(kiln.Error, match="E05"):
            kiln.compile(path, **options).run({"x": x, "c": c, "d": ~c | d})


def test_a_shape_that_is_an_input(tmp_path):
    nodes = [h.make_node("Reshape", ["x", "s"], ["r"]), h.make_node("Expand", ["r", "e"], ["w"]), h.make_node("Neg", ["w"], ["y"])]
    path = model(tmp_path / "m.onnx", nodes, [value("x", T.FLOAT, ["N"]), value("s", T.INT64, [2]), value("e", T.INT64, [3])],
                 [value("y", T.FLOAT, ["a", "b", "c"])])
    x = np.arange(12, dtype=F)
    for shape, target in (([3, 4], [2, 3, 4]), ([-1, 2], [1, 6, 2]), ([12, 1], [2, 12, 3]), ([0, 1], [0, 12, 1])):
        feeds = {"x": x, "s": I(shape), "e": I(target)}
        np.testing.assert_array_equal(run_everywhere(path, feeds), -np.broadcast_to(x.reshape([n or 12 for n in shape]), target))
    compiled = kiln.compile(path)
    for shape, target in (([5, 2], [1, 5, 2]), ([3, 4], [2, 5, 4]), ([-2, 6], [1, 1, 1]), ([3, 4], [-7, 3, 4]), ([2**40, 2**40], [1, 1, 1])):
        with pytest.raises(kiln.Error, match=r'"(/?r|w|/?reshape|.*)"'):
            compiled.run({"x": x, "s": I(shape), "e": I(target)})
    np.testing.assert_array_equal(compiled.run({"x": x, "s": I([3, 4]), "e": I([1, 3, 4])})["y"], -x.reshape(1, 3, 4))


def test_a_size_is_told_by_what_nothing_else_uses(tmp_path):
    """How many entries are not 0, and as many ones."""
    nodes = [h.make_node("NonZero", ["x"], ["n"]), h.make_node("Shape", ["n"], ["s"]), h.make_node("Expand", ["one", "s"], ["y"])]
    path = model(tmp_path / "m.onnx", nodes, [value("x", T.FLOAT, ["N", "M"])], [value("y", T.FLOAT, [2, "K"])], {"one": F(1)})
    for count in (0, 1, 4):
        x = np.arange(6, dtype=F).reshape(2, 3) < count
        np.testing.assert_array_equal(run_everywhere(path, {"x": x.astype(F)}), np.ones((2, count), F))


def test_in_a_loop(tmp_path):
    """x without its least entry, again and again: each iteration has a size that the one before told."""
    body = h.make_graph([h.make_node("ReduceMin", ["v"], ["low"], keepdims=1), h.make_node("Greater", ["v", "low"], ["keep"]),
                         h.make_node("Compress", ["v", "keep"], ["w"]), h.make_node("Identity", ["c"], ["d"])], "body",
                        [value("i", T.INT64, []), value("c", T.BOOL, []), value("v", T.FLOAT, ["K"])],
                        [value("d", T.BOOL, []), value("w", T.FLOAT, ["M"])])
    nodes = [h.make_node("Loop", ["n", "", "x"], ["y"], body=body)]
    path = model(tmp_path / "m.onnx", nodes, [value("n", T.INT64, []), value("x", T.FLOAT, ["N"])], [value("y", T.FLOAT, ["K"])])
    x = np.random.default_rng(0).permutation(9).astype(F)
    for n in (0, 1, 5):
        np.testing.assert_array_equal(run_everywhere(path, {"x": x, "n": I(n)}), x[x >= n])


def test_ranks_from_data_are_refused(tmp_path):
    path = model(tmp_path / "m.onnx", [h.make_node("Reshape", ["x", "s"], ["y"], name="view")],
                 [value("x", T.FLOAT, ["N"]), value("s", T.INT64, ["R"])], [h.make_tensor_value_info("y", T.FLOAT, None)])
    assert refused("compile", path, "-o", tmp_path / "m.kiln", code=3) == (
        'kiln: m.onnx: node "view" (Reshape, opset 17): the rank of the result depends on data: the length of shape is not known [KILN-E0208]\n')


def test_inspect_shows_what_waits(tmp_path):
    path = model(tmp_path / "m.onnx", [h.make_node("NonZero", ["x"], ["n"]), h.make_node("Neg", ["n"], ["y"])], [value("x", T.FLOAT, ["N"])],
                 [value("y", T.INT64, [1, "K"])])
    steps = json.loads(command("inspect", path, "--json").stdout)["steps"]
    assert [step["function"] for step in steps] == ["main", "main", "main..1"]


def test_split_into_sizes_from_data(tmp_path):
    """Sizes that do not sum up, or are negative, are refused: no part may be another one than was asked for."""
    path = model(tmp_path / "m.onnx", [h.make_node("Split", ["x", "s"], ["a", "b"], axis=1, name="split"), h.make_node("Neg", ["a"], ["y"]),
                                       h.make_node("Neg", ["b"], ["z"])],
                 [value("x", T.FLOAT, ["N", 3]), value("s", T.INT64, [2])], [value("y", T.FLOAT, ["N", "K"]), value("z", T.FLOAT, ["N", "L"])])
    x = np.arange(6, dtype=F).reshape(2, 3)
    for left in range(4):
        feeds = {"x": x, "s": I([left, 3 - left])}
        np.testing.assert_array_equal(run_everywhere(path, feeds), -x[:, :left])
        np.testing.assert_array_equal(run_everywhere(path, feeds, "z"), -x[:, left:])
    for options in ({}, {"target": "interpreter"}):
        compiled = kiln.compile(path, **options)
        for sizes in ([1, 1], [1, 3], [0, 2**62], [0, -1], [-1, 4], [4, -1], [2, 2], [2**63 - 1, 2]):
            with pytest.raises(kiln.Error, match='node "split"'):
                compiled.run({"x": x, "s": I(sizes)})


def test_split_into_sizes_from_shapes(tmp_path):
    nodes = [h.make_node("Shape", ["t"], ["s"]), h.make_node("Split", ["x", "s"], ["y", "z"], axis=0, name="split")]
    path = model(tmp_path / "m.onnx", nodes, [value("x", T.FLOAT, ["N"]), value("t", T.FLOAT, ["A", "B"])], [value("y", T.FLOAT, ["A"]), value("z", T.FLOAT, ["B"])])
    x = np.arange(5, dtype=F)
    np.testing.assert_array_equal(run_everywhere(path, {"x": x, "t": np.zeros((2, 3), F)}, "z"), x[2:])
    with pytest.raises(kiln.Error, match="E050"):
        kiln.compile(path).run({"x": x, "t": np.zeros((2, 2), F)})


def test_an_empty_result_is_an_input_again(tmp_path):
    path = model(tmp_path / "m.onnx", [h.make_node("Neg", ["x"], ["y"])], [value("x", T.FLOAT, ["N"])], [value("y", T.FLOAT, ["N"])])
    compiled = kiln.compile(path)
    assert compiled.run({"x": compiled.run({"x": np.zeros(0, F)})["y"]})["y"].shape == (0,)


def test_many_parts_of_sizes_from_data(tmp_path):
    """As detectors select for each class and join what they found: the size of the result is a sum of many."""
    parts = 100
    nodes = [h.make_node("Compress", ["x", f"c{i}"], [f"p{i}"], axis=0) for i in range(parts)]
    nodes += [h.make_node("Concat", [f"p{i}" for i in range(parts)], ["all"], axis=0), h.make_node("Neg", ["all"], ["y"])]
    path = model(tmp_path / "m.onnx", nodes, [value("x", T.FLOAT, [3]), *(value(f"c{i}", T.BOOL, [3]) for i in range(parts))], [value("y", T.FLOAT, ["K"])])
    rng = np.random.default_rng(0)
    x, c = F([1, 2, 3]), {f"c{i}": rng.random(3) < 0.4 for i in range(parts)}
    np.testing.assert_array_equal(run_everywhere(path, {"x": x, **c}), -np.concatenate([x[c[f"c{i}"]] for i in range(parts)]))


def test_results_of_one_op_share_its_size(tmp_path):
    """They meet without a check, and a refused size says which op told it."""
    nodes = [h.make_node("Unique", ["x"], ["u", "first", "inverse", "counts"], name="find"), h.make_node("Cast", ["first"], ["f"], to=T.FLOAT),
             h.make_node("Cast", ["counts"], ["c"], to=T.FLOAT), h.make_node("Add", ["u", "f"], ["s"]), h.make_node("Mul", ["s", "c"], ["y"])]
    path = model(tmp_path / "m.onnx", nodes, [value("x", T.FLOAT, ["N"])], [value("y", T.FLOAT, ["K"]), value("u", T.FLOAT), value("counts", T.INT64)])
    x = F([2, 0.5, 2, 7])
    np.testing.assert_array_equal(run_everywhere(path, {"x": x}), [1.5, 4, 10])
    shapes = [p.shape for p in kiln.compile(path).outputs]
    assert shapes[0] == shapes[1] == shapes[2]
    assert "check" not in command("inspect", path, "--plan").stdout


def test_results_of_branches_and_loops_share_sizes(tmp_path):
    branch = lambda op, k: h.make_graph([h.make_node("Compress", ["x", k], [k + "a"]), h.make_node(op, [k + "a"], [k + "b"])], k, [], [value(k + "a", T.FLOAT), value(k + "b", T.FLOAT)])
    body = h.make_graph([h.make_node("Less", ["v", "most"], ["more"]), h.make_node("Add", ["v", "v"], ["w"]), h.make_node("Neg", ["v"], ["vn"]), h.make_node("Abs", ["v"], ["va"])], "body",
                        [value("i", T.INT64, []), value("c", T.BOOL, []), value("v", T.FLOAT, [])],
                        [value("more", T.BOOL, []), value("w", T.FLOAT, []), value("vn", T.FLOAT, []), value("va", T.FLOAT, [])])
    nodes = [h.make_node("If", ["c"], ["a", "b"], then_branch=branch("Neg", "d"), else_branch=branch("Abs", "e")), h.make_node("Add", ["a", "b"], ["y"]),
             h.make_node("Loop", ["", "yes", "start"], ["last", "ns", "as"], body=body), h.make_node("Sub", ["as", "ns"], ["z"])]
    path = model(tmp_path / "m.onnx", nodes, [value("c", T.BOOL, []), value("x", T.FLOAT, ["N"]), value("d", T.BOOL, ["N"]), value("e", T.BOOL, ["N"]), value("start", T.FLOAT, [])],
                 [value("y", T.FLOAT, ["K"]), value("z", T.FLOAT, ["M"])], {"most": F(5), "yes": np.array(True)})
    feeds = {"x": F([-1, -2, -3]), "d": np.array([1, 1, 0], bool), "e": np.array([0, 0, 1], bool), "start": F(1)}
    np.testing.assert_array_equal(run_everywhere(path, {**feeds, "c": np.array(True)}), [0, 0])
    np.testing.assert_array_equal(run_everywhere(path, {**feeds, "c": np.array(False)}), [0])
    np.testing.assert_array_equal(run_everywhere(path, {**feeds, "c": np.array(False)}, "z"), [2, 4, 8, 16])
    assert "check" not in command("inspect", path, "--plan").stdout


def test_a_refused_size_names_the_node_that_told_it(tmp_path):
    nodes = [h.make_node("Compress", ["x", "c"], ["a"], axis=0, name="left"), h.make_node("Compress", ["x", "d"], ["b"], axis=0, name="right"),
             h.make_node("Concat", ["a", "b"], ["y"], axis=1)]
    path = model(tmp_path / "m.onnx", nodes, [value("x", T.FLOAT, ["N", 1]), value("c", T.BOOL, ["N"]), value("d", T.BOOL, ["N"])], [value("y", T.FLOAT)])
    x, none = np.ones((3, 1), F), np.zeros(3, bool)
    with pytest.raises(kiln.InputError) as error:
        kiln.compile(path).run({"x": x, "c": ~none, "d": none})
    assert str(error.value) == ('dim 0 of output 0 of node "left" is 3 and dim 0 of output 0 of node "right" is 0; they must be equal [KILN-E0508]')
