"""Sequences and optionals inside a model: they are gone after import, as lists where their lengths are known then, else stacked."""
import json

import numpy as np
import pytest
from onnx import TensorProto as T
from onnx import helper as h

import kiln
from test_cli import kiln as command
from test_control_flow import F, graph, model, run_everywhere, value

I = np.int64


def sequence(name, dtype=T.FLOAT):
    return h.make_tensor_sequence_value_info(name, dtype, None)


def test_split_and_joined(tmp_path):
    """As exporters write chunk() and cat(): nothing is left of it but slices."""
    nodes = [h.make_node("SplitToSequence", ["x", "two"], ["parts"], axis=1), h.make_node("SequenceAt", ["parts", "last"], ["c"]),
             h.make_node("SequenceAt", ["parts", "zero"], ["a"]), h.make_node("SequenceConstruct", ["c", "a", "c"], ["s"]),
             h.make_node("SequenceErase", ["s", "last"], ["t"]), h.make_node("SequenceInsert", ["t", "a", "zero"], ["u"]),
             h.make_node("ConcatFromSequence", ["u"], ["y"], axis=1)]
    path = model(tmp_path / "m.onnx", nodes, [value("x", T.FLOAT, ["N", 5])], [value("y", T.FLOAT, ["N", 5])],
                 {"two": I(2), "last": I(-1), "zero": I(0)})
    x = np.arange(15, dtype=F).reshape(3, 5)
    np.testing.assert_array_equal(run_everywhere(path, {"x": x}), np.concatenate([x[:, :2], x[:, 4:], x[:, :2]], axis=1))


def test_lengths_and_new_axes(tmp_path):
    nodes = [h.make_node("SplitToSequence", ["x"], ["parts"], axis=0, keepdims=0), h.make_node("SequenceLength", ["parts"], ["n"]),
             h.make_node("ConcatFromSequence", ["parts"], ["w"], axis=-1, new_axis=1), h.make_node("Cast", ["n"], ["f"], to=T.FLOAT),
             h.make_node("Mul", ["w", "f"], ["y"])]
    path = model(tmp_path / "m.onnx", nodes, [value("x", T.FLOAT, [3, "N"])], [value("y", T.FLOAT, ["N", 3])])
    x = np.arange(12, dtype=F).reshape(3, 4)
    np.testing.assert_array_equal(run_everywhere(path, {"x": x}), 3 * x.T)


def test_a_loop_that_appends_is_unrolled(tmp_path):
    body = h.make_graph([h.make_node("Mul", ["v", "v"], ["w"]), h.make_node("SequenceInsert", ["s", "w"], ["t"]), h.make_node("Identity", ["c"], ["d"]),
                         h.make_node("Cast", ["i"], ["f"], to=T.FLOAT), h.make_node("Add", ["w", "f"], ["r"])], "body",
                        [value("i", T.INT64, []), value("c", T.BOOL, []), value("v", T.FLOAT), sequence("s")],
                        [value("d", T.BOOL, []), value("w", T.FLOAT), sequence("t"), value("r", T.FLOAT)])
    nodes = [h.make_node("SequenceEmpty", [], ["none"]), h.make_node("Loop", ["n", "", "x", "none"], ["last", "all", "rows"], body=body, name="grow"),
             h.make_node("ConcatFromSequence", ["all"], ["a"], axis=0), h.make_node("ReduceSum", ["rows", "zeroth"], ["b"], keepdims=0),
             h.make_node("Concat", ["a", "b", "last"], ["y"], axis=0)]
    path = model(tmp_path / "m.onnx", nodes, [value("x", T.FLOAT, ["N"])], [value("y", T.FLOAT, ["M"])], {"n": I(3), "zeroth": I([0])})
    x = F([0.5, -1.5])
    powers = [x**2, x**4, x**8]
    np.testing.assert_allclose(run_everywhere(path, {"x": x}), np.concatenate([*powers, sum(powers) + 3, x**8]), rtol=1e-6)
    assert {step["function"] for step in json.loads(command("inspect", path, "--json").stdout)["steps"]} == {"main"}


def test_map_and_branches(tmp_path):
    """SequenceMap with a tensor beside; a branch that gives a sequence and an optional."""
    body = graph([h.make_node("Add", ["item", "t"], ["r"])], [value("item", T.FLOAT), value("t", T.FLOAT)], [("r", T.FLOAT)])
    branch = lambda op: h.make_graph([h.make_node(op, ["x"], [op + "x"]), h.make_node("SequenceMap", ["parts", op + "x"], [op + "s"], body=body),
                                      h.make_node("Optional", [], [op + "o"], type=h.make_tensor_type_proto(T.FLOAT, None))], op, [],
                                     [sequence(op + "s"), h.make_value_info(op + "o", h.make_optional_type_proto(h.make_tensor_type_proto(T.FLOAT, None)))])
    nodes = [h.make_node("SequenceConstruct", ["x", "x"], ["parts"]), h.make_node("If", ["c"], ["s", "o"], then_branch=branch("Neg"), else_branch=branch("Abs")),
             h.make_node("OptionalHasElement", ["o"], ["has"]), h.make_node("Cast", ["has"], ["h"], to=T.FLOAT),
             h.make_node("ConcatFromSequence", ["s"], ["k"], axis=0), h.make_node("Add", ["k", "h"], ["y"])]
    path = model(tmp_path / "m.onnx", nodes, [value("c", T.BOOL, []), value("x", T.FLOAT, ["N"])], [value("y", T.FLOAT, ["M"])])
    x = F([1, -2])
    np.testing.assert_array_equal(run_everywhere(path, {"c": np.array(True), "x": x}), [0, 0, 0, 0])
    np.testing.assert_array_equal(run_everywhere(path, {"c": np.array(False), "x": x}), [2, 0, 2, 0])


@pytest.mark.parametrize("nodes, message", [
    ([h.make_node("Concat", ["x", "x"], ["xx"], axis=0), h.make_node("SequenceConstruct", ["x", "xx"], ["s"]), h.make_node("SequenceAt", ["s", "p"], ["y"], name="at")],
     r'node "at" (SequenceAt, opset 17): the position in a sequence of different tensors must be known when compiling [KILN-E0208]'),
    ([h.make_node("SequenceConstruct", ["x"], ["s"]), h.make_node("SequenceAt", ["s", "three"], ["y"], name="at")],
     r'node "at" (SequenceAt, opset 17): position 3 is not in the sequence [KILN-E0412]'),
    ([h.make_node("SequenceConstruct", ["x"], ["s"]), h.make_node("Relu", ["s"], ["y"], name="relu")],
     r'node "relu" (Relu, opset 17): takes no sequences or optionals [KILN-E0204]'),
    ([h.make_node("SequenceConstruct", ["x", "p"], ["y"], name="both")],
     r'node "both" (SequenceConstruct, opset 17): the tensors of a sequence must be of one type, not f32 and i64 [KILN-E0305]'),
    ([h.make_node("SequenceConstruct", ["x"], ["y"])],
     r'output "y" of the graph is declared as a tensor, but its value is a sequence [KILN-E0305]'),
    ([h.make_node("Optional", [], ["o"], type=h.make_tensor_type_proto(T.FLOAT, None)), h.make_node("OptionalGetElement", ["o"], ["y"], name="get")],
     r'node "get" (OptionalGetElement, opset 17): the optional is empty [KILN-E0306]'),
    ([h.make_node("SequenceAt", ["x", "three"], ["y"], name="at")], r'node "at" (SequenceAt, opset 17): input 0 is no sequence [KILN-E0305]'),
    ([h.make_node("SplitToSequence", ["x", "three"], ["s"], name="split"), h.make_node("SequenceAt", ["s", "three"], ["y"])],
     r'node "split" (SplitToSequence, opset 17): the size of what is split must be known when compiling [KILN-E0208]'),
])
def test_what_is_refused(tmp_path, nodes, message):
    path = model(tmp_path / "m.onnx", nodes, [value("x", T.FLOAT, ["N"]), value("p", T.INT64, [])], [value("y", T.FLOAT)], {"three": I(3)})
    with pytest.raises(kiln.Error) as error:
        kiln.compile(path)
    assert str(error.value) == "m.onnx: " + message


def loop_over(nodes, outputs=("t",)):
    """A body that carries one sequence, `s`."""
    return h.make_graph([h.make_node("Identity", ["c"], ["d"]), *nodes], "body", [value("i", T.INT64, []), value("c", T.BOOL, []), sequence("s")],
                        [value("d", T.BOOL, []), sequence(outputs[0]), *(value(name, T.FLOAT) for name in outputs[1:])])


def append(count=1):
    """x * (i + 1), x * (i + 2) ... appended in each iteration."""
    nodes = [h.make_node("Cast", ["i"], ["f"], to=T.FLOAT)]
    names = ["s", *(f"s{k}" for k in range(count - 1)), "t"]
    for k in range(count):
        nodes += [h.make_node("Add", ["f", "one" if k == 0 else f"f{k - 1}"], [f"f{k}"]) if k == 0 else h.make_node("Add", [f"f{k - 1}", "one"], [f"f{k}"]),
                  h.make_node("Mul", ["x", f"f{k}"], [f"item{k}"]), h.make_node("SequenceInsert", [names[k], f"item{k}"], [names[k + 1]])]
    return nodes


@pytest.mark.parametrize("axis, new_axis", [(0, 0), (-1, 0), (0, 1), (1, 1), (-1, 1)])
@pytest.mark.parametrize("before, count", [(0, 1), (2, 1), (0, 2), (1, 3)])
def test_a_loop_of_unknown_length_appends(tmp_path, axis, new_axis, before, count):
    """As exporters write a list that a loop fills, and torch.stack or torch.cat after it."""
    start = h.make_node("SequenceConstruct", ["x"] * before, ["start"]) if before else h.make_node("SequenceEmpty", [], ["start"])
    nodes = [start, h.make_node("Loop", ["n", "", "start"], ["all"], body=loop_over(append(count)), name="grow"), h.make_node("SequenceLength", ["all"], ["k"]),
             h.make_node("ConcatFromSequence", ["all"], ["y"], axis=axis, new_axis=new_axis)]
    path = model(tmp_path / "m.onnx", nodes, [value("x", T.FLOAT, [2, "N"]), value("n", T.INT64, [])],
                 [value("y", T.FLOAT), value("k", T.INT64, [])], {"one": F(1)})
    for trips in (1, 3):
        for width in (1, 3):
            x = np.arange(1, 2 * width + 1, dtype=F).reshape(2, width)
            items = [x] * before + [x * F(i + k) for i in range(trips) for k in range(1, count + 1)]
            want = np.stack(items, axis) if new_axis else np.concatenate(items, axis)
            for target in ("host", "interpreter"):
                outputs = kiln.compile(path, target=target).run({"x": x, "n": I(trips)})
                np.testing.assert_array_equal(outputs["y"], want)
                assert outputs["k"] == len(items)


def test_a_condition_ends_the_loop_that_appends(tmp_path):
    nodes = [h.make_node("Less", ["i", "last"], ["more"]), h.make_node("SequenceInsert", ["s", "x"], ["t"])]
    body = h.make_graph(nodes, "body", [value("i", T.INT64, []), value("c", T.BOOL, []), sequence("s")], [value("more", T.BOOL, []), sequence("t")])
    nodes = [h.make_node("SequenceEmpty", [], ["none"]), h.make_node("Loop", ["most", "go", "none"], ["all"], body=body, name="grow"),
             h.make_node("SequenceAt", ["all", "last"], ["z"]), h.make_node("SequenceInsert", ["all", "z"], ["more"]),
             h.make_node("ConcatFromSequence", ["more"], ["y"], axis=0)]
    path = model(tmp_path / "m.onnx", nodes, [value("x", T.FLOAT, ["N"]), value("last", T.INT64, [])], [value("y", T.FLOAT, ["M"])],
                 {"most": I(2**62), "go": np.array(True)})
    x = F([1, 2])
    for last in (0, 4):
        np.testing.assert_array_equal(run_everywhere(path, {"x": x, "last": I(last)}), np.tile(x, last + 2))


def test_parts_of_an_unknown_size(tmp_path):
    """unbind() of a dim that only a run tells, and an item at a position that only a run tells."""
    nodes = [h.make_node("SplitToSequence", ["x"], ["rows"], axis=1, keepdims=0), h.make_node("SequenceAt", ["rows", "p"], ["a"]),
             h.make_node("SplitToSequence", ["x", "one"], ["parts"], axis=1), h.make_node("SequenceAt", ["parts", "p"], ["b"]),
             h.make_node("SequenceConstruct", ["a", "a", "a"], ["list"]), h.make_node("SequenceAt", ["list", "p"], ["c"]),
             h.make_node("Unsqueeze", ["c", "axis"], ["d"]), h.make_node("Add", ["b", "d"], ["y"])]
    path = model(tmp_path / "m.onnx", nodes, [value("x", T.FLOAT, [2, "N"]), value("p", T.INT64, [])], [value("y", T.FLOAT, [2, 1])],
                 {"one": I(1), "axis": I([1])})
    x = np.arange(6, dtype=F).reshape(2, 3)
    for at in (0, 2, -1):
        np.testing.assert_array_equal(run_everywhere(path, {"x": x, "p": I(at)}), 2 * x[:, [at]])
    with pytest.raises(kiln.Error, match=r"an index is out of range"):
        kiln.compile(path).run({"x": x, "p": I(3)})


@pytest.mark.parametrize("given", ["known", "computed", "data"])
def test_parts_of_said_sizes_of_an_unknown_size(tmp_path, given):
    """The list is of known length; whether the sizes sum up is checked when sizes are bound, or when data tells."""
    sizes = {"known": [], "data": [], "computed": [h.make_node("Shape", ["like"], ["sizes"])]}[given]
    nodes = [*sizes, h.make_node("SplitToSequence", ["x", "sizes"], ["parts"], axis=1), h.make_node("SequenceAt", ["parts", "second"], ["y"])]
    inputs = [value("x", T.FLOAT, [2, "N"]), value("like", T.FLOAT, ["A", "B"])] + ([value("sizes", T.INT64, [2])] if given == "data" else [])
    path = model(tmp_path / "m.onnx", nodes, inputs, [value("y", T.FLOAT, [2, "M"])],
                 {"second": I(1), **({"sizes": I([1, 2])} if given == "known" else {})})
    x = np.arange(6, dtype=F).reshape(2, 3)
    feed = {"x": x, "like": np.zeros((1, 2), F), **({"sizes": I([1, 2])} if given == "data" else {})}
    np.testing.assert_array_equal(run_everywhere(path, feed), x[:, 1:])
    with pytest.raises(kiln.Error) as error:
        kiln.compile(path).run({**feed, "x": np.zeros((2, 4), F)})
    assert str(error.value) == {
        "known": 'input "x": expected f32[2,3], got f32[2,4]: dim 1 is 4, expected 3 [KILN-E0505]',
        "computed": 'input "x": expected f32[2,N], got f32[2,4]: dim 1 is 4, but N is bound to 3 [KILN-E0506]',
        "data": 'node "SplitToSequence_parts": reshape: dims [2,3] do not have as many elements as [2,2] [KILN-E0304]'}[given]


def test_a_dim_as_long_as_memory_is_no_list(tmp_path):
    nodes = [h.make_node("SplitToSequence", ["x", "three"], ["s"], name="split"), h.make_node("SequenceAt", ["s", "three"], ["y"])]
    path = model(tmp_path / "m.onnx", nodes, [value("x", T.FLOAT, [2**40])], [value("y", T.FLOAT)], {"three": I(3)})
    with pytest.raises(kiln.UnsupportedError) as error:
        kiln.compile(path)
    assert str(error.value) == ("m.onnx: node \"split\" (SplitToSequence, opset 17): a split into 366503875925 parts; at most 100000 are supported "
                                "[KILN-E0205]")


def test_nothing_to_join(tmp_path):
    nodes = [h.make_node("SequenceEmpty", [], ["none"]), h.make_node("Loop", ["n", "", "none"], ["all"], body=loop_over(append())),
             h.make_node("ConcatFromSequence", ["all"], ["y"], axis=0, name="join")]
    path = model(tmp_path / "m.onnx", nodes, [value("x", T.FLOAT, ["N"]), value("n", T.INT64, [])], [value("y", T.FLOAT, ["M"])], {"one": F(1)})
    with pytest.raises(kiln.Error) as error:
        kiln.compile(path).run({"x": F([1]), "n": I(0)})
    assert str(error.value) == 'size n-1 is -1, where n is dim 0 of output 0 of node "Loop_all"; it must be at least 0 [KILN-E0508]'


ONLY_APPENDS = ("a loop may only append to a sequence that it carries, unless it is unrolled: its trip count, at most 1000, and its condition are known "
                "when compiling [KILN-E0204]")


@pytest.mark.parametrize("nodes, message", [
    ([h.make_node("SequenceLength", ["s"], ["k"], name="length"), h.make_node("SequenceInsert", ["s", "x"], ["t"])],
     'node "grow/length" (SequenceLength, opset 17): ' + ONLY_APPENDS),
    ([h.make_node("SequenceInsert", ["s", "x", "i"], ["t"], name="insert")], 'node "grow/insert" (SequenceInsert, opset 17): ' + ONLY_APPENDS),
    ([h.make_node("SequenceConstruct", ["x"], ["t"])], 'node "grow" (Loop, opset 17): ' + ONLY_APPENDS),
])
def test_other_loops_of_unknown_length_are_refused(tmp_path, nodes, message):
    nodes = [h.make_node("SequenceEmpty", [], ["none"]), h.make_node("Loop", ["n", "", "none"], ["all"], body=loop_over(nodes), name="grow"),
             h.make_node("ConcatFromSequence", ["all"], ["y"], axis=0)]
    path = model(tmp_path / "m.onnx", nodes, [value("x", T.FLOAT, ["N"]), value("n", T.INT64, [])], [value("y", T.FLOAT, ["M"])])
    with pytest.raises(kiln.UnsupportedError) as error:
        kiln.compile(path)
    assert str(error.value) == "m.onnx: " + message
