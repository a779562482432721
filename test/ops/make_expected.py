#!/usr/bin/env python3
"""Writes expected/<op>.txt, the results that the cases in <op>.cases must give, with an implementation of its own in
numpy: straight formulas in float64 (integers as Python integers), rounded once. It shares no code with the kernels; only
the generator of input values is the same as in Cases.cpp.

usage: make_expected.py [OP...]        needs numpy
"""
import ast
import itertools
import math
import pathlib
import re
import sys

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
DTYPES = {"f32": np.float32, "f64": np.float64, "f16": np.float16, "i8": np.int8, "i16": np.int16,
          "i32": np.int32, "i64": np.int64, "u8": np.uint8, "u16": np.uint16, "u32": np.uint32, "u64": np.uint64, "bool": np.bool_}
FLOATS = ("f32", "f64", "f16", "bf16")
SAMPLES = 48
np.seterr(all="ignore")


# ---- values, as in Cases.cpp

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


# ---- elementwise

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


def unary(name, float_function, int_function=None):
    def run(attributes, x):
        if x.is_float:
            return Value(x.name, each(quiet(float_function), x.a).astype(float))
        return Value(x.name, each(lambda v: wrap(int_function(v), x.name), x.a))
    OPS[name] = run


def sigmoid(x):
    return 1 / (1 + math.exp(-x)) if not x < -700 else 0.0


def np1(function):
    return lambda x: float(function(np.float64(x)))


unary("abs", abs, abs)
unary("neg", lambda x: -x, lambda x: -x)
unary("sign", np1(np.sign), lambda x: (x > 0) - (x < 0))
unary("relu", lambda x: 0.0 if x < 0 else x, lambda x: max(x, 0))
for simple in ("ceil", "floor", "exp", "log", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh"):
    unary(simple, np1(getattr(np, simple)))
for name in ("tan", "sin", "cos", "sinh", "cosh", "tanh"):
    unary("a" + name, np1(getattr(np, "arc" + name)))
unary("round", np1(np.rint))
unary("rsqrt", np1(lambda x: 1 / np.sqrt(x)))
unary("reciprocal", np1(lambda x: 1 / x))
unary("erf", math.erf)
unary("sigmoid", sigmoid)
unary("softplus", np1(lambda x: np.logaddexp(0, x)))
unary("softsign", np1(lambda x: x / (1 + abs(x))))
unary("silu", lambda x: x * sigmoid(x))
unary("hard_swish", lambda x: x * max(0.0, min(1.0, x / 6 + 0.5)) if x == x else x)


def with_alpha(name, function, nan_stays=True, **defaults):
    def run(attributes, x):
        values = {k: attributes.get(k, v) for k, v in defaults.items()}
        return Value(x.name, each(quiet(lambda v: v if v != v and nan_stays else function(v, **values)), x.a).astype(float))
    OPS[name] = run


with_alpha("leaky_relu", lambda x, alpha: alpha * x if x < 0 else x, alpha=0.01)
with_alpha("elu", lambda x, alpha: alpha * np.expm1(x) if x < 0 else x, alpha=1.0)
with_alpha("selu", lambda x, alpha, gamma: gamma * (alpha * np.expm1(x) if x < 0 else x),
           alpha=1.67326319217681884765625, gamma=1.05070102214813232421875)
with_alpha("celu", lambda x, alpha: max(0.0, x) + min(0.0, alpha * np.expm1(np.float64(x) / alpha)), alpha=1.0)
with_alpha("hard_sigmoid", lambda x, alpha, beta: max(0.0, min(1.0, alpha * x + beta)), alpha=0.2, beta=0.5)
with_alpha("thresholded_relu", lambda x, alpha: x if x > alpha else 0.0, nan_stays=False, alpha=1.0)


@op
def op_gelu(attributes, x):
    if attributes.get("tanh", 0):
        def gelu(v):
            u = math.sqrt(2 / math.pi) * (v + 0.044715 * v * v * v)
            # 1 + tanh(u) = 2 / (1 + exp(-2u)), written without cancellation
            return v / (1 + math.exp(min(-2 * u, 709.0))) if math.isfinite(v) else v * (0.0 if v < 0 else 1.0)
    else:
        def gelu(v):
            return 0.5 * v * math.erfc(-v / math.sqrt(2))
    return Value(x.name, each(quiet(gelu), x.a).astype(float))


@op
def op_not(attributes, x):
    return Value("bool", each(lambda v: int(not v), x.a))


@op
def op_isnan(attributes, x):
    return Value("bool", np.isnan(x.a).astype(int))


def trunc_div(a, b):
    q = abs(a) // abs(b)
    return q if (a < 0) == (b < 0) else -q


def binary(name, float_function, int_function, result=None):
    def run(attributes, x, y):
        out = result or x.name
        if x.is_float:
            values = each(lambda a, b: float_function(np.float64(a), np.float64(b)), x.a, y.a)
            return Value(out, values.astype(float if out in FLOATS else int))
        finish = (lambda v: int(bool(v))) if out == "bool" else lambda v: wrap(v, out)
        return Value(out, each(lambda a, b: finish(int_function(a, b)), x.a, y.a))
    OPS[name] = run


binary("add", lambda a, b: a + b, lambda a, b: a + b)
binary("sub", lambda a, b: a - b, lambda a, b: a - b)
binary("mul", lambda a, b: a * b, lambda a, b: a * b)
binary("div", lambda a, b: a / b, lambda a, b: trunc_div(a, b) if b else 0)
binary("max", np.maximum, max)
binary("min", np.minimum, min)
binary("prelu", lambda a, b: a * b if a < 0 else a, lambda a, b: a * b if a < 0 else a)
for comparison, function in {"equal": lambda a, b: a == b, "less": lambda a, b: a < b, "less_equal": lambda a, b: a <= b,
                             "greater": lambda a, b: a > b, "greater_equal": lambda a, b: a >= b}.items():
    binary(comparison, lambda a, b, f=function: int(f(a, b)), function, "bool")
for name_, function in {"and": lambda a, b: a & b, "or": lambda a, b: a | b, "xor": lambda a, b: a ^ b}.items():
    binary(name_, None, function, "bool")
    binary("bitwise_" + name_, None, function)


def shift(name, function):
    def run(attributes, x, y):
        bits = int(x.name[1:])
        return Value(x.name, each(lambda a, b: wrap(function(a, min(b % 2**bits, bits)), x.name), x.a, y.a))
    OPS[name] = run


shift("shift_left", lambda a, b: a << b)
shift("shift_right", lambda a, b: a >> b)


@op
def op_bitcast(attributes, x):
    to = attributes["to"]
    return Value(to, x.a.astype(DTYPES[x.name]).view(DTYPES[to]).astype(float if to in FLOATS else object))


@op
def op_mod(attributes, x, y):
    if x.is_float:
        function = np.fmod if attributes.get("fmod", 0) else np.mod
        return Value(x.name, function(x.a, y.a))
    if attributes.get("fmod", 0):
        return Value(x.name, each(lambda a, b: a - b * trunc_div(a, b) if b else 0, x.a, y.a))
    return Value(x.name, each(lambda a, b: a % b if b else 0, x.a, y.a))


def int_power(a, b):
    if b >= 0:
        return pow(a, b, 2**64)
    return {1: 1, -1: -1 if b % 2 else 1}.get(a, 0)


def saturate(value, name):
    bits = int(name[1:])
    low, high = (-2**(bits - 1), 2**(bits - 1) - 1) if name[0] == "i" else (0, 2**bits - 1)
    if value != value:
        return 0
    if math.isinf(value):
        return low if value < 0 else high
    return max(low, min(high, int(value)))


@op
def op_pow(attributes, x, y):
    if not x.is_float and not y.is_float:
        return Value(x.name, each(lambda a, b: wrap(int_power(a, b), x.name), x.a, y.a))
    result = np.power(np.asarray(x.a, float), np.asarray(y.a, float))
    return Value(x.name, result if x.is_float else each(lambda v: saturate(v, x.name), result))


@op
def op_where(attributes, c, x, y):
    return Value(x.name, np.where(c.a.astype(bool), x.a, y.a))


@op
def op_cast(attributes, x):
    to = attributes["to"]
    if to in FLOATS:
        if x.is_float:
            return Value(to, x.a)
        # Straight to the target type: a detour over float64 could round twice.
        exact = {"f32": lambda v: float(np.float32(np.int64(v) if v < 2**63 else np.uint64(v)))}.get(to, float)
        return Value(to, each(exact, x.a).astype(float))
    if to == "bool":
        return Value(to, each(lambda v: int(v != 0), x.a))
    return Value(to, each(lambda v: saturate(v, to) if x.is_float else wrap(v, to), x.a))


# ---- reductions and norms

@op
def op_reduce_along(attributes, x, axes):
    return op_reduce({**attributes, "axes": [a % x.ndim for a in ints(axes)]}, x)


@op
def op_reduce(attributes, x):
    kind, axes, keep = attributes["kind"], tuple(attributes.get("axes", [])), bool(attributes.get("keepdims", 1))
    a, exact = x.a, not x.is_float
    count = math.prod(x.shape[i] for i in axes)
    if kind in ("max", "min"):
        if exact:
            bits = 1 if x.name == "bool" else int(x.name[1:])
            low, high = (-2**(bits - 1), 2**(bits - 1) - 1) if x.name[0] == "i" else (0, 2**bits - 1)
        else:
            low, high = -math.inf, math.inf
        function = np.maximum if kind == "max" else np.minimum
        result = function.reduce(a, axis=axes, keepdims=keep, initial=low if kind == "max" else high)
    elif kind == "prod":
        result = np.multiply.reduce(a, axis=axes, keepdims=keep)
    else:
        terms = {"l1": lambda: abs(a), "l2": lambda: a * a, "sum_square": lambda: a * a,
                 "log_sum_exp": lambda: np.exp(np.asarray(a, np.longdouble))}.get(kind, lambda: a)()
        result = np.add.reduce(terms, axis=axes, keepdims=keep)
        if kind == "mean":
            result = each(lambda v: trunc_div(v, count) if count else 0, result) if exact else result / np.float64(count)
        elif kind == "l2":
            result = np.sqrt(np.asarray(result, float))
        elif kind in ("log_sum", "log_sum_exp"):
            result = np.log(np.asarray(result, np.longdouble)).astype(float)
    result = np.asarray(result)
    if exact:
        finish = (lambda v: int(v)) if x.name == "bool" else (lambda v: saturate(v, x.name)) if kind in (
            "l2", "log_sum", "log_sum_exp") else (lambda v: wrap(v, x.name))
        return Value(x.name, each(finish, result))
    return Value(x.name, result.astype(float))


def arg(attributes, x, sign):
    axis, keep = attributes.get("axis", 0), attributes.get("keepdims", 1)
    def best(line):
        line = [-v if sign < 0 else v for v in line]
        nans = [i for i, v in enumerate(line) if v != v]
        hits = nans or [i for i, v in enumerate(line) if v == max(line)]
        return hits[-1 if attributes.get("select_last", 0) else 0]
    if x.size:
        result = np.apply_along_axis(lambda l: best(list(l)), axis, x.a)
    else:
        result = np.zeros(np.delete(x.shape, axis), int)
    return Value("i64", np.expand_dims(result, axis) if keep else result)


OPS["argmax"] = lambda attributes, x: arg(attributes, x, 1)
OPS["argmin"] = lambda attributes, x: arg(attributes, x, -1)


def softmax(a, axis):
    if a.size == 0:
        return a
    shifted = np.exp(a - np.max(a, axis=axis, keepdims=True))
    return shifted / np.sum(shifted, axis=axis, keepdims=True)


@op
def op_softmax(attributes, x):
    return Value(x.name, softmax(x.a, attributes.get("axis", -1)))


@op
def op_log_softmax(attributes, x):
    axis = attributes.get("axis", -1)
    shifted = x.a - np.max(x.a, axis=axis, keepdims=True)
    return Value(x.name, shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True)))


def present(value, default):
    return value.a if value is not None else default


@op
def op_layer_norm(attributes, x, scale, bias=None):
    axes = tuple(range(attributes.get("axis", -1) % x.ndim, x.ndim))
    y = (x.a - x.a.mean(axis=axes, keepdims=True)) / np.sqrt(x.a.var(axis=axes, keepdims=True) + attributes.get("epsilon", 1e-5))
    return Value(x.name, y * scale.a + present(bias, 0.0))


@op
def op_rms_norm(attributes, x, scale):
    axes = tuple(range(attributes.get("axis", -1) % x.ndim, x.ndim))
    return Value(x.name, x.a / np.sqrt((x.a**2).mean(axis=axes, keepdims=True) + attributes.get("epsilon", 1e-5)) * scale.a)


@op
def op_batch_norm(attributes, x, scale, bias, mean, variance):
    axis = attributes.get("channel_axis", 1)
    def channel(v):
        return v.a.reshape([-1 if i == axis else 1 for i in range(x.ndim)]) if x.ndim > 1 else v.a
    return Value(x.name, (x.a - channel(mean)) / np.sqrt(channel(variance) + attributes.get("epsilon", 1e-5)) * channel(scale) + channel(bias))


@op
def op_group_norm(attributes, x, scale, bias):
    g = x.a.reshape(x.shape[0], attributes["groups"], -1) if x.size else x.a
    if x.size:
        g = (g - g.mean(axis=2, keepdims=True)) / np.sqrt(g.var(axis=2, keepdims=True) + attributes.get("epsilon", 1e-5))
    shape = [1, -1] + [1] * (x.ndim - 2)
    return Value(x.name, g.reshape(x.shape) * scale.a.reshape(shape) + bias.a.reshape(shape))


# ---- products and windows

def finish_ints(array, name):
    return array if name in FLOATS else each(lambda v: wrap(v, name), array)


@op
def op_matmul(attributes, a, b):
    left = np.swapaxes(a.a, -1, -2) if attributes.get("transpose_a", 0) else a.a
    right = np.swapaxes(b.a, -1, -2) if attributes.get("transpose_b", 0) else b.a
    batch = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    out = np.zeros(batch + (left.shape[-2], right.shape[-1]), left.dtype)
    for p in range(left.shape[-1]):
        out = out + left[..., :, p:p + 1] * right[..., p:p + 1, :]
    return Value(a.name, finish_ints(out, a.name))


@op
def op_attention(attributes, q, k, v, mask=None):
    scores = np.matmul(q.a * attributes.get("scale", 1.0), np.swapaxes(k.a, -1, -2))
    if mask is not None:
        scores = np.where(mask.a.astype(bool), scores, -math.inf) if mask.name == "bool" else scores + mask.a
    return Value(q.name, np.matmul(softmax(scores, -1), v.a))


def windows(attributes, x, kernel):
    """The operand channels-first and, for each tap, (tap index, values under it, inside operand?, inside pads?) over all result positions."""
    spatial = len(kernel)
    a = np.moveaxis(x.a, -1, 1) if attributes.get("layout", "nchw") == "nhwc" else x.a
    sizes = a.shape[2:]
    strides = attributes.get("strides") or [1] * spatial
    dilations = attributes.get("dilations") or [1] * spatial
    pads = attributes.get("pads") or [0] * (2 * spatial)
    extents = [(k - 1) * d + 1 for k, d in zip(kernel, dilations)]
    auto = attributes.get("auto_pad", "")
    if auto.startswith("same"):
        outs = [-(-n // s) for n, s in zip(sizes, strides)]
        total = [max(0, (o - 1) * s + e - n) for o, s, e, n in zip(outs, strides, extents, sizes)]
        begin = [t // 2 if auto == "same_upper" else t - t // 2 for t in total]
        pads = begin + [t - b for t, b in zip(total, begin)]
    elif auto == "valid":
        pads = [0] * (2 * spatial)
    if not auto.startswith("same"):
        outs = []
        for i in range(spatial):
            room = sizes[i] + pads[i] + pads[i + spatial] - extents[i]
            o = room // strides[i] + 1
            if attributes.get("ceil_mode", 0):
                o = -(-room // strides[i]) + 1
                if (o - 1) * strides[i] >= sizes[i] + pads[i]:
                    o -= 1
            outs.append(max(o, 0))
    taps = []
    for tap in itertools.product(*(range(k) for k in kernel)):
        index = [np.arange(o) * s - p + t * d for o, s, p, t, d in zip(outs, strides, pads, tap, dilations)]
        inside = np.ones(outs, bool)
        padded = np.ones(outs, bool)
        values = a
        for i in range(spatial):
            shape = [-1 if j == i else 1 for j in range(spatial)]
            inside = inside & ((index[i] >= 0) & (index[i] < sizes[i])).reshape(shape)
            padded = padded & (index[i] < sizes[i] + pads[i + spatial]).reshape(shape)
            values = np.take(values, np.clip(index[i], 0, max(sizes[i] - 1, 0)), axis=2 + i) if sizes[i] else np.zeros(
                values.shape[:2 + i] + (outs[i],) + values.shape[3 + i:])
        taps.append((tap, values, inside, padded))
    return a, outs, taps


def channels_back(attributes, out):
    return np.moveaxis(out, 1, -1) if attributes.get("layout", "nchw") == "nhwc" else out


@op
def op_conv(attributes, x, w, bias=None):
    groups = attributes.get("groups", 1)
    a, outs, taps = windows(attributes, x, w.shape[2:])
    filters, depth = w.shape[:2]
    out = np.zeros([a.shape[0], filters] + outs, a.dtype)
    for tap, values, inside, _ in taps:
        values = np.where(inside, values, 0 if not x.is_float else 0.0)
        for f in range(filters):
            g = f // (filters // groups)
            for c in range(depth):
                out[:, f] = out[:, f] + values[:, g * depth + c] * w.a[(f, c) + tap]
    if bias is not None:
        out = out + bias.a.reshape([1, -1] + [1] * len(outs))
    return Value(x.name, finish_ints(channels_back(attributes, out), x.name))


@op
def op_max_pool(attributes, x):
    a, outs, taps = windows(attributes, x, attributes["kernel"])
    lowest = -math.inf if x.is_float else (-2**(int(x.name[1:]) - 1) if x.name[0] == "i" else 0)
    out = np.full(list(a.shape[:2]) + outs, lowest, a.dtype)
    for _, values, inside, _ in taps:
        out = np.maximum(out, np.where(inside, values, lowest))
    return Value(x.name, channels_back(attributes, out))


@op
def op_max_pool_indices(attributes, x):
    """Each position of the result looks for the place of its maximum in a tensor of places."""
    places = np.arange(x.size, dtype=object).reshape(x.shape)
    if attributes.get("column_major", 0):
        channels = np.arange(x.size, dtype=object).reshape(x.shape[:2] + x.shape[:1:-1])
        places = channels.transpose(0, 1, *range(x.ndim - 1, 1, -1))
    _, outs, taps = windows(attributes, x, attributes["kernel"])
    where = windows(attributes, Value("i64", places), attributes["kernel"])[2]
    lowest = -math.inf if x.is_float else (-2**(int(x.name[1:]) - 1) if x.name[0] == "i" else 0)
    out = np.full(list(x.shape[:2]) + outs, lowest, x.a.dtype)
    indices = np.full(out.shape, -1, object)
    for at in np.ndindex(*out.shape):
        for (_, values, inside, _), (_, place, _, _) in zip(taps, where):
            if inside[at[2:]] and out[at] == out[at] and (indices[at] < 0 or not values[at] <= out[at]):
                out[at], indices[at] = values[at], place[at]
    return Value(x.name, out), Value("i64", indices)


@op
def op_topk(attributes, x, count=None):
    axis = attributes.get("axis", -1)
    k = int(count.a.ravel()[0]) if count is not None else attributes.get("k", 0)
    lines = np.moveaxis(x.a, axis, -1)
    indices = np.empty(lines.shape[:-1] + (k,), object)
    for at in np.ndindex(*lines.shape[:-1]):
        line = [(v != v, 0 if v != v else v) for v in lines[at]]
        order = sorted(range(len(line)), key=lambda i: line[i], reverse=bool(attributes.get("largest", 1)))  # which is stable
        indices[at] = order[:k]
    values = np.take_along_axis(lines, indices.astype(np.int64), -1)
    return Value(x.name, np.moveaxis(values, -1, axis)), Value("i64", np.moveaxis(indices, -1, axis))


@op
def op_avg_pool(attributes, x):
    a, outs, taps = windows(attributes, x, attributes["kernel"])
    total, count = np.zeros(list(a.shape[:2]) + outs), np.zeros(outs)
    for _, values, inside, padded in taps:
        total += np.where(inside, values, 0.0)
        count += padded if attributes.get("count_include_pad", 0) else inside
    return Value(x.name, channels_back(attributes, np.where(count > 0, total / np.maximum(count, 1), 0.0)))


@op
def op_conv_transpose(attributes, x, w, bias=None):
    """Spelled backwards: every element of the result looks for the elements and taps that reach it."""
    rank, groups = x.ndim - 2, attributes.get("groups", 1)
    strides, dilations = attributes.get("strides") or [1] * rank, attributes.get("dilations") or [1] * rank
    pads, added = attributes.get("pads") or [0] * (2 * rank), attributes.get("output_padding") or [0] * rank
    auto = attributes.get("auto_pad", "")
    sizes, kernel = x.shape[2:], w.shape[2:]
    whole = [(n - 1) * s + (k - 1) * d + 1 + a for n, s, k, d, a in zip(sizes, strides, kernel, dilations, added)]
    outs = attributes.get("output_shape") or ([n * s for n, s in zip(sizes, strides)] if auto else None)
    if outs:
        totals = [n - o for n, o in zip(whole, outs)]
        begin = [math.floor(t / 2) if auto == "same_upper" else t - math.floor(t / 2) for t in totals]
    else:
        begin = pads[:rank]
        outs = [n - a - b for n, a, b in zip(whole, pads, pads[rank:])]
    depth, per_group = x.shape[1] // groups, w.shape[1]
    out = np.zeros([x.shape[0], per_group * groups] + list(outs), x.a.dtype)
    for at in np.ndindex(*outs):
        for tap in np.ndindex(*kernel):
            offsets = [o + b - t * d for o, b, t, d in zip(at, begin, tap, dilations)]
            source = [o // s for o, s in zip(offsets, strides)]
            if any(o % s for o, s in zip(offsets, strides)) or any(not 0 <= p < n for p, n in zip(source, sizes)):
                continue
            for f in range(out.shape[1]):
                for c in range(f // per_group * depth, (f // per_group + 1) * depth):
                    index = (slice(None), f) + at
                    out[index] = out[index] + x.a[(slice(None), c) + tuple(source)] * w.a[(c, f % per_group) + tap]
    if bias is not None:
        out = out + bias.a.reshape([1, -1] + [1] * rank)
    return Value(x.name, finish_ints(out, x.name))


@op
def op_lp_pool(attributes, x):
    a, outs, taps = windows(attributes, x, attributes["kernel"])
    p, total = attributes.get("p", 2.0), np.zeros(list(a.shape[:2]) + outs)
    for _, values, inside, _ in taps:
        total += np.where(inside, np.abs(values) ** p, 0.0)
    return Value(x.name, channels_back(attributes, total ** (1 / p)))


# ---- sampling

def resize_positions(attributes, size, out, scale, start, end):
    """Positions in x of 0..out-1, as floats."""
    kind, y, width = attributes.get("coordinates", "half_pixel"), np.arange(out, dtype=float), scale * size
    if kind == "asymmetric":
        return y / scale
    if kind == "align_corners":
        return y * 0 if width == 1 else y * (size - 1) / (width - 1)
    if kind == "tf_half_pixel_for_nn":
        return (y + 0.5) / scale
    if kind == "tf_crop_and_resize":
        if out == 1:
            return np.array([0.5 * (start + end) * (size - 1)])
        return start * (size - 1) + y * (end - start) * (size - 1) / (width - 1)
    if kind == "pytorch_half_pixel" and out == 1:
        return np.zeros(1)
    shift = size / 2 * (1 - out / width) if kind == "half_pixel_symmetric" else 0.0
    return shift + (y + 0.5) / scale - 0.5


def resize_matrix(attributes, size, out, scale, start, end):
    """[out, size] weights of one axis; and which positions lie beyond x."""
    mode, nearest = attributes.get("mode", "nearest"), attributes.get("nearest", "round_prefer_floor")
    a = attributes.get("cubic_coeff_a", -0.75)
    matrix, positions = np.zeros([out, size]), resize_positions(attributes, size, out, scale, start, end)
    beyond = (positions < 0) | (positions > size - 1) if attributes.get("coordinates") == "tf_crop_and_resize" else np.zeros(out, bool)
    for y, x in enumerate(positions):
        if mode == "nearest":
            down, up = math.floor(x), math.ceil(x)
            at = {"floor": down, "ceil": up, "by_scale": up if scale < 1 else down,
                  "round_prefer_floor": down if x - down <= 0.5 else up, "round_prefer_ceil": up if x - down >= 0.5 else down}[nearest]
            matrix[y, min(max(at, 0), size - 1)] = 1
            continue
        stretch = min(scale, 1.0) if attributes.get("antialias", 0) else 1.0
        terms = {}
        for at in range(math.floor(x - 2 / stretch) - 1, math.ceil(x + 2 / stretch) + 2):
            d = abs(at - x) * stretch
            if mode == "linear":
                terms[at] = max(0.0, 1 - d)
            else:
                terms[at] = (a + 2) * d**3 - (a + 3) * d**2 + 1 if d <= 1 else a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a if d < 2 else 0.0
        if attributes.get("exclude_outside", 0):
            terms = {at: w for at, w in terms.items() if 0 <= at < size}
        total = sum(terms.values()) if attributes.get("antialias", 0) or attributes.get("exclude_outside", 0) else 1.0
        for at, w in terms.items():
            matrix[y, min(max(at, 0), size - 1)] += w / total
    return matrix, beyond


@op
def op_resize(attributes, x, sizes=None, region=None):
    axes = [a % x.ndim for a in attributes.get("axes") or range(x.ndim)]
    if sizes is None or sizes.is_float:
        scales = [float(np.float32(s)) for s in (sizes.a if sizes else attributes["scales"])]
        outs = [math.floor(x.shape[a] * s) for a, s in zip(axes, scales)]
    else:
        outs = ints(sizes)
        scales = [o / x.shape[a] if x.shape[a] else 1.0 for a, o in zip(axes, outs)]
        policy = attributes.get("policy", "stretch")
        if policy != "stretch":
            scales = [(min if policy == "not_larger" else max)(scales)] * len(axes)
            outs = [math.floor(s * x.shape[a] + 0.5 + 1e-9) for a, s in zip(axes, scales)]
    roi = list(region.a) if region else attributes.get("roi") or [0.0] * len(axes) + [1.0] * len(axes)
    result, outside = x.a, np.zeros([1] * x.ndim, bool)
    for i, axis in enumerate(axes):
        if scales[i] == 1 and outs[i] == x.shape[axis] and (roi[i], roi[i + len(axes)]) == (0.0, 1.0):
            continue
        matrix, beyond = resize_matrix(attributes, x.shape[axis], outs[i], scales[i], roi[i], roi[i + len(axes)])
        if attributes.get("mode", "nearest") == "nearest":
            result = np.take(result, matrix.argmax(axis=1) if matrix.size else np.zeros(outs[i], int), axis=axis)
        else:
            lines = np.moveaxis(np.asarray(result, float), axis, 0)  # what has no weight is not read
            rows = [sum((row[k] * lines[k] for k in np.flatnonzero(row)), np.zeros(lines.shape[1:])) for row in matrix]
            result = np.moveaxis(np.array(rows).reshape((len(rows),) + lines.shape[1:]), 0, axis)
        outside = outside | beyond.reshape([-1 if d == axis else 1 for d in range(x.ndim)])
    if not x.is_float:
        low, high = (saturate(v, x.name) if x.name != "bool" else int(v > 0) for v in (-math.inf, math.inf))
        result = each(lambda v: max(low, min(high, round(v))), result)
    return Value(x.name, np.where(outside, attributes.get("extrapolation_value", 0.0) if x.is_float else 0, result))


@op
def op_grid_sample(attributes, x, grid):
    mode, padding = attributes.get("mode", "linear"), attributes.get("padding", "zeros")
    align, real = attributes.get("align_corners", 0), np.float64 if grid.name == "f64" else np.float32
    rank = x.ndim - 2
    out = np.zeros(x.shape[:2] + grid.shape[1:-1])

    def reflect(p, low, high):
        if high <= low or not math.isfinite(p):
            return low
        period = 2 * (high - low)
        phase = (p - low) % period
        return low + (phase if phase <= high - low else period - phase)

    def reads(coordinate, size):
        """(index or None, weight) pairs along an axis."""
        low, high = (0.0, size - 1.0) if align else (-0.5, size - 0.5)
        c = real(coordinate)
        p = (c + real(1)) / real(2) * real(size - 1) if align else ((c + real(1)) * real(size) - real(1)) / real(2)
        p = float(p) if not math.isnan(p) else -math.inf
        if mode == "nearest" and math.isfinite(p):
            p = float(np.rint(p))
        if not low <= p <= high:
            p = min(max(p, 0.0), size - 1.0) if padding == "border" else reflect(p, low, high) if padding == "reflection" else p
        p = min(max(p, -1e6), 1e6)
        if mode == "nearest":
            terms = [(math.trunc(p), 1.0)]
        else:
            first, t = math.floor(p), p - math.floor(p)
            weights = [1 - t, t]
            if mode == "cubic":
                a = -0.75
                near, far = (lambda d: (a + 2) * d**3 - (a + 3) * d**2 + 1), (lambda d: a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a)
                first, weights = first - 1, [far(1 + t), near(t), near(1 - t), far(2 - t)]
            terms = [(first + i, w) for i, w in enumerate(weights)]
        result = []
        for at, w in terms:
            if not 0 <= at < size:
                at = None if padding == "zeros" else min(max(at, 0), size - 1) if padding == "border" else math.trunc(reflect(at, low, high))
            result.append((at, w))
        return result

    for n in range(x.shape[0]):
        for at in np.ndindex(*grid.shape[1:-1]):
            axes = [reads(grid.a[(n,) + at + (rank - 1 - i,)], x.shape[2 + i]) for i in range(rank)]
            for terms in itertools.product(*axes):
                if all(p is not None for p, _ in terms):
                    out[(n, slice(None)) + at] += math.prod(w for _, w in terms) * x.a[(n, slice(None)) + tuple(p for p, _ in terms)].astype(float)
    return Value(x.name, out if x.is_float else each(int, out))


# ---- movement and indices

def ints(value):
    return [int(v) for v in value.a.ravel()]


@op
def op_reshape(attributes, x, shape):
    dims = ints(shape)
    if not attributes.get("allow_zero", 0):
        dims = [x.shape[i] if d == 0 else d for i, d in enumerate(dims)]
    return Value(x.name, x.a.reshape(dims))


@op
def op_transpose(attributes, x):
    return Value(x.name, np.transpose(x.a, attributes["perm"]))


@op
def op_concat(attributes, *xs):
    return Value(xs[0].name, np.concatenate([x.a for x in xs], axis=attributes["axis"]))


@op
def op_slice(attributes, x, starts=None, ends=None, axes=None, steps=None):
    starts = ints(starts) if starts else attributes["starts"]
    ends = ints(ends) if ends else attributes["ends"]
    axes = ints(axes) if axes else attributes.get("axes") or list(range(len(starts)))
    steps = ints(steps) if steps else attributes.get("steps") or [1] * len(starts)
    index = [slice(None)] * x.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps):
        # Below the first element, an end of a falling slice means "to the beginning", which Python writes None.
        index[axis] = slice(start, None if step < 0 and end < -x.shape[axis] else end, step)
    return Value(x.name, x.a[tuple(index)])


@op
def op_gather(attributes, x, indices):
    return Value(x.name, np.take(x.a, indices.a.astype(np.int64), axis=attributes.get("axis", 0)))


@op
def op_gather_elements(attributes, x, indices):
    axis = attributes.get("axis", 0)
    out = np.empty(indices.shape, x.a.dtype)
    for at in np.ndindex(*indices.shape):
        out[at] = x.a[at[:axis % x.ndim] + (indices.a[at],) + at[axis % x.ndim + 1:]]
    return Value(x.name, out)


@op
def op_gather_nd(attributes, x, indices):
    b = attributes.get("batch_dims", 0)
    k = indices.shape[-1]
    out = np.empty(indices.shape[:-1] + x.shape[b + k:], x.a.dtype)
    for at in np.ndindex(*indices.shape[:-1]):
        out[at] = x.a[at[:b] + tuple(indices.a[at])]
    return Value(x.name, out)


def joined(reduction, name, old, new):
    if reduction == "none":
        return new
    if name in FLOATS and reduction in ("min", "max"):
        return (np.minimum if reduction == "min" else np.maximum)(old, new)
    value = {"add": lambda: old + new, "mul": lambda: old * new, "min": lambda: min(old, new), "max": lambda: max(old, new)}[reduction]()
    return value if name in FLOATS else int(bool(value)) if name == "bool" else wrap(value, name)


@op
def op_scatter_elements(attributes, x, indices, updates):
    axis, out = attributes.get("axis", 0) % x.ndim, x.a.copy()
    for at in np.ndindex(*indices.shape):
        to = at[:axis] + (indices.a[at],) + at[axis + 1:]
        out[to] = joined(attributes.get("reduction", "none"), x.name, out[to], updates.a[at])
    return Value(x.name, out)


@op
def op_nonzero(attributes, x):
    return Value("i64", np.array(np.nonzero(np.atleast_1d(x.a != 0)) if x.ndim else np.zeros([0, int(x.a != 0)]), object))


@op
def op_compress(attributes, x, condition):
    return Value(x.name, np.compress(condition.a.astype(bool), x.a, axis=attributes.get("axis", 0)))


@op
def op_unique(attributes, x):
    axis = attributes.get("axis", 0) % x.ndim
    slices = np.moveaxis(x.a, axis, 0)
    slices = slices.reshape(x.shape[axis], math.prod(slices.shape[1:]))
    keys = [tuple((v != v, 0 if v != v else v) for v in line) for line in slices]
    found = list(dict.fromkeys(keys))
    if attributes.get("sorted", 1):
        found.sort()
    first = [keys.index(k) for k in found]
    results = [first, [found.index(k) for k in keys], [keys.count(k) for k in found]]
    return (Value(x.name, np.take(x.a, np.array(first, np.int64), axis)), *(Value("i64", np.array(r, object)) for r in results))


def box_overlap(a, b):
    """Intersection over union, of corners."""
    height, width = (max(0.0, min(a[i + 2], b[i + 2]) - max(a[i], b[i])) for i in (0, 1))
    union = sum((c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)) - height * width
    return height * width / union if union > 0 else 0.0


@op
def op_non_max_suppression(attributes, boxes, scores, most, overlap, least=None):
    kept = []
    for batch, cls in np.ndindex(*scores.shape[:2]):
        corners = []
        for p in boxes.a[batch]:
            x, y, w, h = p
            corners.append([y - h / 2, x - w / 2, y + h / 2, x + w / 2] if attributes.get("center", 0) else
                           [min(p[0], p[2]), min(p[1], p[3]), max(p[0], p[2]), max(p[1], p[3])])
        own, chosen = scores.a[batch, cls], []
        for i in sorted(range(len(own)), key=lambda i: -own[i]):
            if (not least or own[i] > least.a.ravel()[0]) and len(chosen) < most.a.ravel()[0] and \
                    all(box_overlap(corners[i], corners[j]) <= overlap.a.ravel()[0] for j in chosen):
                chosen.append(i)
        kept += [[batch, cls, i] for i in chosen]
    return Value("i64", np.array(kept, object).reshape(-1, 3))


@op
def op_scatter_nd(attributes, x, indices, updates):
    out = x.a.copy()
    for at in np.ndindex(*indices.shape[:-1]):
        for inner in np.ndindex(*x.shape[indices.shape[-1]:]):
            to = tuple(indices.a[at]) + inner
            out[to] = joined(attributes.get("reduction", "none"), x.name, out[to], updates.a[at + inner])
    return Value(x.name, out)


@op
def op_reverse_sequence(attributes, x, lengths):
    batch, time = attributes.get("batch_axis", 1) % x.ndim, attributes.get("time_axis", 0) % x.ndim
    out = x.a.copy()
    for b, length in enumerate(ints(lengths)):
        line = np.take(x.a, [b], axis=batch)
        order = list(range(length))[::-1] + list(range(length, x.shape[time]))
        out[tuple(slice(b, b + 1) if d == batch else slice(None) for d in range(x.ndim))] = np.take(line, order, axis=time)
    return Value(x.name, out)


@op
def op_cumsum(attributes, x, along=None):
    axis, out = (ints(along)[0] if along else attributes["axis"]) % x.ndim, x.a.copy()
    for i in range(x.shape[axis]):
        before = slice(i + 1, None) if attributes.get("reverse", 0) else slice(None, i)
        if not attributes.get("exclusive", 0):
            before = slice(i, None) if attributes.get("reverse", 0) else slice(None, i + 1)
        index = [slice(None)] * x.ndim
        index[axis] = i
        part = x.a[tuple(before if d == axis else slice(None) for d in range(x.ndim))]
        out[tuple(index)] = part.sum(axis=axis)
    return Value(x.name, finish_ints(out, x.name))


@op
def op_cumprod(attributes, x, along=None):
    axis, exclusive = (ints(along)[0] if along else attributes["axis"]) % x.ndim, attributes.get("exclusive", 0)
    lines = np.moveaxis(x.a, axis, -1)
    lines = lines[..., ::-1] if attributes.get("reverse", 0) else lines
    out = np.empty(lines.shape, x.a.dtype)
    for i in range(lines.shape[-1]):
        out[..., i] = np.prod(lines[..., :i if exclusive else i + 1], axis=-1)
    out = out[..., ::-1] if attributes.get("reverse", 0) else out
    return Value(x.name, finish_ints(np.moveaxis(out, -1, axis), x.name))


@op
def op_expand(attributes, x, shape):
    return Value(x.name, np.broadcast_to(x.a, np.broadcast_shapes(x.shape, tuple(abs(n) for n in ints(shape)))))


@op
def op_pad(attributes, x, pads=None, value=None):
    pads = ints(pads) if pads else attributes["pads"]
    mode = attributes.get("mode", "constant")
    fill = value.a.ravel()[0] if value else attributes.get("value", 0.0)
    a = x.a
    for axis in range(x.ndim):
        before, after, size = pads[axis], pads[axis + x.ndim], x.shape[axis]
        at = np.arange(-before, size + after)
        if mode == "constant":
            outside = ((at < 0) | (at >= size)).reshape([-1 if i == axis else 1 for i in range(x.ndim)])
            if size == 0:
                a = np.full(a.shape[:axis] + (len(at),) + a.shape[axis + 1:], 0 if not x.is_float else 0.0, a.dtype)
            else:
                a = np.take(a, np.clip(at, 0, size - 1), axis=axis)
            a = np.where(outside, fill if x.is_float else int(fill), a)
        else:
            numpy_mode = {"edge": "edge", "reflect": "reflect", "wrap": "wrap"}[mode]
            line = np.pad(np.arange(size), (max(before, 0), max(after, 0)), mode=numpy_mode)
            line = line[max(-before, 0):len(line) - max(-after, 0)]
            a = np.take(a, line, axis=axis)
    return Value(x.name, a)


@op
def op_tile(attributes, x, repeats):
    return Value(x.name, np.tile(x.a, ints(repeats)))


@op
def op_shape(attributes, x):
    return Value("i64", np.array(x.shape[attributes.get("start", 0):attributes.get("end", None)], np.int64))


@op
def op_range(attributes, start, limit, delta):
    first, last, step = (v.a.ravel()[0] for v in (start, limit, delta))
    count = max(0, math.ceil((last - first) / step)) if start.is_float else len(range(first, last, step))
    return Value(start.name, np.array([first + i * step for i in range(count)], float if start.is_float else object))


# ---- linear algebra

@op
def op_det(attributes, x):
    """The sum over all permutations."""
    n, out = x.shape[-1], np.zeros(x.shape[:-2])
    for order in itertools.permutations(range(n)):
        sign = (-1)**sum(a > b for a, b in itertools.combinations(order, 2))
        out = out + sign * math.prod((x.a[..., i, j] for i, j in enumerate(order)), start=np.ones(x.shape[:-2]))
    return Value(x.name, out)


@op
def op_dft(attributes, x, count=None, along=None):
    """A product with the matrix of roots of unity; halves are completed to wholes before, or cut from them behind."""
    axis = (ints(along)[0] if along else attributes.get("axis", -2)) % x.ndim
    inverse, onesided = attributes.get("inverse", 0), attributes.get("onesided", 0)
    signal = np.moveaxis(x.a[..., 0] + (1j * x.a[..., 1] if x.shape[-1] == 2 else 0), axis, -1)
    n = ints(count)[0] if count else attributes.get("length", 0) or (2 * (x.shape[axis] - 1) if inverse and onesided else x.shape[axis])
    have = signal.shape[-1]
    whole = np.zeros(signal.shape[:-1] + (n,), complex)
    used = min(have, n // 2 + 1 if inverse and onesided else n)
    whole[..., :used] = signal[..., :used]
    if inverse and onesided:
        for k in range(1, (n + 1) // 2):
            whole[..., n - k] = np.conj(whole[..., k])
        whole[..., [0, n // 2] if n % 2 == 0 else [0]] = whole[..., [0, n // 2] if n % 2 == 0 else [0]].real
    roots = np.exp((2j if inverse else -2j) * np.pi * (np.outer(np.arange(n), np.arange(n)) % n) / n)
    out = np.moveaxis(whole @ roots / (n if inverse else 1), -1, axis)
    if onesided and not inverse:
        out = np.take(out, np.arange(n // 2 + 1), axis)
    parts = [out.real] if inverse and onesided else [out.real, out.imag]
    return Value(x.name, np.stack(parts, -1))


# ---- between elements

def interpolated(plane, y, x, beyond):
    """(weight, element) of the four around a place. `beyond`: whether the last elements go on by one, or fall off to 0."""
    h, w = plane.shape
    if beyond:
        if y < -1 or y > h or x < -1 or x > w:
            return [(0.0, 0.0)] * 4
        y, x = min(max(y, 0), h - 1), min(max(x, 0), w - 1)
    y0, x0 = math.floor(y), math.floor(x)
    parts = []
    for i, j in itertools.product((0, 1), (0, 1)):
        weight = (y - y0 if i else 1 - (y - y0)) * (x - x0 if j else 1 - (x - x0))
        inside = 0 <= y0 + i < h and 0 <= x0 + j < w
        parts.append((weight, plane[y0 + i, x0 + j] if inside else 0.0))
    return parts


@op
def op_roi_align(attributes, x, rois, indices):
    height, width = attributes.get("height", 1), attributes.get("width", 1)
    ratio, half = attributes.get("sampling_ratio", 0), attributes.get("half_pixel", 1)
    real = np.float64 if x.name == "f64" else np.float32  # positions are in f32
    out = np.zeros((rois.shape[0], x.shape[1], height, width))
    for n in range(rois.shape[0]):
        x1, y1, x2, y2 = (real(v) * real(attributes.get("spatial_scale", 1.0)) - real(0.5 * half) for v in rois.a[n])
        bin_h, bin_w = ((v if half else max(v, real(1))) / real(d) for v, d in ((y2 - y1, height), (x2 - x1, width)))
        rows, columns = ratio or math.ceil(bin_h), ratio or math.ceil(bin_w)
        for c, i, j in np.ndindex(x.shape[1], height, width):
            parts = []
            for a, b in np.ndindex(max(rows, 0), max(columns, 0)):
                y = y1 + real(i) * bin_h + real(a + 0.5) * bin_h / real(rows)
                z = x1 + real(j) * bin_w + real(b + 0.5) * bin_w / real(columns)
                parts.append([w * v for w, v in interpolated(x.a[int(indices.a[n]), c], float(y), float(z), True)])
            if attributes.get("mode", "avg") == "max":
                out[n, c, i, j] = max(itertools.chain(*parts), default=0)
            else:
                out[n, c, i, j] = sum(map(sum, parts)) / max(len(parts), 1)
    return Value(x.name, out)


@op
def op_deform_conv(attributes, x, w, offset, bias=None, mask=None):
    groups, offsets = attributes.get("groups", 1), attributes.get("offset_groups", 1)
    strides, dilations = attributes.get("strides") or [1, 1], attributes.get("dilations") or [1, 1]
    pads = attributes.get("pads") or [0] * 4
    (n, channels, _, _), (filters, depth, kh, kw) = x.shape, w.shape
    out = np.zeros((n, filters) + offset.shape[2:])
    for b, f, i, j in np.ndindex(*out.shape):
        total = bias.a[f] if bias is not None else 0.0
        for d, p, q in np.ndindex(depth, kh, kw):
            c = f // (filters // groups) * depth + d
            place = c // (channels // offsets) * kh * kw + p * kw + q
            y = i * strides[0] - pads[0] + p * dilations[0] + offset.a[b, 2 * place, i, j]
            z = j * strides[1] - pads[1] + q * dilations[1] + offset.a[b, 2 * place + 1, i, j]
            value = sum(a * v for a, v in interpolated(x.a[b, c], y, z, False))
            total += w.a[f, d, p, q] * value * (mask.a[b, place, i, j] if mask is not None else 1)
        out[b, f, i, j] = total
    return Value(x.name, out)


# ---- recurrent layers: matrices times vectors, one sequence after the other

ACTIVATIONS = {
    "affine": lambda x, a, b: a * x + b, "relu": lambda x, a, b: np.maximum(x, 0), "leaky_relu": lambda x, a, b: np.where(x < 0, a * x, x),
    "thresholded_relu": lambda x, a, b: np.where(x > a, x, 0), "tanh": lambda x, a, b: np.tanh(x),
    "scaled_tanh": lambda x, a, b: a * np.tanh(b * x), "sigmoid": lambda x, a, b: 1 / (1 + np.exp(-x)),
    "hard_sigmoid": lambda x, a, b: np.clip(a * x + b, 0, 1), "elu": lambda x, a, b: np.where(x < 0, a * np.expm1(x), x),
    "softsign": lambda x, a, b: x / (1 + np.abs(x)), "softplus": lambda x, a, b: np.logaddexp(0, x),
}


def recurrent(attributes, defaults, states, step, x, w, r, bias, lengths, initial, peephole=None):
    """step(wx, rh, wb, rb, state, f, p) -> state, where wx and rh are functions of a gate's number."""
    steps, batch, _ = x.shape
    hidden, direction = r.shape[2], attributes.get("direction", "forward")
    directions, gates = (2 if direction == "bidirectional" else 1), w.shape[1] // max(hidden, 1)
    names = attributes.get("activations", defaults).split(",")
    alpha, beta = attributes.get("alpha") or [0.0] * len(names), attributes.get("beta") or [0.0] * len(names)
    clip = attributes.get("clip", 0) or math.inf
    own = len(defaults.split(","))
    if len(names) < own * directions:
        names, alpha, beta = names * 2, alpha * 2, beta * 2
    y, last = np.zeros([steps, directions, batch, hidden]), [np.zeros([directions, batch, hidden]) for _ in range(states)]
    for d, b in itertools.product(range(directions), range(batch)):
        f = [lambda v, i=i: ACTIVATIONS[names[i]](np.clip(v, -clip, clip), alpha[i], beta[i]) for i in range(d * own, (d + 1) * own)]
        plain = [lambda v, i=i: ACTIVATIONS[names[i]](v, alpha[i], beta[i]) for i in range(d * own, (d + 1) * own)]
        wx, rh = w.a[d].reshape(gates, hidden, -1), r.a[d].reshape(gates, hidden, hidden)
        wb, rb = (bias.a[d] if bias is not None else np.zeros(2 * gates * hidden)).reshape(2, gates, hidden)
        p = (peephole.a[d] if peephole is not None else np.zeros((gates - 1) * hidden)).reshape(-1, hidden)
        length = int(lengths.a[b]) if lengths is not None else steps
        order = list(range(length))
        if direction == "reverse" or d == 1:
            order.reverse()
        state = [s.a[d, b] if s is not None else np.zeros(hidden) for s in initial]
        for t in order:
            state = step(lambda g: wx[g] @ x.a[t, b], lambda g, v: rh[g] @ v, wb, rb, state, f, plain, p)
            y[t, d, b] = state[0]
        for i in range(states):
            last[i][d, b] = state[i] if length else 0
    return tuple(Value(x.name, a) for a in [y] + last)


@op
def op_rnn(attributes, x, w, r, bias=None, lengths=None, initial_h=None):
    def step(wx, rh, wb, rb, state, f, plain, p):
        return [f[0](wx(0) + rh(0, state[0]) + wb[0] + rb[0])]
    return recurrent(attributes, "tanh", 1, step, x, w, r, bias, lengths, [initial_h])


@op
def op_gru(attributes, x, w, r, bias=None, lengths=None, initial_h=None):
    def step(wx, rh, wb, rb, state, f, plain, p):
        h = state[0]
        update, reset = (f[0](wx(g) + rh(g, h) + wb[g] + rb[g]) for g in (0, 1))
        if attributes.get("linear_before_reset", 0):
            new = f[1](wx(2) + reset * (rh(2, h) + rb[2]) + wb[2])
        else:
            new = f[1](wx(2) + rh(2, reset * h) + rb[2] + wb[2])
        return [(1 - update) * new + update * h]
    return recurrent(attributes, "sigmoid,tanh", 1, step, x, w, r, bias, lengths, [initial_h])


@op
def op_lstm(attributes, x, w, r, bias=None, lengths=None, initial_h=None, initial_c=None, peephole=None):
    def step(wx, rh, wb, rb, state, f, plain, p):
        h, c = state
        i, o, forget, new = (wx(g) + rh(g, h) + wb[g] + rb[g] for g in range(4))
        i = f[0](i + p[0] * c)
        forget = 1 - i if attributes.get("input_forget", 0) else f[0](forget + p[2] * c)
        c = forget * c + i * f[1](new)
        return [f[0](o + p[1] * c) * plain[2](c), c]
    return recurrent(attributes, "sigmoid,tanh,tanh", 2, step, x, w, r, bias, lengths, [initial_h, initial_c], peephole)


@op
def op_linear_attention(attributes, q, k, v, state=None, decay=None, beta=None):
    """One product of matrices after the other, for all heads at once."""
    group = q.shape[1] // k.shape[1]
    s = state.a if state is not None else np.zeros(k.shape[:2] + (q.shape[3], v.shape[3]))
    y = np.zeros(q.shape[:3] + v.shape[3:])
    for t in range(q.shape[2]):
        key, value = k.a[:, :, t, :, None], v.a[:, :, t, None, :]
        if decay is not None:
            s = s * np.exp(decay.a[:, :, t, :, None])
        if beta is not None:
            value = beta.a[:, :, t, :, None] * (value - np.swapaxes(key, 2, 3) @ s)
        s = s + key @ value
        y[:, :, t] = attributes.get("scale", 1.0) * (q.a[:, :, t, None, :] @ np.repeat(s, group, axis=1))[:, :, 0]
    return Value(q.name, y), Value(state.name if state is not None else q.name, s)


# ---- cases

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
