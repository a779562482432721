"""Elementwise ops."""
import math

import numpy as np

from .values import DTYPES, FLOATS, OPS, Value, each, op, quiet, saturate, trunc_div, wrap


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
