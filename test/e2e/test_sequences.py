"""Sequences and optionals whose lengths are known when compiling: they are gone after import. Others are refused."""
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
    ([h.make_node("SequenceConstruct", ["x"], ["s"]), h.make_node("SequenceAt", ["s", "p"], ["y"], name="at")],
     r'node "at" (SequenceAt, opset 17): the position in a sequence must be known when compiling [KILN-E0208]'),
    ([h.make_node("SequenceConstruct", ["x"], ["s"]), h.make_node("SequenceAt", ["s", "three"], ["y"], name="at")],
     r'node "at" (SequenceAt, opset 17): position 3 is not in the sequence [KILN-E0412]'),
    ([h.make_node("SequenceConstruct", ["x"], ["s"]), h.make_node("Relu", ["s"], ["y"], name="relu")],
     r'node "relu" (Relu, opset 17): takes no sequences or optionals [KILN-E0204]'),
    ([h.make_node("SequenceConstruct", ["x", "p"], ["y"], name="both")],
     r'node "both" (SequenceConstruct, opset 17): the tensors of a sequence must be of one type, not f32 and i64 [KILN-E0305]'),
    ([h.make_node("SequenceConstruct", ["x"], ["y"])],
     r'output "y" of the graph is no tensor; sequences and optionals are not supported there [KILN-E0204]'),
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


def test_a_loop_of_unknown_length_is_refused(tmp_path):
    body = h.make_graph([h.make_node("SequenceInsert", ["s", "x"], ["t"]), h.make_node("Identity", ["c"], ["d"])], "body",
                        [value("i", T.INT64, []), value("c", T.BOOL, []), sequence("s")], [value("d", T.BOOL, []), sequence("t")])
    nodes = [h.make_node("SequenceEmpty", [], ["none"]), h.make_node("Loop", ["n", "", "none"], ["all"], body=body, name="grow"),
             h.make_node("ConcatFromSequence", ["all"], ["y"], axis=0)]
    path = model(tmp_path / "m.onnx", nodes, [value("x", T.FLOAT, ["N"]), value("n", T.INT64, [])], [value("y", T.FLOAT, ["M"])])
    with pytest.raises(kiln.UnsupportedError, match=r'node "grow" \(Loop, opset 17\): the trip count of a loop that carries a sequence must be known when '
                                                    r'compiling \[KILN-E0204\]'):
        kiln.compile(path)
