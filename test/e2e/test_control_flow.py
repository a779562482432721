"""Branches and loops: what they give, at sizes that only a run tells, and what is refused."""
import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper

import kiln
from test_cli import kiln as command

F = np.float32


def value(name, dtype, dims=None):
    return h.make_tensor_value_info(name, dtype, dims)


def model(path, nodes, inputs, outputs, initializers=()):
    constants = [numpy_helper.from_array(np.asarray(array), name) for name, array in dict(initializers).items()]
    graph = h.make_graph(nodes, "g", inputs, outputs, constants)
    onnx.save(h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=9), path)
    return str(path)


def graph(nodes, inputs, outputs, name="body"):
    return h.make_graph(nodes, name, inputs, [value(o, t) for o, t in outputs])


def run_everywhere(path, feeds, name="y"):
    """The output in the interpreter and in generated code, with guard pages, before and after saving: all the same."""
    results = []
    for options in ({"target": "interpreter"}, {}):
        compiled = kiln.compile(path, **options)
        results.append(compiled.run(feeds)[name])
        compiled.save(path + ".kiln")
        results.append(kiln.load(path + ".kiln", guard_pages=True).run(feeds)[name])
    for other in results[1:]:
        assert other.shape == results[0].shape
        np.testing.assert_allclose(other, results[0], rtol=1e-6)
    return results[0]


@pytest.fixture
def branches(tmp_path):
    """x + w, or x twice over: of other sizes, so that what follows waits for the branch."""
    then = graph([h.make_node("Add", ["x", "w"], ["t"])], [], [("t", T.FLOAT)])
    other = graph([h.make_node("Concat", ["x", "x"], ["e"], axis=0)], [], [("e", T.FLOAT)])
    nodes = [h.make_node("If", ["c"], ["z"], then_branch=then, else_branch=other, name="branch"), h.make_node("Neg", ["z"], ["y"])]
    return model(tmp_path / "m.onnx", nodes, [value("c", T.BOOL, []), value("x", T.FLOAT, ["N", 2])], [value("y", T.FLOAT, ["M", 2])],
                 {"w": F([1, 2])})


def test_a_branch_may_decide_the_size(branches):
    x = np.arange(6, dtype=F).reshape(3, 2)
    np.testing.assert_array_equal(run_everywhere(branches, {"c": np.array(True), "x": x}), -(x + F([1, 2])))
    np.testing.assert_array_equal(run_everywhere(branches, {"c": np.array(False), "x": x}), -np.concatenate([x, x]))


def test_the_steps_of_functions_are_measured_once(branches):
    figures = json.loads(command("bench", branches, "--runs", "2", "--shape", "x=3x2", "--json").stdout)
    shares = {kind: sum(step["share"] for step in figures["steps"] if step["kind"] == kind) for kind in ("function", "kernel", "host", "reference", "copy")}
    assert shares["function"] > 0 and sum(shares.values()) - shares["function"] == pytest.approx(1)
    assert " function " not in command("bench", branches, "--runs", "2", "--shape", "x=3x2").stdout


def test_one_context_serves_both_branches_in_turn(branches):
    compiled = kiln.compile(branches)
    for n in (1, 4, 2, 0):
        x = np.ones((n, 2), F)
        for c in (True, False, True):
            assert compiled.run({"c": np.array(c), "x": x})["y"].shape == (n if c else 2 * n, 2)


def test_a_constant_condition_leaves_its_branch_alone(tmp_path):
    then = graph([h.make_node("Add", ["x", "w"], ["t"])], [], [("t", T.FLOAT)])
    other = graph([h.make_node("Mul", ["x", "w"], ["e"])], [], [("e", T.FLOAT)])
    nodes = [h.make_node("Greater", ["one", "two"], ["c"]), h.make_node("If", ["c"], ["y"], then_branch=then, else_branch=other)]
    path = model(tmp_path / "m.onnx", nodes, [value("x", T.FLOAT, ["N", 2])], [value("y", T.FLOAT, ["N", 2])],
                 {"w": F([3, 4]), "one": F(1), "two": F(2)})
    np.testing.assert_array_equal(run_everywhere(path, {"x": np.ones((2, 2), F)}), [[3, 4], [3, 4]])
    steps = json.loads(command("inspect", path, "--json").stdout)["steps"]
    assert [step["function"] for step in steps] == ["main"]


def loop(tmp_path, body, carried, captured, initial, outputs, initializers=(), count="n", condition=""):
    nodes = [h.make_node("Loop", [count, condition, *initial], outputs, body=body, name="lp")]
    ins = [value("n", T.INT64, []), value("c", T.BOOL, []), *carried, *captured]
    return model(tmp_path / "m.onnx", nodes, ins, [value(o, T.FLOAT) for o in outputs], initializers)


def test_a_loop_carries_and_scans(tmp_path):
    body = graph([h.make_node("Add", ["s", "w"], ["o"]), h.make_node("Identity", ["c"], ["d"]), h.make_node("Mul", ["o", "x"], ["k"])],
                 [value("i", T.INT64, []), value("c", T.BOOL, []), value("s", T.FLOAT, ["N"])],
                 [("d", T.BOOL), ("o", T.FLOAT), ("k", T.FLOAT)])
    path = loop(tmp_path, body, [value("x", T.FLOAT, ["N"])], [], ["x"], ["y", "z"], {"w": F(1)})
    x = F([1, 2, 3])
    for n in (0, 1, 5):
        feeds = {"n": np.array(n), "c": np.array(True), "x": x}
        np.testing.assert_array_equal(run_everywhere(path, feeds), x + n)
        scanned = run_everywhere(path, feeds, "z")
        assert scanned.shape == (n, 3)
        np.testing.assert_array_equal(scanned, np.array([(x + 1 + i) * x for i in range(n)], F).reshape(n, 3))


def test_a_loop_ends_when_its_body_says_so(tmp_path):
    body = graph([h.make_node("Add", ["s", "w"], ["o"]), h.make_node("Less", ["o", "most"], ["d"])],
                 [value("i", T.INT64, []), value("c", T.BOOL, []), value("s", T.FLOAT, [])], [("d", T.BOOL), ("o", T.FLOAT)])
    path = loop(tmp_path, body, [value("x", T.FLOAT, [])], [value("most", T.FLOAT, [])], ["x"], ["y"], {"w": F(1)}, count="", condition="c")
    feeds = {"n": np.array(0), "x": F(0), "most": F(4)}
    assert run_everywhere(path, {**feeds, "c": np.array(True)}) == 4
    assert run_everywhere(path, {**feeds, "c": np.array(False)}) == 0


def test_a_carried_value_may_grow(tmp_path):
    body = graph([h.make_node("Concat", ["s", "x"], ["o"], axis=0), h.make_node("Identity", ["c"], ["d"])],
                 [value("i", T.INT64, []), value("c", T.BOOL, []), value("s", T.FLOAT, ["M"])], [("d", T.BOOL), ("o", T.FLOAT)])
    path = loop(tmp_path, body, [value("x", T.FLOAT, ["N"])], [], ["x"], ["y"])
    for n in (0, 1, 6):
        feeds = {"n": np.array(n), "c": np.array(True), "x": F([1, 2])}
        np.testing.assert_array_equal(run_everywhere(path, feeds), np.tile(F([1, 2]), n + 1))


def test_loops_and_branches_nest(tmp_path):
    """A value that only the outermost graph knows is used two graphs further in."""
    then = graph([h.make_node("Add", ["s", "x"], ["t"])], [], [("t", T.FLOAT)])
    other = graph([h.make_node("Sub", ["s", "x"], ["e"])], [], [("e", T.FLOAT)])
    body = graph([h.make_node("ReduceSum", ["s"], ["sum"], keepdims=0), h.make_node("Less", ["sum", "zero"], ["b"]),
                  h.make_node("If", ["b"], ["o"], then_branch=then, else_branch=other), h.make_node("Identity", ["c"], ["d"])],
                 [value("i", T.INT64, []), value("c", T.BOOL, []), value("s", T.FLOAT, ["N"])], [("d", T.BOOL), ("o", T.FLOAT)])
    path = loop(tmp_path, body, [value("x", T.FLOAT, ["N"])], [], ["x"], ["y"], {"zero": F(0)})
    x = F([1, 2])
    want = x.copy()
    for _ in range(5):
        want = want + x if want.sum() < 0 else want - x
    np.testing.assert_array_equal(run_everywhere(path, {"n": np.array(5), "c": np.array(True), "x": x}), want)


def refused(path, **options):
    with pytest.raises(kiln.Error) as caught:
        kiln.compile(path, **options)
    return str(caught.value)


def test_ranks_that_depend_on_data_are_refused_by_name(tmp_path):
    then = graph([h.make_node("Relu", ["x"], ["t"])], [], [("t", T.FLOAT)])
    other = graph([h.make_node("ReduceSum", ["x"], ["e"], keepdims=0)], [], [("e", T.FLOAT)])
    path = model(tmp_path / "m.onnx", [h.make_node("If", ["c"], ["y"], then_branch=then, else_branch=other, name="odd")],
                 [value("c", T.BOOL, []), value("x", T.FLOAT, [2])], [value("y", T.FLOAT)])
    assert 'node "odd" (If, opset 17): output 0 of an If has rank 1 or 0; ranks that depend on data are not supported [KILN-E0207]' in refused(path)


def test_a_branch_that_sizes_choose_stands_for_the_if(tmp_path):
    """As exporters squeeze a dim that may be 1: the branches have different ranks."""
    then = graph([h.make_node("Squeeze", ["x", "axis"], ["t"])], [], [("t", T.FLOAT)])
    other = graph([h.make_node("Identity", ["x"], ["e"])], [], [("e", T.FLOAT)])
    nodes = [h.make_node("Shape", ["x"], ["shape"]), h.make_node("Gather", ["shape", "axis"], ["size"]),
             h.make_node("Equal", ["size", "axis"], ["c"]), h.make_node("If", ["c"], ["y"], then_branch=then, else_branch=other)]
    path = model(tmp_path / "m.onnx", nodes, [value("x", T.FLOAT, ["N", 1, 3])], [value("y", T.FLOAT)],
                 {"axis": np.array([1])})
    x = np.arange(6, dtype=np.float32).reshape(2, 1, 3)
    np.testing.assert_array_equal(run_everywhere(path, {"x": x}), x[:, 0])


def test_what_is_not_supported_in_a_branch_is_listed(tmp_path):
    then = graph([h.make_node("RandomNormalLike", ["x"], ["t"])], [], [("t", T.FLOAT)])
    other = graph([h.make_node("Relu", ["x"], ["e"])], [], [("e", T.FLOAT)])
    path = model(tmp_path / "m.onnx", [h.make_node("If", ["c"], ["y"], then_branch=then, else_branch=other, name="odd")],
                 [value("c", T.BOOL, []), value("x", T.FLOAT, [2])], [value("y", T.FLOAT)])
    assert '"odd/RandomNormalLike_t"' in refused(path)


def one_node(path, node, inputs, outputs, initializers=()):
    return model(path, [node], inputs, outputs, initializers)


X = value("x", T.FLOAT, [2])
COND, COUNT = value("c", T.BOOL, []), value("n", T.INT64, [])


def body_of(outputs, inputs=3, nodes=None):
    ins = [value("i", T.INT64, []), value("d", T.BOOL, []), value("s", T.FLOAT, [2]), value("t", T.FLOAT, [2])][:inputs]
    nodes = nodes or [h.make_node("Identity", ["d"], ["e"]), h.make_node("Relu", ["s"], ["o"])]
    return graph(nodes, ins, [(o, T.BOOL if o == "e" else T.FLOAT) for o in outputs])


@pytest.mark.parametrize("node, text", [
    (h.make_node("If", ["c"], ["y"], name="k"), "has no graph 'then_branch' [KILN-E0401]"),
    (h.make_node("If", [""], ["y"], name="k", then_branch=graph([], [], []), else_branch=graph([], [], [])), "input 0 is missing [KILN-E0306]"),
    (h.make_node("If", ["x"], ["y"], name="k", then_branch=graph([], [], [("x", T.FLOAT)]), else_branch=graph([], [], [("x", T.FLOAT)])),
     "the condition is no single bool [KILN-E0305]"),
    (h.make_node("If", ["c"], ["y", "z"], name="k", then_branch=graph([], [], [("x", T.FLOAT)]), else_branch=graph([], [], [("x", T.FLOAT)])),
     "has 2 outputs, its branches give 1 [KILN-E0306]"),
    (h.make_node("If", ["c"], ["y"], name="k", then_branch=graph([], [], [("x", T.FLOAT)]), else_branch=graph([], [], [("n", T.INT64)])),
     "the branches of an If give different element types for output 0 [KILN-E0305]"),
    (h.make_node("If", ["c"], ["y"], name="k", then_branch=graph([], [], [("nowhere", T.FLOAT)]), else_branch=graph([], [], [("x", T.FLOAT)])),
     "output \"nowhere\" of graph 'then' is not defined [KILN-E0302]"),
    (h.make_node("Loop", ["n", "", "x"], ["y"], name="k"), "has no graph 'body' [KILN-E0401]"),
    (h.make_node("Loop", ["x", "", "x"], ["y"], name="k", body=body_of(["e", "o"])), "the trip count is no single int64 [KILN-E0305]"),
    (h.make_node("Loop", ["n", "", "x"], ["y"], name="k", body=body_of(["e", "o"], inputs=4)),
     "graph 'body' has 4 inputs, 3 are handed over [KILN-E0306]"),
    (h.make_node("Loop", ["n", "", "x"], ["y"], name="k", body=body_of(["e"])),
     "its body gives 1 values, not the condition and 1 carried ones [KILN-E0306]"),
    (h.make_node("Loop", ["n", "", "x"], ["y"], name="k", body=body_of(["o", "o"])),
     "the body of a loop gives a condition that is no single bool [KILN-E0305]"),
    (h.make_node("Loop", ["n", "", "x"], ["y"], name="k", body=body_of(["e", "i"])), "carried value 0 of a loop changes its element type [KILN-E0305]"),
    (h.make_node("Loop", ["n", "", "x"], ["y"], name="k",
                 body=body_of(["e", "o"], nodes=[h.make_node("Identity", ["d"], ["e"]), h.make_node("ReduceSum", ["s"], ["o"], keepdims=0)])),
     "carried value 0 of a loop has rank 1 at first and then 0; ranks that depend on data are not supported [KILN-E0207]"),
    (h.make_node("Loop", ["n", "", "x"], ["y", "z", "w"], name="k", body=body_of(["e", "o"])), "has 3 outputs, its body gives 1 [KILN-E0306]"),
])
def test_control_flow_that_does_not_fit_is_refused(tmp_path, node, text):
    path = one_node(tmp_path / "m.onnx", node, [X, COND, COUNT], [value("y", T.FLOAT)])
    assert f'node "k" ({node.op_type}, opset 17): {text}' in refused(path)


def test_unused_results_of_a_loop_may_be_left_out(tmp_path):
    node = h.make_node("Loop", ["n", "", "x"], ["", "y"], body=body_of(["e", "o", "p"], nodes=[
        h.make_node("Identity", ["d"], ["e"]), h.make_node("Neg", ["s"], ["o"]), h.make_node("Add", ["s", "s"], ["p"])]))
    path = one_node(tmp_path / "m.onnx", node, [X, COUNT], [value("y", T.FLOAT)])
    np.testing.assert_array_equal(run_everywhere(path, {"x": F([1, 2]), "n": np.array(2)}), [[2, 4], [-2, -4]])


def test_branches_nest_deep(tmp_path):
    inner = graph([h.make_node("Add", ["x", "x"], ["r0"])], [], [("r0", T.FLOAT)])
    for level in range(1, 25):
        other = graph([h.make_node("Neg", ["x"], [f"q{level}"])], [], [(f"q{level}", T.FLOAT)])
        inner = graph([h.make_node("If", ["c"], [f"r{level}"], then_branch=inner, else_branch=other)], [], [(f"r{level}", T.FLOAT)])
    node = h.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=graph([h.make_node("Relu", ["x"], ["q"])], [], [("q", T.FLOAT)]))
    path = one_node(tmp_path / "m.onnx", node, [X, COND], [value("y", T.FLOAT)])
    np.testing.assert_array_equal(run_everywhere(path, {"x": F([1, 2]), "c": np.array(True)}), [2, 4])


def scan_model(path, length, **attributes):
    """Running sums of a, and each b less the sum before; over axis 1 of a from its end and axis 0 of b."""
    body = h.make_graph([h.make_node("Add", ["s", "a_"], ["t"]), h.make_node("Sub", ["b_", "s"], ["d"]), h.make_node("Identity", ["t"], ["o"])], "body",
                        [value("s", T.FLOAT), value("a_", T.FLOAT), value("b_", T.FLOAT)], [value("t", T.FLOAT), value("o", T.FLOAT), value("d", T.FLOAT)])
    nodes = [h.make_node("Scan", ["s0", "a", "b"], ["last", "sums", "less"], body=body, name="scan", num_scan_inputs=2, **attributes)]
    return model(path, nodes, [value("s0", T.FLOAT, [2]), value("a", T.FLOAT, [2, length]), value("b", T.FLOAT, [length, 2])],
                 [value("last", T.FLOAT, None), value("sums", T.FLOAT, None), value("less", T.FLOAT, None)])


@pytest.mark.parametrize("length", [3, "T"])
def test_scan_goes_through_axes_from_either_end(tmp_path, length):
    path = scan_model(tmp_path / "m.onnx", length, scan_input_axes=[1, 0], scan_input_directions=[1, 0], scan_output_axes=[-1, 0],
                      scan_output_directions=[0, 1])
    rng = np.random.default_rng(0)
    for n in (3,) if length == 3 else (3, 1, 6, 0):
        s0, a, b = (rng.standard_normal(s).astype(F) for s in ((2,), (2, n), (n, 2)))
        s, sums, less = s0, [], []
        for i in range(n):
            less.append(b[i] - s)
            s = s + a[:, n - 1 - i]
            sums.append(s)
        feeds = {"s0": s0, "a": a, "b": b}
        np.testing.assert_allclose(run_everywhere(path, feeds, "last"), s, rtol=1e-6)
        np.testing.assert_allclose(run_everywhere(path, feeds, "sums"), np.array(sums, F).reshape(n, 2).T, rtol=1e-6)
        np.testing.assert_allclose(run_everywhere(path, feeds, "less"), np.array(less[::-1], F).reshape(n, 2), rtol=1e-6)


def test_scan_refuses_what_does_not_fit(tmp_path):
    path = scan_model(tmp_path / "m.onnx", 3, scan_input_axes=[1])
    with pytest.raises(kiln.Error, match=r'node "scan" \(Scan, opset 17\): scan_input_axes has 1 entries; expected 2 \[KILN-E0404\]'):
        kiln.compile(path)
    with pytest.raises(kiln.Error, match=r'node "scan" \(Scan, opset 17\): .*E0304'):
        kiln.compile(scan_model(tmp_path / "m.onnx", 3))


def batch_scan(path, attributes=(), lengths=False, dims=("B", "T")):
    """Of each sequence of a batch: running sums, each element less the sum before, and the sum at last. Before opset 9."""
    body = h.make_graph([h.make_node("Add", ["s", "a_"], ["t"]), h.make_node("Sub", ["b_", "s"], ["d"]), h.make_node("Identity", ["t"], ["o"])], "body",
                        [value("s", T.FLOAT, [2]), value("a_", T.FLOAT, [2]), value("b_", T.FLOAT, [2])],
                        [value("t", T.FLOAT, [2]), value("o", T.FLOAT, [2]), value("d", T.FLOAT, [2])])
    node = h.make_node("Scan", ["n" if lengths else "", "s0", "a", "b"], ["last", "sums", "less"], body=body, name="scan", num_scan_inputs=2, **dict(attributes))
    inputs = [value("s0", T.FLOAT, [dims[0], 2]), value("a", T.FLOAT, [*dims, 2]), value("b", T.FLOAT, [*dims, 2])]
    g = h.make_graph([node], "g", inputs + ([value("n", T.INT64, dims[:1])] if lengths else []), [value(o, T.FLOAT) for o in ("last", "sums", "less")])
    onnx.save(h.make_model(g, opset_imports=[h.make_opsetid("", 8)], ir_version=4), path)
    return str(path)


@pytest.mark.parametrize("dims", [(3, 4), ("B", "T")])
@pytest.mark.parametrize("kind", ["whole", "backwards", "lengths"])
def test_scan_over_a_batch(tmp_path, kind, dims):
    """What lies behind the length of a sequence does not count: sums stay, and results are 0 there."""
    path = batch_scan(tmp_path / "m.onnx", {"directions": [1, 0]} if kind == "backwards" else {}, kind == "lengths", dims)
    rng = np.random.default_rng(0)
    for batch, length in ((3, 4),) if dims == (3, 4) else ((3, 4), (1, 2), (2, 0), (0, 3)):
        s0, a, b = (rng.standard_normal(s).astype(F) for s in ((batch, 2), (batch, length, 2), (batch, length, 2)))
        n = np.array([0, length, 2][:batch], np.int64) if kind == "lengths" else np.full(batch, length)
        last, sums, less = s0.copy(), np.zeros_like(a), np.zeros_like(b)
        for i in range(batch):
            for t in range(n[i]):
                less[i, t] = b[i, t] - last[i]
                last[i] += a[i, length - 1 - t if kind == "backwards" else t]
                sums[i, t] = last[i]
        feeds = {"s0": s0, "a": a, "b": b, **({"n": n} if kind == "lengths" else {})}
        for name, want in (("last", last), ("sums", sums), ("less", less)):
            got = run_everywhere(path, feeds, name)
            assert got.shape == want.shape
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_scan_over_a_batch_refuses_what_has_no_meaning(tmp_path):
    for attributes, text in (({"directions": [1, 0]}, "sequence_lens with a direction from the end is not supported: the standard does not say at which end of a "
                                                      "shorter sequence the rest lies [KILN-E0205]"),
                             ({"directions": [1]}, "directions has 1 entries; expected 2 [KILN-E0404]")):
        with pytest.raises(kiln.Error) as error:
            kiln.compile(batch_scan(tmp_path / "m.onnx", attributes, True))
        assert str(error.value).startswith("m.onnx: node ") and str(error.value).endswith('node "scan/sequence" (Scan, opset 8): ' + text)


def test_inspect_shows_the_work_of_functions(tmp_path):
    """Of a loop's body and of a branch; not of what goes on with a size that only data tells."""
    step = h.make_graph([h.make_node("Add", ["v", "x"], ["w"]), h.make_node("Identity", ["c"], ["d"])], "body",
                        [value("i", T.INT64, []), value("c", T.BOOL, []), value("v", T.FLOAT)], [value("d", T.BOOL, []), value("w", T.FLOAT)])
    nodes = [h.make_node("Loop", ["n", "", "x"], ["l"], body=step, name="grow"), h.make_node("NonZero", ["l"], ["z"], name="find"),
             h.make_node("Cast", ["z"], ["f"], to=T.FLOAT), h.make_node("Mul", ["f", "f"], ["y"])]
    path = model(tmp_path / "m.onnx", nodes, [value("n", T.INT64, []), value("x", T.FLOAT, ["N"])], [value("y", T.FLOAT)])
    report = json.loads(command("inspect", path, "--json", "--shape", "x=1000").stdout)
    grow, rest = report["functions"]
    assert (grow["node"], grow["flops"], grow["generated_flops"]) == ("grow", 1000, 1000) and grow["bytes"] > 0
    assert (rest["node"], rest["flops"]) == ("", None)
    assert [s["flops"] for s in report["steps"] if s["function"] == grow["name"] and s["kind"] == "kernel"] == [1000]
    text = command("inspect", path, "--shape", "x=1000").stdout
    assert 'of node "grow": 2 steps, 1e-06 GFLOP, 100.00 % in generated code\n' in text
    assert "goes on when a size is known: " in text and ", of sizes that only data tells\n" in text
