"""The demo's picture side: what it writes can be run, and its verdict is the exit status."""

import subprocess
import sys

import numpy as np

import kiln
from conftest import MODELS, ROOT


def demo(step, folder):
    return subprocess.run([sys.executable, str(ROOT / "tools/demo_digit.py"), step, str(folder)], capture_output=True, text=True)


def test_digit_is_read(tmp_path):
    assert demo("input", tmp_path).returncode == 0
    model = kiln.compile(MODELS / "mnist_8" / "model.onnx")
    scores = model.run({"Input3": np.load(tmp_path / "digit.npy")})["Plus214_Output_0"]
    np.save(tmp_path / "Plus214_Output_0.npy", scores)
    done = demo("output", tmp_path)
    assert done.returncode == 0 and "It reads a 2." in done.stdout
    np.save(tmp_path / "Plus214_Output_0.npy", scores * 1.01)
    assert demo("output", tmp_path).returncode == 1
