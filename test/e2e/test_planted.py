"""The planted miscompiles (runtime/base/PlantedBugs.def): `kiln reduce` shrinks a model that shows one, and names the culprit.

They are in the preset `planted` alone (build-planted/), which the test command builds; without it these tests are skipped."""

import os
import re
import shutil
import subprocess

import numpy as np
import pytest

from conftest import ROOT, graph

BIN = ROOT / "build-planted" / "bin"
F, I = np.float32, np.int64
BUGS = re.findall(r'^X\("([^"]+)", "([^"]+)", "([^"]+)"', (ROOT / "runtime/base/PlantedBugs.def").read_text(), re.M)
pytestmark = pytest.mark.skipif(not (BIN / "kiln-reduce").exists(), reason="build-planted is not built")


def floats(*dims, seed=3):
    return np.random.default_rng(seed).standard_normal(dims).astype(F)


def op(name, *extra, out="core", **attributes):
    return [(name, ["in", *extra], [out], attributes)]


REVERSED = {"s": np.array([-1], I), "e": np.array([-1000], I), "a": np.array([1], I), "p": np.array([-1], I)}

# Name of a bug -> nodes that show it: dims of the input (names where unknown), nodes, what else the model holds, sizes of the run.
CASES = {
    "elementwise-tail": ([69], [("Exp", ["in"], ["e"], {}), ("Sqrt", ["e"], ["core"], {})], {}, {}),
    "reduction-tail": ([2, 3, 19], op("ReduceSum", axes_input=[2]), {}, {}),
    "norm-mask": ([4, 13], op("LayerNormalization", "scale"), {"scale": floats(13)}, {}),
    "product-mask": ([5, 7], op("MatMul", "w"), {"w": floats(7, 39)}, {}),
    "arena-lifetime": ([3, 7], [("MatMul", ["in", "v"], ["t"], {}), ("Slice", ["t", "s", "e", "a", "p"], ["u"], {}), ("Softmax", ["u"], ["core"], {})],
                       {"v": floats(7, 7), **REVERSED}, {}),
    "packing-lifetime": (["N", 41], [("MatMul", ["in", "v"], ["t"], {}), ("Slice", ["t", "s", "e", "a", "p"], ["u"], {}), ("Softmax", ["u"], ["core"], {})],
                         {"v": floats(41, 41), **REVERSED}, {"N": 1}),
    "slice-stride": ([2, 12], [("Slice", ["in", "s", "e", "a", "p"], ["core"], {})],
                     {"s": np.array([0], I), "e": np.array([12], I), "a": np.array([1], I), "p": np.array([3], I)}, {}),
    "transpose-stride": ([2, 5, 3], op("Transpose", perm=[1, 0, 2]), {}, {}),
    "sub-operands": ([2, 3, 19], op("Sub", "w"), {"w": floats(2, 3, 19)}, {}),
    "sub-constant": ([4, 7], [("Sub", ["w", "in"], ["core"], {})], {"w": floats(4, 7)}, {}),
    "kernel-symbol": (["A", "B", "C"], [("Pad", ["in", "pads"], ["p"], {}), ("Exp", ["p"], ["e"], {}), ("ReduceSum", ["e", "axes"], ["r"], {}),
                                        ("Pad", ["r", "pads"], ["core"], {})],
                      {"axes": np.array([2], I), "pads": np.array([1, 0, 0, 0, 0, 1], I)}, {"A": 2, "B": 3, "C": 5}),
    "slice-symbol": (["N", 4], [("Slice", ["in", "s", "e", "a"], ["core"], {})],
                     {"s": np.array([-3], I), "e": np.array([1000], I), "a": np.array([0], I)}, {"N": 7}),
    "row-epilogue": ([5, 7], [("MatMul", ["in", "w"], ["m"], {}), ("Mul", ["m", "r"], ["core"], {})], {"w": floats(7, 12), "r": floats(5, 1)}, {}),
    "bias-epilogue": ([2, 3, 9], op("Conv", "w", "b"), {"w": floats(14, 3, 3), "b": floats(14)}, {}),
    "cast-rounding": ([2, 19], [("Mul", ["in", "ten"], ["m"], {}), ("Cast", ["m"], ["i"], {"to": 7}), ("Cast", ["i"], ["core"], {"to": 1})],
                      {"ten": np.array(10, F)}, {}),
    "cast-merging": ([2, 3, 4], [("Mul", ["in", "ten"], ["m"], {}), ("Cast", ["m"], ["i"], {"to": 7}), ("Cast", ["i"], ["core"], {"to": 1})],
                     {"ten": np.array(10, F)}, {}),
    "max-pool-padding": ([1, 2, 8, 8], op("MaxPool", kernel_shape=[2, 2], pads=[1, 1, 1, 1], strides=[3, 3]), {}, {}),
    "pad-padding": ([2, 3, 4], [("Pad", ["in", "p", "v"], ["core"], {})], {"p": np.array([0, 0, 2, 0, 0, 0], I), "v": np.array(2.5, F)}, {}),
    "in-place-read-later": ([3, 5], [("Softmax", ["in"], ["s"], {}), ("MatMul", ["s", "v"], ["t"], {}), ("Softmax", ["t"], ["q"], {"axis": 0}),
                                     ("MatMul", ["q", "v"], ["r"], {}), ("MatMul", ["t", "v"], ["w"], {}), ("Sub", ["r", "w"], ["core"], {})],
                            {"v": floats(5, 5)}, {}),
    "in-place-twice": ([6, 6], [("Transpose", ["in"], ["p"], {}), ("Exp", ["p"], ["a"], {}), ("Neg", ["a"], ["b"], {}), ("MatMul", ["a", "v"], ["t"], {}),
                                ("MatMul", ["b", "w"], ["u"], {}), ("Sub", ["t", "u"], ["core"], {})], {"v": floats(6, 6), "w": floats(6, 6, seed=5)}, {}),
}


def build(name, path):
    dims, nodes, initializers, sizes = CASES[name]
    tensors = dict(initializers)
    made = []
    for kind, ins, outs, attributes in nodes:
        attributes = dict(attributes)
        if "axes_input" in attributes:  # of reductions, since opset 18
            tensors["axes"] = np.array(attributes.pop("axes_input"), I)
            ins = [*ins, "axes"]
        made.append((kind, ins, outs, attributes))
    around = [("Neg", ["x"], ["n0"], {}), ("Tanh", ["n0"], ["n1"], {}), ("Softsign", ["n1"], ["in"], {}), *made,
              ("Sigmoid", ["core"], ["a0"], {}), ("Neg", ["a0"], ["a1"], {}), ("Softplus", ["a1"], ["y"], {}), ("Abs", ["n1"], ["side"], {})]
    path.write_bytes(graph(around, {"x": (F, dims)}, {"y": (F, None), "side": (F, None)}, tensors))
    np.save(path.with_suffix(".npy"), floats(*(sizes.get(d, d) for d in dims), seed=7))
    return ["--input", f"x=@{path.with_suffix('.npy')}"]  # sizes stay unknown when compiled


def reduce(tmp_path, model, *options, **environment):
    done = subprocess.run([str(BIN / "kiln"), "reduce", str(model), "-o", str(tmp_path / "out.mlir"), *options], capture_output=True, text=True,
                          env={**os.environ, **environment})
    return done


def test_every_bug_has_a_case():
    assert {name for name, _, _ in BUGS} == set(CASES)
    assert len(BUGS) == 20 and {kind for _, kind, _ in BUGS} == {
        "tail", "mask", "lifetime", "stride", "swapped operands", "symbol", "epilogue", "rounding", "padding value", "in-place"}


@pytest.mark.parametrize("name, kind, where", BUGS)
def test_reduced_and_named(tmp_path, name, kind, where):
    options = build(name, tmp_path / "m.onnx")
    right = reduce(tmp_path, tmp_path / "m.onnx", *options)
    assert "there is nothing to reduce" in right.stderr, right.stderr + right.stdout
    done = reduce(tmp_path, tmp_path / "m.onnx", *options, KILN_PLANTED_BUG=name)
    assert done.returncode == 0, done.stderr
    nodes = int(re.search(r"reduced from \d+ nodes to (\d+)", done.stdout)[1])
    culprit = re.search(r"^culprit: (.*)$", done.stdout, re.M)[1]
    assert nodes <= 6 and culprit.startswith(where), done.stdout
    if where.startswith("kernel family"):  # wrong in what Kiln emits, so under every compiler
        others = ["LLVM without optimisation"] + (["mlir-opt, llc -O0", "mlir-opt, llc -O3"] if shutil.which("mlir-opt-19") else [])
        assert all(re.search(rf"^  {other} +wrong: ", done.stdout, re.M) for other in others), done.stdout
    # What is left shows it by itself.
    run = re.search(r"^to run it: (.*)$", done.stdout, re.M)[1].split()[1:]
    outputs = [subprocess.run([str(BIN / "kiln"), *run], capture_output=True, text=True, env={**os.environ, "KILN_PLANTED_BUG": bug})
               for bug in (name, "")]
    assert outputs[1].returncode == 0 and outputs[0].stdout != outputs[1].stdout


def test_unknown_names_are_refused(tmp_path):
    build("sub-operands", tmp_path / "m.onnx")
    done = subprocess.run([str(BIN / "kiln"), "run", str(tmp_path / "m.onnx")], capture_output=True, text=True,
                          env={**os.environ, "KILN_PLANTED_BUG": "no-such"})
    assert done.returncode == 2 and "there is no such bug" in done.stderr
