#!/usr/bin/env python3
"""Runs random models through Kiln in many ways: see docs/testing.md."""
import os
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), os.environ.get("KILN_PYTHON", str(HERE.parents[1] / "build" / "python"))]

from kilnfuzz.cli import main  # noqa: E402

sys.exit(main())
