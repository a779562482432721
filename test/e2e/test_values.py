"""Sequences and optionals as inputs and outputs of models: lists of arrays, and arrays or None."""
import json

import ml_dtypes
import numpy as np
import pytest
from onnx import TensorProto as T
from onnx import helper as h

import kiln
from test_cli import kiln as command
from test_cli import refused
from test_control_flow import F, model, value

I = np.int64


def sequence(name, dtype=T.FLOAT, dims=None):
    return h.make_tensor_sequence_value_info(name, dtype, dims)


def optional(name, dtype=T.FLOAT, dims=None):
    return h.make_value_info(name, h.make_optional_type_proto(h.make_tensor_type_proto(dtype, dims)))


def optional_sequence(name, dtype=T.FLOAT, dims=None):
    return h.make_value_info(name, h.make_optional_type_proto(h.make_sequence_type_proto(h.make_tensor_type_proto(dtype, dims))))


def same(got, want):
    if isinstance(want, list):
        assert isinstance(got, list) and len(got) == len(want)
        for g, w in zip(got, want):
            same(g, w)
    elif want is None:
        assert got is None
    else:
        assert got.dtype == np.asarray(want).dtype
        np.testing.assert_array_equal(got, want)


def check(path, feeds, want, **options):
    """In the interpreter and in generated code, with guard pages, before and after saving."""
    for target in ("interpreter", "host"):
        compiled = kiln.compile(path, target=target, **options)
        compiled.save(str(path) + ".kiln")
        for one in (compiled, kiln.load(str(path) + ".kiln", guard_pages=True)):
            got = one.run(feeds)
            assert list(got) == list(want)
            for name in want:
                same(got[name], want[name])
    return compiled


def test_a_list_of_unlike_items(tmp_path):
    nodes = [h.make_node("SplitToSequence", ["x", "parts"], ["y"], axis=1), h.make_node("SequenceEmpty", [], ["none"], dtype=T.INT64)]
    path = model(tmp_path / "m.onnx", nodes, [value("x", T.FLOAT, ["N", 5])], [sequence("y"), sequence("none", T.INT64), value("x", T.FLOAT)], {"parts": I([2, 0, 3])})
    x = np.arange(15, dtype=F).reshape(3, 5)
    compiled = check(path, {"x": x}, {"y": [x[:, :2], x[:, 2:2], x[:, 2:]], "none": [], "x": x})
    y, none, _ = compiled.outputs
    assert (y.name, y.kind, y.dtype, y.shape, y.length) == ("y", "sequence", F, ("N", "?"), 3)
    assert (none.kind, none.dtype, none.length) == ("sequence", I, None)
    assert repr(compiled) == ("<kiln.Model (x: float32[N, 5]) -> (y: sequence of 3 float32[N, ?], none: sequence of int64[], x: float32[N, 5])>")


def test_items_of_unlike_rank(tmp_path):
    nodes = [h.make_node("ReduceSum", ["x"], ["s"], keepdims=0), h.make_node("SequenceConstruct", ["s", "x", "s"], ["y"])]
    path = model(tmp_path / "m.onnx", nodes, [value("x", T.FLOAT, [2])], [sequence("y")])
    compiled = check(path, {"x": F([1, 2])}, {"y": [F(3), F([1, 2]), F(3)]})
    assert compiled.outputs[0].shape is None
    assert "(y: sequence of 3 float32[...])" in repr(compiled)


def growing():
    """x, 2x, 3x ... as many as the run says."""
    body = h.make_graph([h.make_node("Identity", ["c"], ["d"]), h.make_node("Cast", ["i"], ["f"], to=T.FLOAT), h.make_node("Add", ["f", "one"], ["k"]),
                         h.make_node("Mul", ["x", "k"], ["item"]), h.make_node("SequenceInsert", ["s", "item"], ["t"])], "body",
                        [value("i", T.INT64, []), value("c", T.BOOL, []), sequence("s")], [value("d", T.BOOL, []), sequence("t")])
    return [h.make_node("SequenceEmpty", [], ["start"]), h.make_node("Loop", ["n", "", "start"], ["y"], body=body, name="grow")]


def test_as_many_items_as_a_loop_appends(tmp_path):
    path = model(tmp_path / "m.onnx", growing(), [value("x", T.FLOAT, [2, "N"]), value("n", T.INT64, [])], [sequence("y")], {"one": F(1)})
    x = F([[1, 2, 3], [4, 5, 6]])
    for count in (0, 1, 4):
        compiled = check(path, {"x": x, "n": I(count)}, {"y": [x * F(i + 1) for i in range(count)]})
    assert (compiled.outputs[0].shape, compiled.outputs[0].length) == ((2, "N"), None)
    items = compiled.run({"x": x, "n": I(2)})["y"]
    assert items[0].__array_interface__["data"][0] + items[0].nbytes == items[1].__array_interface__["data"][0]  # no copies
    del compiled
    first, items = items[0], None
    same(first, x)  # lives on


def test_optional_outputs(tmp_path):
    nodes = [h.make_node("Neg", ["x"], ["n"]), h.make_node("Optional", ["n"], ["some"]),
             h.make_node("Optional", [], ["none"], type=h.make_tensor_type_proto(T.INT64, None))]
    path = model(tmp_path / "m.onnx", nodes, [value("x", T.FLOAT, ["N"])], [optional("some"), optional("none", T.INT64)])
    compiled = check(path, {"x": F([1, 2])}, {"some": F([-1, -2]), "none": None})
    assert [(p.kind, p.dtype, p.shape) for p in compiled.outputs] == [("optional", F, ("N",)), ("optional", I, ())]


def branches(tmp_path, thens, others, outputs, inputs=(), after=(), results=(), dims=("N",)):
    """An If whose outputs are those of the model, and what comes `after` it with its `results`."""
    graphs = [h.make_graph(nodes, name, [], [h.make_value_info(name + o.name, o.type) for o in outputs])
              for name, nodes in (("then", thens), ("else", others))]
    nodes = [h.make_node("If", ["c"], [o.name for o in outputs], then_branch=graphs[0], else_branch=graphs[1], name="branch")]
    return model(tmp_path / "m.onnx", [*nodes, *after], [value("c", T.BOOL, []), value("x", T.FLOAT, dims), *inputs], [*outputs, *results],
                 {"one": F(1), "last": I(-1)})


def test_branches_of_different_lengths(tmp_path):
    thens = [h.make_node("SequenceConstruct", ["x", "x"], ["theny"]), h.make_node("SequenceEmpty", [], ["thenz"]), h.make_node("Optional", ["x"], ["theno"])]
    others = [h.make_node("Concat", ["x", "x"], ["xx"], axis=0), h.make_node("SequenceConstruct", ["xx", "xx", "xx"], ["elsey"]),
              h.make_node("SequenceConstruct", ["x"], ["elsez"]), h.make_node("Optional", [], ["elseo"], type=h.make_tensor_type_proto(T.FLOAT, None))]
    path = branches(tmp_path, thens, others, [sequence("y"), sequence("z"), optional("o")])
    x = F([1, 2])
    check(path, {"c": np.array(True), "x": x}, {"y": [x, x], "z": [], "o": x})
    check(path, {"c": np.array(False), "x": x}, {"y": [np.tile(x, 2)] * 3, "z": [x], "o": None})


def test_branches_of_one_length_may_differ_in_dims(tmp_path):
    thens = [h.make_node("Concat", ["x", "x"], ["xx"], axis=0), h.make_node("SequenceConstruct", ["x", "xx"], ["theny"])]
    others = [h.make_node("Concat", ["x", "x"], ["xx"], axis=0), h.make_node("SequenceConstruct", ["xx", "x"], ["elsey"])]
    path = branches(tmp_path, thens, others, [sequence("y")])
    x = F([1, 2])
    check(path, {"c": np.array(True), "x": x}, {"y": [x, np.tile(x, 2)]})
    check(path, {"c": np.array(False), "x": x}, {"y": [np.tile(x, 2), x]})


def joined(extra=()):
    return [h.make_node("SequenceLength", ["s"], ["n"]), h.make_node("SequenceAt", ["s", "last"], ["a"]), h.make_node("ConcatFromSequence", ["s"], ["b"], axis=0),
            *extra]


def test_a_list_of_any_length(tmp_path):
    path = model(tmp_path / "m.onnx", joined(), [sequence("s", T.FLOAT, ["N", 2])], [value("n", T.INT64, []), value("a", T.FLOAT), value("b", T.FLOAT), sequence("s")],
                 {"last": I(-1)})
    for count, rows in ((1, 3), (4, 2), (2, 0)):
        items = [np.arange(rows * 2, dtype=F).reshape(rows, 2) + k for k in range(count)]
        wanted = {"n": I(count), "a": items[-1], "b": np.concatenate(items), "s": items}
        compiled = check(path, {"s": items}, wanted)
        check(path, {"s": tuple(np.asfortranarray(i) for i in items)}, wanted)
    assert [(p.kind, p.shape, p.length) for p in compiled.inputs] == [("sequence", ("N", 2), None)]
    with pytest.raises(kiln.UnsupportedError) as error:
        compiled.run({"s": [np.ones((3, 2), F), np.ones((3, 2), F), np.ones((1, 2), F)]})
    assert str(error.value) == ('input "s": item 0 is f32[3,2] and item 2 is f32[1,2]; where the number of items is not known when compiling, they must have '
                                'equal dims [KILN-E0204]')


@pytest.mark.parametrize("at", [2, -3])
def test_a_position_that_is_not_in_the_list(tmp_path, at):
    path = model(tmp_path / "m.onnx", [h.make_node("SequenceAt", ["s", "p"], ["y"], name="at")], [sequence("s", T.FLOAT, [2])], [value("y", T.FLOAT)], {"p": I(at)})
    x = F([1, 2])
    compiled = check(path, {"s": [x, x + 1, x + 2]}, {"y": x + 2 if at == 2 else x})
    for items in ([x, x], []):
        with pytest.raises(kiln.InputError):
            compiled.run({"s": items})


def test_a_list_of_none(tmp_path):
    nodes = [h.make_node("SequenceLength", ["s"], ["n"]), h.make_node("SequenceInsert", ["s", "x"], ["t"]), h.make_node("ConcatFromSequence", ["t"], ["b"], axis=0)]
    path = model(tmp_path / "m.onnx", nodes, [sequence("s", T.FLOAT, ["N"]), value("x", T.FLOAT, ["N"])], [value("n", T.INT64, []), value("b", T.FLOAT), sequence("s")])
    x = F([1, 2, 3])
    check(path, {"s": [], "x": x}, {"n": I(0), "b": x, "s": []})
    check(path, {"s": [x, x], "x": x}, {"n": I(2), "b": np.tile(x, 3), "s": [x, x]})


def test_a_list_whose_items_are_known(tmp_path):
    """Unlike dims are fine then, and so is a declared rank that is missing; the sequence may do what needs a known length."""
    nodes = [h.make_node("SequenceErase", ["s", "zero"], ["t"]), h.make_node("ConcatFromSequence", ["s"], ["y"], axis=0)]
    path = model(tmp_path / "m.onnx", nodes, [sequence("s")], [sequence("t"), value("y", T.FLOAT)], {"zero": I(0)})
    a, b = F([[1, 2]]), F([[3, 4], [5, 6], [7, 8]])
    compiled = check(path, {"s": [a, b]}, {"t": [b], "y": np.concatenate([a, b])}, shapes={"s[0]": [1, 2], "s[1]": ["N", 2]})
    assert [(p.kind, p.shape, p.length) for p in compiled.inputs] == [("sequence", ("?", 2), 2)]
    for wrong, message in [([a], 'input "s" has 1 items; the model was compiled for 2 [KILN-E0505]'),
                           ([b, b], 'input "s[0]": expected f32[1,2], got f32[3,2]: dim 0 is 3, expected 1 [KILN-E0505]')]:
        with pytest.raises(kiln.InputError) as error:
            compiled.run({"s": wrong})
        assert str(error.value) == message
    compiled = check(path, {"s": [a]}, {"t": [], "y": a}, shapes={"s[0]": [1, 2]})
    c = F([[[1]]])
    nodes = [h.make_node("SequenceAt", ["s", "zero"], ["y"])]
    path = model(tmp_path / "m.onnx", nodes, [sequence("s")], [value("y", T.FLOAT)], {"zero": I(0)})
    check(path, {"s": [c, c]}, {"y": c}, shapes={"s": [1, "N", 1]})


def test_a_map_over_any_length(tmp_path):
    """A loop over the items, which a tensor is handed to as it is."""
    body = h.make_graph([h.make_node("Mul", ["a", "t"], ["m"]), h.make_node("Concat", ["m", "b"], ["c"], axis=0), h.make_node("Shape", ["b"], ["d"])], "b",
                        [value("a", T.FLOAT), value("t", T.FLOAT), value("b", T.FLOAT)], [value("c", T.FLOAT), value("d", T.INT64)])
    nodes = [h.make_node("SequenceMap", ["s", "x", "r"], ["y", "z"], body=body, name="map")]
    path = model(tmp_path / "m.onnx", nodes, [sequence("s", T.FLOAT, ["N"]), value("x", T.FLOAT, ["N"]), sequence("r", T.FLOAT, ["M"])], [sequence("y"), sequence("z", T.INT64)])
    x, s, r = F([1, 2]), [F([3, 4]), F([5, 6]), F([7, 8])], [F([k]) for k in range(3)]
    compiled = check(path, {"s": s, "x": x, "r": r}, {"y": [np.concatenate([a * x, b]) for a, b in zip(s, r)], "z": [I([1])] * 3})
    check(path, {"s": [], "x": x, "r": []}, {"y": [], "z": []})
    with pytest.raises(kiln.InputError, match="KILN-E0506"):
        compiled.run({"s": s, "x": x, "r": r[:2]})


def test_optional_inputs(tmp_path):
    thens = [h.make_node("OptionalGetElement", ["o"], ["v"], name="get"), h.make_node("Add", ["x", "v"], ["theny"])]
    graphs = [h.make_graph(thens, "then", [], [value("theny", T.FLOAT)]), h.make_graph([h.make_node("Neg", ["x"], ["elsey"])], "else", [], [value("elsey", T.FLOAT)])]
    nodes = [h.make_node("OptionalHasElement", ["o"], ["has"]), h.make_node("If", ["has"], ["y"], then_branch=graphs[0], else_branch=graphs[1])]
    x = F([[1, 2, 3]])
    for dims, some in ([1, 3], F([[4, 5, 6]])), (["M", "N"], F([[4, 5, 6], [7, 8, 9]])):
        path = model(tmp_path / "m.onnx", nodes, [optional("o", T.FLOAT, dims), value("x", T.FLOAT, [1, "N"])],
                     [value("has", T.BOOL, []), value("y", T.FLOAT), optional("o")])
        compiled = check(path, {"o": some, "x": x}, {"has": np.array(True), "y": x + some, "o": some})
        check(path, {"o": None, "x": x}, {"has": np.array(False), "y": -x, "o": None})
    assert [(p.kind, p.shape, p.length) for p in compiled.inputs] == [("optional", ("M", "N"), None), ("tensor", (1, "N"), None)]
    for wrong, message in [(np.ones(3, F), 'input "o": expected f32[M,N], got f32[3] [KILN-E0504]'), (np.ones((1, 3)), 'input "o": expected f32[M,N], got f64[1,3] [KILN-E0503]')]:
        with pytest.raises(kiln.InputError) as error:
            compiled.run({"o": wrong, "x": x})
        assert str(error.value) == message


def test_the_value_of_an_absent_optional(tmp_path):
    path = model(tmp_path / "m.onnx", [h.make_node("OptionalGetElement", ["o"], ["y"], name="get")], [optional("o", T.FLOAT, [3])], [value("y", T.FLOAT)])
    compiled = check(path, {"o": F([1, 2, 3])}, {"y": F([1, 2, 3])})
    with pytest.raises(kiln.InputError) as error:
        compiled.run({"o": None})
    assert str(error.value) == 'input "o" is absent; the model always takes its value [KILN-E0502]'


def test_optional_sequences(tmp_path):
    thens = [h.make_node("OptionalGetElement", ["o"], ["v"], name="get"), h.make_node("ConcatFromSequence", ["v"], ["theny"], axis=0)]
    graphs = [h.make_graph(thens, "then", [], [value("theny", T.FLOAT)]), h.make_graph([h.make_node("Neg", ["x"], ["elsey"])], "else", [], [value("elsey", T.FLOAT)])]
    nodes = [h.make_node("OptionalHasElement", ["o"], ["has"]), h.make_node("If", ["has"], ["y"], then_branch=graphs[0], else_branch=graphs[1])]
    path = model(tmp_path / "m.onnx", nodes, [optional_sequence("o", T.FLOAT, ["N"]), value("x", T.FLOAT, ["N"])],
                 [value("has", T.BOOL, []), value("y", T.FLOAT), optional_sequence("o")])
    x, a, b = F([1, 2]), F([3, 4]), F([5, 6])
    compiled = check(path, {"o": [a, b], "x": x}, {"has": np.array(True), "y": np.concatenate([a, b]), "o": [a, b]})
    check(path, {"o": None, "x": x}, {"has": np.array(False), "y": -x, "o": None})
    assert [(p.kind, p.dtype, p.shape, p.length) for p in compiled.inputs] == [("optional sequence", F, ("N",), None), ("tensor", F, ("N",), None)]
    with pytest.raises(kiln.InputError) as error:
        compiled.run({"o": a, "x": x})
    assert str(error.value) == "input 'o' is a sequence: pass a list of arrays, not a ndarray [KILN-E0511]"
    path = model(tmp_path / "n.onnx", [h.make_node("OptionalGetElement", ["o"], ["y"])], [optional_sequence("o", T.FLOAT, ["N"])], [sequence("y")])
    check(path, {"o": []}, {"y": []})
    compiled = check(path, {"o": [a]}, {"y": [a]})
    with pytest.raises(kiln.InputError, match=r'input "o" is absent; the model always takes its value \[KILN-E0502\]'):
        compiled.run({"o": None})


def test_branches_that_give_a_sequence_or_none(tmp_path):
    none = h.make_node("Optional", [], ["elsey"], type=sequence("").type)
    for thens, want in (([h.make_node("SequenceConstruct", ["x", "x"], ["s"])], 2), ([h.make_node("SplitToSequence", ["x", "one_"], ["s"])], 3)):
        path = branches(tmp_path, [h.make_node("Constant", [], ["one_"], value_int=1), *thens, h.make_node("Optional", ["s"], ["theny"])], [none], [optional_sequence("y")])
        x = F([1, 2, 3])
        check(path, {"c": np.array(True), "x": x}, {"y": [x, x] if want == 2 else [x[:1], x[1:2], x[2:]]})
        compiled = check(path, {"c": np.array(False), "x": x}, {"y": None})
        assert compiled.outputs[0].kind == "optional sequence"


def test_types_of_items(tmp_path):
    path = model(tmp_path / "m.onnx", [h.make_node("SequenceConstruct", ["x"], ["t"])], [sequence("s", T.BFLOAT16, [2]), value("x", T.BFLOAT16, [1]), optional("b", T.BOOL, [])],
                 [sequence("s", T.BFLOAT16), sequence("t", T.BFLOAT16), optional("b", T.BOOL)])
    x = np.array([1.5], ml_dtypes.bfloat16)
    items = [np.array([1, 2], ml_dtypes.bfloat16), np.array([3, 4], ml_dtypes.bfloat16)]
    compiled = check(path, {"s": items, "x": x, "b": np.array(True)}, {"s": items, "t": [x], "b": np.array(True)})
    for wrong, message in [([F([1, 2])], 'item 0 of input "s": expected bf16[2], got f32[2] [KILN-E0503]'),
                           ([items[0], x], 'item 1 of input "s": expected bf16[2], got bf16[1] [KILN-E0505]'),
                           (items[0], "input 's' is a sequence: pass a list of arrays, not a ndarray [KILN-E0511]"),
                           (None, "input 's' is a sequence: pass a list of arrays, not a NoneType [KILN-E0511]")]:
        with pytest.raises(kiln.InputError) as error:
            compiled.run({"s": wrong, "x": x, "b": None})
        assert str(error.value) == message


def test_names_of_items_that_are_taken(tmp_path):
    nodes = [h.make_node("SequenceConstruct", ["x", "x"], ["y"]), h.make_node("Neg", ["x"], ["y[0]"])]
    path = model(tmp_path / "m.onnx", nodes, [value("x", T.FLOAT, [1])], [sequence("y"), value("y[0]", T.FLOAT)])
    check(path, {"x": F([1])}, {"y": [F([1])] * 2, "y[0]": F([-1])})


@pytest.mark.parametrize("inputs, outputs, nodes, options, message", [
    ([sequence("s")], [value("y", T.FLOAT)], [h.make_node("ConcatFromSequence", ["s"], ["y"], axis=0)], {},
     'the items of input "s" have no declared rank; give the shape that all have with --shape s=..., or that of each with --shape s[0]=... and so on [KILN-E0207]'),
    ([sequence("s", T.STRING, [1])], [value("y", T.INT64)], [h.make_node("SequenceLength", ["s"], ["y"])], {},
     'input "s" has element type string, which is not supported [KILN-E0203]'),
    ([optional_sequence("s")], [value("y", T.BOOL)], [h.make_node("OptionalHasElement", ["s"], ["y"])], {},
     'the items of input "s" have no declared rank; give the shape that all have with --shape s=... [KILN-E0207]'),
    ([h.make_value_info("s", h.make_optional_type_proto(optional("", T.FLOAT, [1]).type))], [value("y", T.BOOL)], [h.make_node("OptionalHasElement", ["s"], ["y"])], {},
     'input "s" is neither a tensor nor a sequence or an optional of tensors, so it is not supported [KILN-E0204]'),
    ([h.make_value_info("s", h.make_sequence_type_proto(h.make_sequence_type_proto(h.make_tensor_type_proto(T.FLOAT, [1]))))], [value("y", T.INT64)],
     [h.make_node("SequenceLength", ["s"], ["y"])], {}, 'input "s" is neither a tensor nor a sequence or an optional of tensors, so it is not supported [KILN-E0204]'),
    ([sequence("s", T.FLOAT, [2])], [value("y", T.INT64)], [h.make_node("SequenceLength", ["s"], ["y"])], {"shapes": {"s": [2], "s[0]": [2]}},
     'shapes are given for the sequence "s" and for its items [KILN-E0703]'),
    ([sequence("s", T.FLOAT, [2])], [value("y", T.INT64)], [h.make_node("SequenceLength", ["s"], ["y"])], {"shapes": {"s[0]": [2], "s[2]": [2]}},
     'a shape is given for "s[2]", which is no input of the model; its inputs are "s[0]" [KILN-E0501]'),
    ([sequence("s", T.FLOAT, [2])], [value("s", T.FLOAT)], [], {}, 'output "s" of the graph is declared as a tensor, but its value is a sequence [KILN-E0305]'),
    ([sequence("s", T.FLOAT, [2])], [sequence("s", T.INT64)], [], {}, 'output "s" of the graph is declared as int64, but its value is float [KILN-E0305]'),
    ([optional("s", T.FLOAT, [2])], [sequence("s")], [], {}, 'output "s" of the graph is declared as a sequence, but its value is an optional [KILN-E0305]'),
])
def test_what_is_refused(tmp_path, inputs, outputs, nodes, options, message):
    path = model(tmp_path / "m.onnx", nodes, inputs, outputs)
    with pytest.raises(kiln.Error) as error:
        kiln.compile(path, **options)
    assert str(error.value) == "m.onnx: " + message


def test_a_map_over_unlike_lists(tmp_path):
    body = h.make_graph([h.make_node("Identity", ["a"], ["c"])], "b", [value("a", T.FLOAT), value("b", T.FLOAT)], [value("c", T.FLOAT)])
    nodes = [h.make_node("Concat", ["x", "x"], ["xx"], axis=0), h.make_node("SequenceConstruct", ["x", "xx"], ["r"]),
             h.make_node("SequenceMap", ["s", "r"], ["y"], body=body, name="map")]
    path = model(tmp_path / "m.onnx", nodes, [sequence("s", T.FLOAT, ["N"]), value("x", T.FLOAT, [1])], [sequence("y")])
    with pytest.raises(kiln.UnsupportedError) as error:
        kiln.compile(path)
    assert str(error.value) == ('m.onnx: node "map" (SequenceMap, opset 17): the tensors of a sequence must have equal dims where the length of another one is not '
                                'known when compiling [KILN-E0208]')


def test_unlike_items_of_a_sequence_of_any_length(tmp_path):
    """Another rank than the model declares, as one of ONNX's own cases has it; and one more of other dims."""
    body = h.make_graph([h.make_node("Identity", ["c"], ["d"]), h.make_node("SequenceInsert", ["s", "x"], ["t"])], "body",
                        [value("i", T.INT64, []), value("c", T.BOOL, []), sequence("s")], [value("d", T.BOOL, []), sequence("t")])
    for nodes, name, dims in (([h.make_node("Loop", ["n", "", "s"], ["y"], body=body, name="grow")], '"grow" (Loop', []),
                              ([h.make_node("SequenceInsert", ["s", "x"], ["y"], name="put")], '"put" (SequenceInsert', [3])):
        path = model(tmp_path / "m.onnx", nodes, [sequence("s", T.FLOAT, dims), value("x", T.FLOAT, [2]), value("n", T.INT64, [])], [sequence("y")])
        with pytest.raises(kiln.UnsupportedError) as error:
            kiln.compile(path)
        assert str(error.value) == (f'm.onnx: node {name}, opset 17): tensors of different dims in a sequence whose length only a run tells are not supported '
                                    '[KILN-E0204]')


def test_an_extra_output_called_like_an_item(tmp_path):
    nodes = [h.make_node("Neg", ["x"], ["y[1]"]), h.make_node("SequenceConstruct", ["x", "y[1]"], ["y"]), h.make_node("Abs", ["x"], ["z"])]
    path = model(tmp_path / "m.onnx", nodes, [value("x", T.FLOAT, [2])], [sequence("y"), value("z", T.FLOAT)])
    x = F([1, -2])
    check(path, {"x": x}, {"y": [x, -x], "z": abs(x), "y[1]": -x}, dump=["y[1]", "z"])


def test_a_branch_without_items_has_the_sizes_of_the_other(tmp_path):
    """So what is appended fits, whichever was taken."""
    empty = [h.make_node("SequenceEmpty", [], ["theny"])]
    for dims, items in ((["N"], ["x", "x"]), ([2, "N"], ["x"])):
        after = [h.make_node("SequenceInsert", ["y", "x"], ["z"]), h.make_node("SequenceLength", ["z"], ["n"]), h.make_node("SequenceAt", ["z", "last"], ["v"]),
                 h.make_node("Neg", ["v"], ["w"])]
        path = branches(tmp_path, empty, [h.make_node("SequenceConstruct", items, ["elsey"])], [sequence("y")], after=after,
                        results=[sequence("z"), value("w", T.FLOAT), value("n", T.INT64, [])], dims=dims)
        x = np.arange(4, dtype=F).reshape([4] if len(dims) == 1 else [2, 2])
        check(path, {"c": np.array(True), "x": x}, {"y": [], "z": [x], "w": -x, "n": I(1)})
        check(path, {"c": np.array(False), "x": x}, {"y": [x] * len(items), "z": [x] * (len(items) + 1), "w": -x, "n": I(len(items) + 1)})


def test_branches_of_an_empty_list_and_of_none(tmp_path):
    none = h.make_node("Optional", [], ["elsey"], type=h.make_sequence_type_proto(h.make_tensor_type_proto(T.INT64, None)))
    after = [h.make_node("OptionalHasElement", ["y"], ["has"])]
    path = branches(tmp_path, [h.make_node("SequenceEmpty", [], ["theny"], dtype=T.INT64)], [none], [optional_sequence("y", T.INT64)], after=after,
                    results=[value("has", T.BOOL, [])])
    x = F([1, 2])
    check(path, {"c": np.array(True), "x": x}, {"y": [], "has": np.array(True)})
    check(path, {"c": np.array(False), "x": x}, {"y": None, "has": np.array(False)})


def test_a_list_that_stays_empty_needs_no_sizes(tmp_path):
    """Each iteration would append a convolution of x, which is too short for one."""
    nodes = [h.make_node("Conv", ["x", "k"], ["r"]), h.make_node("SequenceInsert", ["s", "r"], ["t"]), h.make_node("Identity", ["c"], ["d"])]
    body = h.make_graph(nodes, "body", [value("i", T.INT64, []), value("c", T.BOOL, []), sequence("s")], [value("d", T.BOOL, []), sequence("t")])
    nodes = [h.make_node("SequenceEmpty", [], ["none"]), h.make_node("Loop", ["n", "", "none"], ["y"], body=body, name="grow")]
    path = model(tmp_path / "m.onnx", nodes, [value("x", T.FLOAT, [1, 1, "N"]), value("n", T.INT64, [])], [sequence("y")], {"k": np.ones((1, 1, 4), F)})
    check(path, {"x": np.ones((1, 1, 2), F), "n": I(0)}, {"y": []})
    check(path, {"x": np.ones((1, 1, 4), F), "n": I(2)}, {"y": [np.full((1, 1, 1), 4, F)] * 2})


def test_branches_that_cannot_be_one(tmp_path):
    thens = [h.make_node("Concat", ["x", "x"], ["xx"], axis=0), h.make_node("SequenceConstruct", ["x", "xx"], ["theny"])]
    path = branches(tmp_path, thens, [h.make_node("SequenceConstruct", ["x"], ["elsey"])], [sequence("y")])
    with pytest.raises(kiln.UnsupportedError) as error:
        kiln.compile(path)
    assert str(error.value) == 'm.onnx: node "branch" (If, opset 17): branches that give different sequences or optionals are not supported [KILN-E0204]'


def test_a_state_is_a_tensor(tmp_path):
    path = model(tmp_path / "m.onnx", [h.make_node("Identity", ["s"], ["y"])], [sequence("s", T.FLOAT, [2])], [sequence("y")])
    with pytest.raises(kiln.UnsupportedError) as error:
        kiln.compile(path, states={"s": "y"})
    assert str(error.value) == 'm.onnx: input "s" of entry main is a sequence or an optional; a state is a tensor [KILN-E0204]'


def test_beside_states_and_other_entries(tmp_path):
    """Ports that are states are no inputs; each entry has values of its own, also through IR text."""
    nodes = [h.make_node("SequenceAt", ["s", "zero"], ["a"]), h.make_node("Add", ["past", "a"], ["present"]), h.make_node("SequenceConstruct", ["present", "a"], ["y"])]
    path = model(tmp_path / "m.onnx", nodes, [sequence("s", T.FLOAT, ["N"]), value("past", T.FLOAT, [2]), optional("o", T.FLOAT, [1])],
                 [sequence("y"), value("present", T.FLOAT), optional("o")], {"zero": I(0)})
    other = model(tmp_path / "n.onnx", [h.make_node("Neg", ["x"], ["z"])], [value("x", T.FLOAT, [1])], [value("z", T.FLOAT)])
    compiled = kiln.compile({"one": path, "two": other}, states={"past": "present"}, dump_dir=tmp_path / "dump")
    one, two = F([1, 2]), F([10, 20])
    for again in (compiled, kiln.compile(next((tmp_path / "dump").glob("*-optimized.mlir")))):
        assert [(p.name, p.kind) for p in again.entries[0].inputs] == [("s", "sequence"), ("o", "optional")]
        assert [(p.name, p.kind) for p in again.entries[1].inputs] == [("x", "tensor")]
        state = again.new_state()
        got = again.run({"s": [one, two], "o": None}, state=state)
        same([got["y"], got["o"]], [[one, one], None])
        got = again.run({"s": [two], "o": F([7])}, state=state)
        same([got["y"], got["o"]], [[one + two, two], F([7])])
        same(again.run({"x": F([3])}, entry="two")["z"], F([-3]))


def test_on_the_command_line(tmp_path):
    nodes = [h.make_node("SequenceAt", ["s", "zero"], ["a"]), h.make_node("SequenceConstruct", ["a", "x"], ["y"]), h.make_node("OptionalHasElement", ["o"], ["has"])]
    path = model(tmp_path / "m.onnx", nodes, [sequence("s", T.FLOAT, ["N"]), value("x", T.FLOAT, [1]), optional("o", T.FLOAT, [3])],
                 [sequence("y"), value("has", T.BOOL), optional("o")], {"zero": I(0)})
    text = command("inspect", path, "--shape", "s=2").stdout
    for line in ("input   s sequence of f32[2]\n", "input   x f32[1]\n", "input   o optional f32[3]\n", "output  y sequence of 2: f32[2], f32[1]\n", "output  o optional f32[3]\n"):
        assert line in text
    assert "s_length" not in command("inspect", path).stderr
    signature = json.loads(command("inspect", path, "--json", "--shape", "s=M").stdout)
    assert signature["inputs"] == [{"name": "s", "kind": "sequence", "type": "f32[M]"}, {"name": "x", "type": "f32[1]"}, {"name": "o", "kind": "optional", "type": "f32[3]"}]
    assert signature["outputs"][0] == {"name": "y", "kind": "sequence", "items": ["f32[M]", "f32[1]"]}
    for name, array in (("a", F([1, 2])), ("b", F([3, 4])), ("c", F([5]))):
        np.save(tmp_path / f"{name}.npy", array)
    files = lambda *names: "s=" + ",".join(f"@{tmp_path}/{name}.npy" for name in names)
    run = command("run", path, "--input", files("b", "a"))
    assert "y[0] f32[2]  min 3  max 4  mean 3.5  [3, 4]\n" in run.stdout and "made-up inputs: x f32[1], o absent" in run.stderr
    assert "made-up inputs: s sequence of 1 f32[2], x f32[1]" in command("run", path, "--shape", "s=2").stderr
    assert "KILN-E0204" in refused("run", path, "--input", files("a", "c"), code=3)
    assert "KILN-E0513" in refused("run", path, "--input", "s=[]", code=1)
    assert refused("run", path, "--input", "x=[]", code=2).endswith('kiln: --input: "x" is no sequence [KILN-E0511]\n')
    assert command("bench", path, "--runs", "3", "--input", files("a")).stdout
    assert refused("reduce", path, code=1).endswith('kiln: input "s" is a sequence; kiln reduce takes models of tensors [KILN-E0511]\n')
    two = model(tmp_path / "two.onnx", [h.make_node("Identity", ["s"], ["t"])], [sequence("s")], [sequence("t")])
    unlike = ("run", two, "--shape", "s[0]=2", "--shape", "s[1]=1")
    assert command(*unlike, "--input", files("a", "c")).stdout.startswith("t sequence of 2 tensors\nt[0] f32[2]")
    assert refused(*unlike, code=1).endswith('the items of input "s" have dims of their own; give a file for each, as s=@A.npy,@B.npy [KILN-E0502]\n')
    nodes = [h.make_node("SequenceConstruct", ["x", "x"], ["y"]), h.make_node("SequenceEmpty", [], ["z"])]
    path = model(tmp_path / "n.onnx", nodes, [value("x", T.FLOAT, [2]), optional("o", T.INT64, ["N"])], [sequence("y"), sequence("z"), optional("o", T.INT64)])
    np.save(tmp_path / "x.npy", F([1, 2]))
    np.save(tmp_path / "o.npy", I([3]))
    run = command("run", path, "--input", f"x=@{tmp_path}/x.npy", "--output-dir", tmp_path / "out")
    item = "f32[2]  min 1  max 2  mean 1.5  [1, 2]\n"
    assert run.stdout == f"y sequence of 2 tensors\ny[0] {item}y[1] {item}z sequence of 0 tensors\no absent\n"
    assert "made-up inputs: o absent" in run.stderr
    same(np.load(tmp_path / "out" / "y.1.npy"), F([1, 2]))
    assert command("run", path, "--input", f"o=@{tmp_path}/o.npy").stdout.endswith("\no i64[1]  min 3  max 3  mean 3  [3]\n")
    assert command("bench", path, "--runs", "3").stdout


def test_what_is_absent_has_the_sizes_of_states(tmp_path):
    """No dim of nothing matters; one that a state has, too, is the state's."""
    nodes = [h.make_node("OptionalHasElement", ["o"], ["has"]), h.make_node("Identity", ["st"], ["st2"])]
    path = model(tmp_path / "m.onnx", nodes, [optional("o", T.FLOAT, ["N"]), value("st", T.FLOAT, ["N"])], [value("has", T.BOOL, []), value("st2", T.FLOAT, ["N"])])
    compiled = kiln.compile(path, states={"st": "st2"})
    state = compiled.new_state({"N": 3})
    assert not compiled.run({"o": None}, state=state)["has"]
    assert compiled.run({"o": np.zeros(3, F)}, state=state)["has"]


def test_inspect_counts_dims_as_the_host_does(tmp_path):
    path = model(tmp_path / "m.onnx", [h.make_node("SequenceLength", ["s"], ["n"])], [value("x", T.FLOAT, [2]), sequence("s", T.FLOAT, ["N"])], [value("n", T.INT64, [])])
    symbols = {s.get("input", "") + str(s["dim"]): s for s in json.loads(command("inspect", path, "--json").stdout)["entries"][0]["symbols"] if "dim" in s}
    assert set(symbols) == {"s-1", "s0"}
