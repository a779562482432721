"""What operators do at their edges, on every way that computes it: compiled and interpreted, of sizes that are known and of
sizes that only a run tells. The results are the onnx package's reference evaluator's unless a test says otherwise."""
import time

import kiln
import numpy as np
import pytest

from conftest import graph

F = np.float32
TARGETS = ("host", "interpreter")
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def ways(nodes, values, constants=(), result=F):
    """What each way gives: an array, or the text of an error. `values` are the model's inputs."""
    names = iter("ABCDEFGHIJKLMNOP")
    unknown = {n: (v.dtype, [next(names) for _ in v.shape]) for n, v in values.items()}
    known = {n: (v.dtype, list(v.shape)) for n, v in values.items()}
    for inputs in (known, unknown):
        model = graph(nodes, inputs, {"y": (result, None)}, constants)
        for target in TARGETS:
            try:
                yield kiln.compile(model, target=target).run(values)["y"]
            except kiln.Error as error:
                yield str(error)


def gives(wanted, *case, **options):
    for got in ways(*case, **options):
        assert isinstance(got, np.ndarray), got
        assert got.shape == np.shape(wanted)
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


def fails(texts, *case, **options):
    """`texts`: what errors say of known sizes and of unknown ones."""
    for got, text in zip(ways(*case, **options), (texts[0], texts[0], texts[1], texts[1])):
        assert isinstance(got, str), got
        assert text in got


# --- reductions

@pytest.mark.parametrize("op, wanted", [
    ("ReduceL1", [4, 3, 2]), ("ReduceL2", [4, 3, 2]), ("ReduceSumSquare", [16, 9, 4]), ("ReduceLogSumExp", [-4, -3, -2]),
    ("ReduceLogSum", [np.nan] * 3), ("ReduceSum", [-4, -3, -2]), ("ReduceProd", [-4, -3, -2])])
def test_no_axes_and_noop(op, wanted):
    node = [(op, ["x"], ["y"], {"noop_with_empty_axes": 1})]
    gives(wanted, node, {"x": np.array([-4, -3, -2], F)})
    if op != "ReduceLogSum":
        gives(wanted, node, {"x": np.array([-4, -3, -2], np.int32)}, result=np.int32)
    gives(wanted, [("Identity", ["c"], ["x"], {})] + node, {}, {"c": np.array([-4, -3, -2], F)})


# --- windows

POOLS = [("MaxPool", {}), ("AveragePool", {}), ("AveragePool", {"count_include_pad": 1})]


@pytest.mark.parametrize("op, more", POOLS)
@pytest.mark.parametrize("size, kernel, stride", [(2, 3, 2), (2, 4, 3), (1, 3, 3), (4, 5, 2)])
def test_ceil_mode_with_a_window_larger_than_the_operand(op, more, size, kernel, stride):
    x = np.arange(size, dtype=F)[None, None] - 7
    gives([[[x.max() if op == "MaxPool" else x.mean()]]],
          [(op, ["x"], ["y"], {"kernel_shape": [kernel], "strides": [stride], "ceil_mode": 1, **more})], {"x": x})


@pytest.mark.parametrize("op, more", POOLS)
def test_ceil_mode_with_a_window_that_is_too_large(op, more):
    fails(("window 5 with dilation 1 does not fit into size 2 with pads 0, 0 [KILN-E0304]", "KILN-E0507"),
          [(op, ["x"], ["y"], {"kernel_shape": [5], "strides": [3], "ceil_mode": 1, **more})], {"x": np.ones((1, 1, 2), F)})


def window(op, size, kernel, **attributes):
    """A node with a window of kernel x 1 over size x 4, and its inputs."""
    values = {"x": np.ones((2, 1, size, 4), F), "w": np.ones((1, 1, kernel, 1), F)}
    if op != "Conv":
        del values["w"]
    return [(op, list(values), ["y"], {"kernel_shape": [kernel, 1], **attributes})], values


@pytest.mark.parametrize("op", ["Conv", "MaxPool", "AveragePool"])
@pytest.mark.parametrize("kernel, pads, stride", [(1, 0, 1), (3, 1, 1), (3, 1, 2), (5, 2, 3)])
def test_windows_over_no_elements(op, kernel, pads, stride):
    """One that fits into every size from 1 on has no position."""
    gives(np.ones((2, 1, 0, 4)), *window(op, 0, kernel, pads=[pads, 0, pads, 0], strides=[stride, 1]))


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize("kernel", [1, 2, 3])
def test_ceil_mode_over_no_elements(op, kernel):
    gives(np.ones((2, 1, 0, 4)), *window(op, 0, kernel, ceil_mode=1, strides=[kernel, 1]))


@pytest.mark.parametrize("op", ["Conv", "MaxPool", "AveragePool"])
@pytest.mark.parametrize("size", [0, 1])
def test_windows_that_need_more_elements(op, size):
    fails((f"window 2 with dilation 1 does not fit into size {size} with pads 0, 0 [KILN-E0304]", "KILN-E0507"), *window(op, size, 2, strides=[2, 1]))


@pytest.mark.parametrize("size, kernel, text", [(2, 5, "is -1, allowed is at least 0 [KILN-E0507]"), (1, 2, "it must be at least 0 [KILN-E0508]"),
                                                (0, 2, "it must be at least 0 [KILN-E0508]")])
def test_weights_of_unknown_size_that_do_not_fit(size, kernel, text):
    fails(("does not fit", text), [("Conv", ["x", "w"], ["y"], {"strides": [2]})],
          {"x": np.ones((1, 1, size), F), "w": np.ones((1, 1, kernel), F)})


def test_kernel_shape_against_weights_of_unknown_size():
    node = [("Conv", ["x", "w"], ["y"], {"kernel_shape": [3]})]
    x = np.ones((1, 1, 4), F)
    gives([[[3, 3]]], node, {"x": x, "w": np.ones((1, 1, 3), F)})
    fails(("kernel_shape differs from the weight's dims [KILN-E0414]", "dim 2 is 2, expected 3 [KILN-E0505]"), node,
          {"x": x, "w": np.ones((1, 1, 2), F)})


@pytest.mark.parametrize("dims", [(1, 3, 0, 4), (0, 3, 2, 2), (1, 0, 2, 2)])
def test_lrn_over_no_elements(dims):
    gives(np.zeros(dims), [("LRN", ["x"], ["y"], {"size": 3})], {"x": np.zeros(dims, F)})


# --- slices

@pytest.mark.parametrize("size", [0, 1, 5])
@pytest.mark.parametrize("start, end, step", [
    (-100, -100, -1), (-6, -100, -1), (-5, -100, -1), (-7, -8, -1), (4, -7, -2), (100, -100, -1), (-1, -6, -3), (2**63 - 1, -2**63, -1),
    (-2**63, 2**63 - 1, 1), (-2**63, -2**63, -1), (0, -100, -1), (3, 1, 1)])
def test_slices_beyond_both_ends(size, start, end, step):
    """A start below -size with a negative step takes nothing, as in numpy."""
    x = np.arange(size, dtype=F)
    bounds = {n: np.array([v]) for n, v in (("s", start), ("e", end), ("a", 0), ("t", step))}
    gives(x[start:end:step], [("Slice", ["x", "s", "e", "a", "t"], ["y"], {})], {"x": x}, bounds)


def test_slices_of_small_vectors_of_sizes():
    """The same in shape arithmetic: y has the dims x.shape[-9::-1], which are none, before x.shape[::-1]."""
    bounds = {"s": np.array([-9]), "last": np.array([-1]), "e": np.array([-100]), "a": np.array([0]), "t": np.array([-1]), "v": np.array(3, F)}
    nodes = [("Shape", ["x"], ["h"], {}), ("Slice", ["h", "s", "e", "a", "t"], ["none"], {}), ("Slice", ["h", "last", "e", "a", "t"], ["all"], {}),
             ("Concat", ["none", "all"], ["d"], {"axis": 0}), ("Expand", ["v", "d"], ["y"], {})]
    gives(np.full((4, 3, 2), 3), nodes, {"x": np.ones((2, 3, 4), F)}, bounds)


@pytest.mark.parametrize("less, part, step", [(3, "end", 1), (3, "end", -1), (3, "start", 1), (3, "start", -1), (2, "end", 1), (2, "end", -1), (1, "end", 1), (1, "start", 1), (1, "end", -1), (1, "start", -1)])
def test_slices_at_positions_computed_from_the_size(less, part, step):
    """A position of the size less a number is not below 0, where it then would count from the end."""
    far = 100 if step > 0 else -100
    names = {"start": ["p", "far"], "end": ["zero" if step > 0 else "last", "p"]}[part]
    constants = {"c": np.array([less]), "zero": np.array([0]), "last": np.array([-1]), "far": np.array([far]), "a": np.array([0]), "t": np.array([step])}
    nodes = [("Shape", ["x"], ["h"], {}), ("Sub", ["h", "c"], ["p"], {}), ("Slice", ["x", *names, "a", "t"], ["y"], {})]
    for target in TARGETS:
        model = kiln.compile(graph(nodes, {"x": (F, ["N"])}, {"y": (F, None)}, constants), target=target)
        for size in (0, 1, 2, 3, 5):
            x = np.arange(size, dtype=F)
            p = size - less
            wanted = {"start": x[p::step], "end": x[:p:step]}[part]
            if size < less and less > (1 if step < 0 else 0 if part == "start" else 2):
                with pytest.raises(kiln.Error, match=f"N is {size}, allowed is at least {less} .KILN-E0507"):
                    model.run({"x": x})
            else:
                np.testing.assert_array_equal(model.run({"x": x})["y"], wanted)


# --- Einsum, Expand

@pytest.mark.parametrize("equation, a, b", [
    ("ij,jk->ik", (2, 1), (3, 4)), ("ij,jk->ik", (2, 3), (1, 4)), ("ij,jk->ik", (2, 3), (3, 4)), ("bij,bjk->bik", (1, 2, 3), (5, 1, 4)),
    ("...ij,...jk->...ik", (1, 2, 1), (5, 3, 4)), ("i,i->", (1,), (4,)), ("ij,ij->j", (1, 3), (4, 1)), ("i,i", (1,), (4,)), ("ij,ji->ij", (1, 1), (2, 3)),
    ("ij,jk->ik", (2, 0), (1, 4)), ("ij,jk->ik", (2, 0), (0, 4))])
def test_einsum_broadcasts_sizes_of_1(equation, a, b):
    rng = np.random.default_rng(0)
    values = {"x": rng.standard_normal(a, F), "z": rng.standard_normal(b, F)}
    gives(np.einsum(equation, *values.values()), [("Einsum", ["x", "z"], ["y"], {"equation": equation})], values)


def test_einsum_of_three_terms_broadcasts_sizes_of_1():
    rng = np.random.default_rng(0)
    values = {n: rng.standard_normal(d, F) for n, d in (("p", (1, 3)), ("q", (1, 1)), ("r", (4, 2)))}
    equation = "ij,jk,ki->ik"
    gives(np.einsum(equation, *values.values()), [("Einsum", ["p", "q", "r"], ["y"], {"equation": equation})], values)


def test_einsum_of_sizes_that_differ():
    fails(("sizes 3 and 2 do not broadcast [KILN-E0304]", "they must be equal, or one of them 1 [KILN-E0508]"), [("Einsum", ["x", "z"], ["y"], {"equation": "ij,jk->ik"})],
          {"x": np.ones((2, 3), F), "z": np.ones((2, 4), F)})


def test_expand_keeps_the_sizes_of_entries_of_minus_1():
    x = np.arange(2, dtype=F)[:, None]
    gives(np.broadcast_to(x, (3, 2, 4)), [("Expand", ["x", "s"], ["y"], {})], {"x": x}, {"s": np.array([3, -1, 4])})
    fails(["shape has the negative entry -1 [KILN-E0311]"] * 2, [("Expand", ["x", "s"], ["y"], {})], {"x": x}, {"s": np.array([-1, 2, 4])})
    fails(["shape has the negative entry -2 [KILN-E0311]"] * 2, [("Expand", ["x", "s"], ["y"], {})], {"x": x}, {"s": np.array([-2, 4])})


# --- operands of many entries, and large ones

def test_split_and_unsqueeze_of_many_entries():
    x = np.arange(1200, dtype=F).reshape(600, 2)
    for got in ways([("Split", ["x", "s"], [f"y{i}" if i != 599 else "y" for i in range(600)], {"axis": 0})], {"x": x}, {"s": np.ones(600, np.int64)}):
        np.testing.assert_array_equal(got, x[599:])
    fails(["a tensor of 502 dims; at most 64 are supported [KILN-E0207]"] * 2, [("Unsqueeze", ["x", "a"], ["y"], {})], {"x": x}, {"a": np.arange(500)})


def test_split_into_many_takes_linear_time():
    x = np.arange(20000, dtype=F)
    parts = [f"y{i}" for i in range(20000)]
    model = graph([("Split", ["x", "s"], parts, {"axis": 0})], {"x": (F, [20000])}, {n: (F, [1]) for n in parts}, {"s": np.ones(20000, np.int64)})
    for target in ("interpreter", "host"):
        start = time.process_time()
        compiled = kiln.compile(model, target=target)
        assert time.process_time() - start < 10  # it is 1 to 3 s, and was quadratic
        assert compiled.run({"x": x})["y7"] == 7


@pytest.mark.parametrize("options", [{}, {"guard_pages": True}, {"without": ["buffer-reuse"]}, {"without": ["fusion"]}, {"target": "interpreter"}], ids=str)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_parts_that_lie_in_one_piece(options):
    """They are windows of memory that must hold what it held as long as any of them is read, and outputs of their own."""
    ints = {f"i{k}": np.array([k]) for k in (-1, 0, 1, 2, 3, 4)}
    cut = lambda of, to, first, last, axis: ("Slice", [of, f"i{first}", f"i{last}", f"i{axis}"], [to], {})
    nodes = [("MatMul", ["x", "w"], ["t"], {}), cut("t", "a", 0, 2, 0), cut("t", "b", 2, 4, 0), cut("b", "c", -1, 2, 0), cut("c", "d", 1, 3, 1),
             ("Exp", ["a"], ["ea"], {}), ("Softmax", ["ea"], ["sa"], {"axis": -1}), ("Mul", ["sa", "b"], ["y"], {}), ("Neg", ["t"], ["u"], {}),
             ("MatMul", ["u", "w"], ["v"], {}), cut("x", "first", 0, 1, 0), ("Add", ["d", "d"], ["dd"], {})]
    shapes = {"y": [2, 4], "v": [4, 4], "a": [2, 4], "c": [1, 4], "dd": [1, 2], "first": [1, 4]}
    x, w = (np.random.default_rng(k).standard_normal((4, 4)).astype(F) for k in (0, 1))
    compiled = kiln.compile(graph(nodes, {"x": (F, [4, 4])}, {n: (F, s) for n, s in shapes.items()}, {"w": w, **ints}), **options)
    t = x @ w
    e = np.exp(np.exp(t[:2]))
    wanted = {"y": e / e.sum(-1, keepdims=True) * t[2:], "v": -t @ w, "a": t[:2], "c": t[3:], "dd": 2 * t[3:, 1:3], "first": x[:1]}
    got = compiled.run({"x": x})
    for name, array in wanted.items():
        np.testing.assert_allclose(got[name], array, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("pad, text", [
    (2**61, ("a tensor f32[2305843009213693954] is larger than any memory [KILN-E0308]", "a tensor f32[A+2305843009213693952] is larger than any memory [KILN-E0308]")),
    (2**63 - 1, ("dim 0, which is 2, with pads 0 and 9223372036854775807 exceeds 64 bits [KILN-E0308]", "a tensor f32[A+9223372036854775807] is larger than any memory [KILN-E0308]"))])
def test_pads_beyond_any_memory(pad, text):
    fails([f'node "/pad0"{" (Pad, opset 18)" if "exceeds" in t else ""}: {t}' for t in text], [("Pad", ["x", "p"], ["y"], {})], {"x": np.ones(2, F)},
          {"p": np.array([0, pad])})
