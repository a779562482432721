"""Tensors of the cases: types, values made from a seed as in Cases.cpp, and what several formulas need."""
import math
import re

import numpy as np

DTYPES = {"f32": np.float32, "f64": np.float64, "f16": np.float16, "i8": np.int8, "i16": np.int16,
          "i32": np.int32, "i64": np.int64, "u8": np.uint8, "u16": np.uint16, "u32": np.uint32, "u64": np.uint64, "bool": np.bool_}
FLOATS = ("f32", "f64", "f16", "bf16")
np.seterr(all="ignore")


def mix(x):
    x = (x + np.uint64(0x9E3779B97F4A7C15)).astype(np.uint64)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def special_floats(name):
    largest, normal, tiny = {
        "f64": (np.finfo(np.float64).max, 2.0**-1022, 2.0**-1074), "f16": (65504.0, 2.0**-14, 2.0**-24),
        "bf16": (float.fromhex("0x1.fep127"), 2.0**-126, 2.0**-133), "f32": (float(np.finfo(np.float32).max), 2.0**-126, 2.0**-149),
    }[name]
    return [0.0, -0.0, 1, -1, 0.5, -0.5, 1.5, 2.5, -2.5, 3, -5, largest, -largest, normal, tiny, -tiny, math.inf, -math.inf, math.nan,
            88, -88, 100, -100]


def special_ints(name):
    bits = int(name[1:])
    top = 2**(bits - 1) - 1 if name[0] == "i" else 2**bits - 1
    bottom = -top - 1 if name[0] == "i" else 0
    return [wrap(v, name) for v in (0, 1, -1, 2, -2, top, bottom, top - 1, bottom + 1, 7)]


def wrap(value, name):
    """A Python integer brought into an integer type by keeping its low bits."""
    bits = int(name[1:])
    value = int(value) & (2**bits - 1)
    return value - 2**bits if name[0] == "i" and value >= 2**(bits - 1) else value


def make_values(name, kind, count, seed, operand, sizes):
    key = mix(mix(np.array([seed], np.uint64)) + np.uint64(operand))
    h = mix(key + np.arange(count, dtype=np.uint64)) >> np.uint64(20)
    if kind.startswith("["):
        items = [i for i in kind[1:-1].split(",") if i]
        items = [sizes.get(i, i) for i in items]
        return np.array([float(i) for i in items] if name in FLOATS else [int(i) for i in items], dtype=object if name not in FLOATS else float)
    bounds = re.fullmatch(r"range\(([^,]+),([^)]+)\)", kind)
    if name in FLOATS:
        if kind == "positive":
            return (h % np.uint64(128) + np.uint64(1)).astype(float) / 32
        if kind == "wide":
            return ((h % np.uint64(257)).astype(float) - 128) / 2
        if kind == "special":
            items = special_floats(name)
            return np.array([items[i % len(items)] for i in range(count)], float)
        if bounds:
            low, high = float(bounds[1]), float(bounds[2])
            return low + (high - low) * (h % np.uint64(65)).astype(float) / 64
        return ((h % np.uint64(257)).astype(float) - 128) / 64
    h = [int(v) for v in h]
    if name == "bool":
        return np.array([v & 1 for v in h], object)
    if kind == "positive":
        values = [v % 20 + 1 for v in h]
    elif kind == "wide":
        values = h
    elif kind == "special":
        items = special_ints(name)
        values = [items[i % len(items)] for i in range(count)]
    elif bounds:
        low, high = int(bounds[1]), int(bounds[2])
        values = [low + v % (high - low + 1) for v in h]
    else:
        values = [v % 21 - 10 for v in h] if name[0] == "i" else [v % 21 for v in h]
    return np.array([wrap(v, name) for v in values], object)


class Value:
    """A tensor: its type's name, and elements as float64 or as Python integers (object)."""

    def __init__(self, name, array):
        self.name = name
        array = np.asarray(array)
        self.a = array if name in FLOATS else array.astype(object)
        self.shape, self.ndim, self.size = array.shape, array.ndim, array.size

    @property
    def is_float(self):
        return self.name in FLOATS


def round_to(array, name):
    """float64 rounded to a floating-point type, as float64."""
    array = np.asarray(array, np.float64)
    if name != "bf16":
        return array.astype(DTYPES[name]).astype(np.float64)
    # ml_dtypes rounds twice, over float32: round on bf16's grid of 8 significant bits instead.
    grid = np.ldexp(1.0, np.maximum(np.frexp(array)[1] - 8, -133))
    rounded = np.where(np.isfinite(array), np.rint(array / grid) * grid, array)
    return np.where(np.abs(rounded) >= 2.0**128, np.copysign(np.inf, array), rounded)


OPS = {}


def op(function):
    OPS[function.__name__[3:]] = function
    return function


def each(function, *arrays):
    """A function of Python numbers over the numpy broadcast."""
    arrays = np.broadcast_arrays(*arrays)
    flat = [function(*items) for items in zip(*(a.ravel() for a in arrays))]
    out = np.empty(len(flat), object)
    out[:] = flat
    return out.reshape(arrays[0].shape)


def quiet(function):
    """A float function with IEEE results where Python raises."""
    def call(*x):
        try:
            return float(function(*(float(v) for v in x)))
        except OverflowError:
            return math.inf
        except (ValueError, ZeroDivisionError):
            return math.nan
    return call


def finish_ints(array, name):
    return array if name in FLOATS else each(lambda v: wrap(v, name), array)


def present(value, default):
    return value.a if value is not None else default


def ints(value):
    return [int(v) for v in value.a.ravel()]


def trunc_div(a, b):
    q = abs(a) // abs(b)
    return q if (a < 0) == (b < 0) else -q


def saturate(value, name):
    bits = int(name[1:])
    low, high = (-2**(bits - 1), 2**(bits - 1) - 1) if name[0] == "i" else (0, 2**bits - 1)
    if value != value:
        return 0
    if math.isinf(value):
        return low if value < 0 else high
    return max(low, min(high, int(value)))
