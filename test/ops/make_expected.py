#!/usr/bin/env python3
"""Writes expected/<op>.txt, the results that the cases in <op>.cases must give, with an implementation of its own in
numpy: straight formulas in float64 (integers as Python integers), rounded once. It shares no code with the kernels; only
the generator of input values is the same as in Cases.cpp.

usage: make_expected.py [OP...]        needs numpy
"""
import ast
import math
import pathlib
import re
import sys

import numpy as np

from formulas import OPS
from formulas.values import FLOATS, Value, make_values, round_to

HERE = pathlib.Path(__file__).resolve().parent
SAMPLES = 48


def split(text, separator):
    parts, depth, part = [], 0, ""
    for c in text:
        depth += (c in "[({") - (c in "])}")
        if c == separator and depth == 0:
            parts.append(part)
            part = ""
        else:
            part += c
    return parts + [part]


def parse_attributes(text):
    text = re.sub(r"([A-Za-z_]\w*)=", r'"\1":', text)
    text = re.sub(r"(?<![\w\"])inf(?!\w)", "1e999", text)
    return ast.literal_eval(text)


def run_case(text):
    """(sizes text, results) for each round."""
    tokens = split(text, " ")
    attributes, seed, rounds, operands = {}, 0, [{}], []
    for token in tokens[1:]:
        if token.startswith("{"):
            attributes = parse_attributes(token)
        elif token.startswith("seed="):
            seed = int(token[5:])
        elif token.startswith("sizes="):
            rounds = [{k: int(v) for k, v in (e.split("=") for e in r.split(","))} for r in re.findall(r"\(([^)]*)\)", token)]
        elif token.startswith(("error=", "out=")):
            return
        elif token.startswith("only="):
            pass
        else:
            operands.append(token)
    for sizes in rounds:
        values = []
        for k, token in enumerate(operands):
            if token == "_":
                values.append(None)
                continue
            _, dtype, dims, _, kind = re.fullmatch(r"(\w+)=(\w+)\[([^\]]*)\](:(.*))?", token).groups()
            dims = [sizes.get(d) if d in sizes else int(d) for d in dims.split(",") if d]
            flat = make_values(dtype, kind or "", math.prod(dims), seed, k, sizes)
            values.append(Value(dtype, (round_to(flat, dtype) if dtype in FLOATS else flat).reshape(dims)))
        result = OPS[tokens[0]](attributes, *values)
        yield ",".join(f"{k}={v}" for k, v in sorted(sizes.items())), result if isinstance(result, tuple) else (result,)


def show(value, name):
    if name not in FLOATS:
        return str(int(value))
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return repr(float(value)) if name == "f64" else f"{value:.9g}"


def format_result(result):
    array = (round_to(result.a, result.name) if result.is_float else result.a).ravel()
    count = array.size
    samples = min(count, SAMPLES)
    shown = [show(array[s * count // samples], result.name) for s in range(samples)]
    values = array.astype(float)
    weights = (1 + np.arange(count) * 7919 % 31) / 32
    counted = np.abs(values) <= 1e30
    checksum = math.fsum(values[counted] * weights[counted])
    return f"{result.name}[{','.join(map(str, result.a.shape))}] {checksum!r} {' '.join(shown)}".rstrip()


def main():
    for path in sorted(HERE.glob("*.cases")):
        if sys.argv[1:] and path.stem not in sys.argv[1:]:
            continue
        lines = ["# Made by make_expected.py from the case file: case, then type and dims, weighted sum, evenly spaced elements."]
        for line in path.read_text().splitlines():
            text = re.sub(r"[ \t]+", " ", line.split("#")[0]).strip()
            if not text:
                continue
            try:
                for sizes, results in run_case(text):
                    lines += [f"case {text}" + (f" | {sizes}" if sizes else ""), *map(format_result, results)]
            except Exception as problem:
                raise SystemExit(f"{path.name}: {text}: {type(problem).__name__}: {problem}")
        (HERE / "expected" / f"{path.stem}.txt").write_text("\n".join(lines) + "\n")
        print(f"{path.stem}: {sum(l.startswith('case ') for l in lines)} results")


if __name__ == "__main__":
    main()
