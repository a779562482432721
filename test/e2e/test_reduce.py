"""kiln reduce: shrinks a model that fails. What it says of real miscompiles is in test_planted.py."""

import os
import re
import signal
import subprocess
import time

import numpy as np
import pytest

from conftest import ROOT, graph
from test_cli import KILN, kiln as command, refused

F = np.float32


@pytest.fixture
def chain(tmp_path):
    """A dozen nodes of several kinds, with two outputs and an unknown size."""
    rng = np.random.default_rng(0)
    steps = ["Sigmoid", "Tanh", "Relu", "Neg", "Softplus", "Abs"]
    nodes = [("Conv", ["x", "w"], ["c"], {"pads": [1, 1, 1, 1]}), ("Relu", ["c"], ["e0"], {})]
    nodes += [(op, [f"e{i}"], [f"e{i + 1}"], {}) for i, op in enumerate(steps)]
    nodes += [("Add", ["e6", "e0"], ["s"], {}), ("MaxPool", ["s"], ["p"], {"kernel_shape": [2, 2], "strides": [2, 2]}),
              ("Exp", ["p"], ["q"], {}), ("GlobalAveragePool", ["q"], ["y"], {})]
    path = tmp_path / "m.onnx"
    path.write_bytes(graph(nodes, {"x": (F, ["N", 3, 12, 9])}, {"y": (F, None), "e3": (F, None)}, {"w": rng.standard_normal((8, 3, 3, 3)).astype(F)}))
    return path


def test_by_a_command(chain, tmp_path):
    out = tmp_path / "small.mlir"
    done = command("reduce", chain, "--shape", "x=2x3x12x9", "--check", "grep -q kiln.softplus {}", "-o", out)
    assert re.search(r"^reduced from 12 nodes to 1: softplus$", done.stdout, re.M), done.stdout
    assert "it fails: the command says so" in done.stdout and "culprit" not in done.stdout
    # It runs by itself, on the inputs beside it.
    run = re.search(r"^to run it: kiln (.*)$", done.stdout, re.M)[1].split()
    assert command(*run).stdout.startswith("out0 f32[1,1,1,1]")
    assert all(re.fullmatch(r"small(\.\w+)?\.(mlir|npy)", p.name) for p in tmp_path.glob("small*"))


def test_two_ops_that_must_stay(chain, tmp_path):
    out = tmp_path / "small.mlir"
    command("reduce", chain, "--shape", "x=2x3x12x9", "-o", out, "--check", "grep -q kiln.max_pool {} && grep -q kiln.tanh {}")
    assert sorted(re.findall(r"= kiln\.(\w+)", out.read_text())) == ["max_pool", "tanh"]


def test_inputs_of_candidates_have_the_values_that_were_there(chain, tmp_path):
    """The command runs each candidate, and the value after the exponential is what it was in the whole model."""
    whole = command("run", chain, "--shape", "x=2x3x12x9", "--target", "interpreter").stdout
    mean = re.search(r"mean (\S+)", whole)[1]
    check = f"{KILN} run {{}} {{inputs}} --target interpreter | grep -q 'mean {mean}'"
    done = command("reduce", chain, "--shape", "x=2x3x12x9", "-o", tmp_path / "small.mlir", "--check", check)
    assert re.search(r"nodes to 1: reduce$", done.stdout, re.M), done.stdout


def test_inputs_stay_in_their_order(tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(graph([("Exp", ["z"], ["e"], {}), ("MatMul", ["e", "a"], ["m"], {}), ("Relu", ["m"], ["y"], {})],
                           {"z": (F, [2, 3]), "a": (F, [3, 4])}, {"y": (F, None)}))
    text = command("run", path, "--target", "interpreter").stdout.split("[2,4]")[1]
    done = command("reduce", path, "-o", tmp_path / "small.mlir", "--check", f"{KILN} run {{}} {{inputs}} --target interpreter | grep -qF '{text.strip()}'")
    assert re.search(r"nodes to [12]: ", done.stdout, re.M), done.stdout


def test_weights_stay_references(tmp_path):
    w = np.random.default_rng(0).standard_normal((64, 64)).astype(F)
    path = tmp_path / "m.onnx"
    path.write_bytes(graph([("Exp", ["x"], ["e"], {}), ("MatMul", ["e", "w"], ["m"], {}), ("Relu", ["m"], ["y"], {})],
                           {"x": (F, [2, 64])}, {"y": (F, None)}, {"w": w}))
    (tmp_path / "elsewhere").mkdir()
    done = command("reduce", "m.onnx", "-o", "elsewhere/small.mlir", "--check", "grep -q kiln.matmul {}", cwd=tmp_path)
    text = (tmp_path / "elsewhere" / "small.mlir").read_text()
    assert f'#kiln.weight<"{path}"' in text and "kiln.exp" not in text
    run = re.search(r"^to run it: kiln (.*)$", done.stdout, re.M)[1].split()
    assert "f32[" in command(*run, cwd=tmp_path).stdout


def test_a_model_that_does_not_fail(chain, tmp_path):
    text = f"kiln: {chain}: gives what the interpreter gives; there is nothing to reduce [KILN-E0701]\n"
    assert refused("reduce", chain, "--shape", "x=2x3x12x9", code=2) == text
    assert refused("reduce", chain, "--shape", "x=2x3x12x9", "--guard-pages", "--choice-seed", 5, code=2) == text
    assert "the command ends with another exit code than 0; there is nothing to reduce" in refused("reduce", chain, "--check", "false", code=2)


def test_a_refusal_is_reduced_and_named(tmp_path):
    """What both refuse alike is a failure too: here an index that is out of range, which is the model's own fault."""
    path = tmp_path / "m.onnx"
    path.write_bytes(graph([("Exp", ["x"], ["e"], {}), ("Gather", ["e", "i"], ["g"], {}), ("Relu", ["g"], ["y"], {})],
                           {"x": (F, [4, 3])}, {"y": (F, None)}, {"i": np.array([7], np.int64)}))
    done = command("reduce", path, "-o", tmp_path / "small.mlir")
    assert re.search(r"nodes to 1: gather$", done.stdout, re.M), done.stdout
    assert 'it fails: error: node "/gather1": gather: index 7 is out of range' in done.stdout and "[KILN-E0513]" in done.stdout
    assert re.search(r"^culprit: none of the parts that can be left out", done.stdout, re.M)


def test_usage(chain, tmp_path):
    command("compile", chain, "-o", tmp_path / "m.kiln")
    assert refused("reduce", tmp_path / "m.kiln", code=2) == (
        f"kiln: {tmp_path / 'm.kiln'} is compiled already; reduce the model that it was compiled from [KILN-E0703]\n")
    command("compile", chain, "--stop-after", "planned", "-o", tmp_path / "m.mlir")
    assert "cannot be reduced; give the model, or IR at stage imported, canonical or optimized [KILN-E0313]" in refused(
        "reduce", tmp_path / "m.mlir", "--check", "true", code=1)
    assert "there" not in refused("reduce", tmp_path / "no.onnx", code=1)
    help_text = command("reduce", "--help").stdout
    assert "--check" in help_text and "still interesting" in help_text


def test_interrupting_keeps_the_best_so_far(chain, tmp_path):
    out = tmp_path / "small.mlir"
    process = subprocess.Popen([str(KILN), "reduce", str(chain), "-o", str(out), "--check", "sleep 0.3; grep -q kiln.softplus {}"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(4)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 130, stderr
    assert "reduced from 12 nodes to " in stdout and "kiln.softplus" in out.read_text()
    assert not [p for p in os.listdir("/tmp") if p.startswith("kiln-reduce-") and str(process.pid) in p]
