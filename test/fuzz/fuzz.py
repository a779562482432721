#!/usr/bin/env python3
"""Runs random models through Kiln in many ways: see docs/testing.md."""
import importlib.util
import os
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
VENV = HERE.parents[1] / ".venv" / "bin" / "python"
if importlib.util.find_spec("onnx") is None and VENV.exists() and pathlib.Path(sys.executable) != VENV:
    os.execv(VENV, [VENV, *sys.argv])  # what the set-up installed
sys.path[:0] = [str(HERE), os.environ.get("KILN_PYTHON", str(HERE.parents[1] / "build" / "python"))]

if __name__ == "__main__":
    from kilnfuzz.cli import main
    sys.exit(main())
