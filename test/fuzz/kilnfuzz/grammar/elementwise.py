"""Elementwise operators: a table row each for most of them."""
import math

from .. import dtypes, sizes
from ..graph import require, result
from ..dtypes import FLOATS, INTS, NUMBERS
from . import op

# Unary operators: types, bounds of the result from those of the operand, range of operands they are used on, first opset.


def monotone(function):
    return lambda low, high: (function(low), function(high))


def within(low, high):
    return lambda *_: (low, high)


def relu(low, high):
    return max(low, 0), max(high, 0)


def absolute(low, high):
    return (0 if low < 0 < high else min(abs(low), abs(high))), max(abs(low), abs(high))


def wide(low, high):
    """Activations that grow no faster than their operand."""
    return min(low, -2), max(high, 2)


EVERYWHERE = (-math.inf, math.inf)
UNARY = {
    "Relu": (NUMBERS, relu, EVERYWHERE, 3), "Abs": (NUMBERS, absolute, EVERYWHERE, 2), "Neg": (NUMBERS, lambda a, b: (-b, -a), EVERYWHERE, 2),
    "Sigmoid": (FLOATS, within(0, 1), EVERYWHERE, 3), "Tanh": (FLOATS, within(-1, 1), EVERYWHERE, 3), "Erf": (FLOATS, within(-1, 1), EVERYWHERE, 9),
    "Exp": (FLOATS, monotone(lambda v: math.exp(min(v, 20))), (-20, 8), 1), "Log": (FLOATS, monotone(math.log), (0.05, math.inf), 1),
    "Sqrt": (FLOATS, monotone(math.sqrt), (0.01, math.inf), 1), "Reciprocal": (FLOATS, lambda a, b: (1 / b, 1 / a), (0.05, math.inf), 1),
    "Sin": (FLOATS, within(-1, 1), (-100, 100), 7), "Cos": (FLOATS, within(-1, 1), (-100, 100), 7), "Tan": (FLOATS, monotone(math.tan), (-1.3, 1.3), 7),
    "Atan": (FLOATS, within(-1.6, 1.6), EVERYWHERE, 7), "Softplus": (FLOATS, lambda a, b: (0, max(b, 0) + 1), EVERYWHERE, 1),
    "Softsign": (FLOATS, within(-1, 1), EVERYWHERE, 1), "HardSwish": (FLOATS, lambda a, b: (-0.4, max(b, 1)), EVERYWHERE, 14),
    "Mish": (FLOATS, lambda a, b: (-0.4, max(b, 1)), EVERYWHERE, 18),
    "Asin": (FLOATS, within(-1.6, 1.6), (-0.95, 0.95), 7), "Acos": (FLOATS, within(0, 3.2), (-0.95, 0.95), 7),
    "Sinh": (FLOATS, monotone(math.sinh), (-6, 6), 9), "Cosh": (FLOATS, lambda a, b: (1, math.cosh(max(-a, b))), (-6, 6), 9),
    "Asinh": (FLOATS, wide, EVERYWHERE, 9), "Acosh": (FLOATS, lambda a, b: (0, b), (1.1, math.inf), 9),
    "Atanh": (FLOATS, within(-2, 2), (-0.95, 0.95), 9),
}
KEEPS_GRID = ("Relu", "Abs", "Neg")


def unary(name):
    takes, bounds, (least, most), since = UNARY[name]

    def make(g):
        allowed = [t for t in takes if not (name == "Neg" and t in dtypes.UNSIGNED)]
        x = g.pick(allowed, where=lambda v: v.dtype in INTS or (v.low >= least and v.high <= most))
        low, high = bounds(x.low, x.high)
        if name in KEEPS_GRID:
            return g.emit(name, [x], result(x.dtype, x.dims, low, high, x.grid))
        return g.emit(name, [x], result(x.dtype, x.dims, low, high))
    op(name, {"Relu": 3, "Sigmoid": 2, "Tanh": 2, "Neg": 2, "Abs": 2, "Sqrt": 1.5}.get(name, 1), since)(make)


for _name in UNARY:
    unary(_name)


# --- with attributes

def attribute(g, default, *others):
    """An attribute left to its default, or another value."""
    return None if g.chance(0.4) else g.pick_one((default,) + others)


@op("LeakyRelu")
def leaky_relu(g):
    x = g.pick()
    return g.emit("LeakyRelu", [x], result(x.dtype, x.dims, x.low, x.high), alpha=attribute(g, 0.01, 0.1, 0.5, 0.0))


@op("Elu")
def elu(g):
    x = g.pick()
    return g.emit("Elu", [x], result(x.dtype, x.dims, min(0, max(x.low, -2)), max(x.high, 0)), alpha=attribute(g, 1.0, 0.5, 2.0))


@op("Celu", since=12)
def celu(g):
    x = g.pick()
    return g.emit("Celu", [x], result(x.dtype, x.dims, -2, max(x.high, 0)), alpha=attribute(g, 1.0, 0.5, 2.0))


@op("Selu")
def selu(g):
    x = g.pick()
    return g.emit("Selu", [x], result(x.dtype, x.dims, -3.6, 1.1 * max(x.high, 0)), alpha=attribute(g, 1.5, 1.0), gamma=attribute(g, 1.0, 1.5))


@op("HardSigmoid")
def hard_sigmoid(g):
    x = g.pick()
    return g.emit("HardSigmoid", [x], result(x.dtype, x.dims, 0, 1), alpha=attribute(g, 0.2, 1 / 6, 0.5), beta=attribute(g, 0.5, 0.0, 0.25))


@op("ThresholdedRelu", since=10)
def thresholded_relu(g):
    x = g.pick()
    alpha = attribute(g, 1.0, 0.3, 0.0)
    return g.emit("ThresholdedRelu", [x], result(x.dtype, x.dims, 0, max(x.high, 0)), alpha=alpha)


@op("Shrink", since=9)
def shrink(g):
    x = g.pick()
    return g.emit("Shrink", [x], result(x.dtype, x.dims, *wide(x.low, x.high)), lambd=attribute(g, 0.5, 0.3, 1.1), bias=attribute(g, 0.0, 0.25, 0.5))


@op("Gelu", since=20)
def gelu(g):
    x = g.pick()
    return g.emit("Gelu", [x], result(x.dtype, x.dims, -0.2, max(x.high, 0)), approximate=attribute(g, "none", "tanh"))


@op("Swish", since=24)
def swish(g):
    x = g.pick()
    return g.emit("Swish", [x], result(x.dtype, x.dims, *wide(x.low, x.high)), alpha=attribute(g, 1.0, 1.7, 0.5))


@op("PRelu", since=1)
def prelu(g):
    x = g.pick(NUMBERS)
    if g.opset < 7:
        require(x.rank >= 2 and x.dims[1].fixed)
        slope = g.source(x.dtype, [x.dims[1]])
    else:
        slope = g.partner(x)
        require(sizes.broadcast(x.dims, slope.dims) == x.dims)
    bound = max(x.most, x.most * slope.most)
    return g.emit("PRelu", [x, slope], result(x.dtype, x.dims, -bound, bound))


# --- rounding and classes: results jump, so operands are mostly multiples of something

def gridded(g, dtypes=FLOATS):
    """A floating-point operand for an op that jumps: mostly one without rounding in its past."""
    fits = [v for v in g.values if v.dtype in dtypes and v.grid]
    if fits and g.chance(0.6):
        return g.pick_one(fits)
    if g.chance(0.1):
        return g.pick(dtypes)
    return g.source(g.new_dtype(dtypes), g.new_dims(g.pick_one([0, 1, 2, 3, 4])), -4, 4, 0.25)


def rounding(name):
    def make(g):
        x = gridded(g)
        return g.emit(name, [x], result(x.dtype, x.dims, x.low - 1, x.high + 1, 1))
    op(name, 0.7, {"Round": 11}.get(name, 1))(make)


for _name in ("Floor", "Ceil", "Round"):
    rounding(_name)


@op("Sign", 0.7, since=9)
def sign(g):
    x = gridded(g, NUMBERS)
    return g.emit("Sign", [x], result(x.dtype, x.dims, -1, 1, 1))


@op("IsNaN", 0.5, since=9)
def is_nan(g):
    x = g.pick()
    return g.emit("IsNaN", [x], result("bool", x.dims, 0, 1, 1))


@op("IsInf", 0.5, since=10)
def is_inf(g):
    x = g.pick()
    return g.emit("IsInf", [x], result("bool", x.dims, 0, 1, 1), detect_negative=attribute(g, 1, 0), detect_positive=attribute(g, 1, 0))


# --- two operands

def arithmetic_grid(x, y, low, high, dtype, grid):
    """The grid of a result if its elements are exact in the type, else None."""
    if not x.grid or not y.grid:
        return None
    steps = {"f64": 2**30, "f32": 2**18, "f16": 2**9, "bf16": 2**6}.get(dtype, 0)
    return grid if max(abs(low), abs(high)) / grid < steps else None


def spread(bounds):
    return min(bounds), max(bounds)


def bounds_of(name, x, y):
    """Bounds and grid of x op y."""
    if name == "Add":
        low, high, grid = x.low + y.low, x.high + y.high, min(x.grid or 0, y.grid or 0)
    elif name == "Sub":
        low, high, grid = x.low - y.high, x.high - y.low, min(x.grid or 0, y.grid or 0)
    else:
        low, high = spread([a * b for a in (x.low, x.high) for b in (y.low, y.high)])
        grid = (x.grid or 0) * (y.grid or 0)
    if x.dtype in INTS:
        return (*dtypes.integer_range(x.dtype), 1) if max(abs(low), abs(high)) > dtypes.integer_range(x.dtype)[1] else (low, high, 1)
    return low, high, arithmetic_grid(x, y, low, high, x.dtype, grid)


def legacy(g, x, y):
    """Attributes with which y broadcasts to x before opset 7, which allows it in this way alone."""
    if g.opset >= 7:
        return {}
    if x.dims == y.dims:
        return {}
    require(sizes.broadcast(x.dims, y.dims) == x.dims and y.rank <= x.rank)
    require(all(d.is_(1) or d == e for d, e in zip(y.dims[::-1], x.dims[::-1])))
    return {"broadcast": 1}


def binary(g, name, x, y, outcome):
    more = legacy(g, x, y)
    if not more and g.chance(0.3):
        x, y = y, x
    return g.emit(name, [x, y], outcome, **more)


def arithmetic(name, weight):
    def make(g):
        x = g.pick(NUMBERS)
        if g.chance(0.2):
            y = g.literal(g.pick_one([1, 2, 3, 0.5, 0.3, 0] if x.dtype in FLOATS else [0, 1, 2, 3]), x.dtype, g.pick_one([0, 0, min(1, x.rank)]))
        else:
            y = g.partner(x)
        more = legacy(g, x, y)
        if not more and g.chance(0.5):
            x, y = y, x
        low, high, grid = bounds_of(name, x, y)
        return g.emit(name, [x, y], result(x.dtype, sizes.broadcast(x.dims, y.dims), low, high, grid), **more)
    op(name, weight)(make)


for _name, _weight in {"Add": 5, "Sub": 3, "Mul": 5}.items():
    arithmetic(_name, _weight)


def divisor(g, x):
    """An operand whose elements are far from 0."""
    if x.dtype in INTS:
        g.tags.add("integer division")
        return g.partner(x, low=1, high=9, grid=1) if g.chance(0.8) or x.dtype in dtypes.UNSIGNED else g.partner(x, low=-7, high=-1, grid=1)
    fits = [v for v in g.values if v.dtype == x.dtype and v.low >= 0.2 and g.fits(x, v)]
    if fits and g.chance(0.5):
        return g.pick_one(fits)
    if g.chance(0.2):
        return g.literal(g.pick_one([2.0, 4.0, 3.0, 0.5, 8.0, 1.4142135]), x.dtype, g.pick_one([0, 1]))
    return g.partner(x, low=0.5, high=4, grid=None)


@op("Div", 3)
def div(g):
    x = g.pick(NUMBERS)
    y = divisor(g, x)
    more = legacy(g, x, y)
    most = x.most / (1 if x.dtype in INTS else min(abs(y.low), abs(y.high)))
    return g.emit("Div", [x, y], result(x.dtype, sizes.broadcast(x.dims, y.dims), -most, most, 1 if x.dtype in INTS else None), **more)


@op("Mod", since=10)
def mod(g):
    x = g.pick(INTS) if g.chance(0.7) else gridded(g)
    fmod = 1 if x.dtype in FLOATS or g.chance(0.4) else None
    if x.dtype in INTS:
        y = divisor(g, x)
    else:
        y = g.partner(x, low=1, high=3, grid=0.5)
    grid = 1 if x.dtype in INTS else 0.25 if x.grid else None
    return g.emit("Mod", [x, y], result(x.dtype, sizes.broadcast(x.dims, y.dims), -y.most, y.most, grid), fmod=fmod)


@op("Pow", 1.5)
def power(g):
    kind = g.random.random()
    if kind < 0.5:  # small powers, which have cheaper forms
        x = g.pick(NUMBERS, where=lambda v: v.most < 30)
        number = g.pick_one([2, 2, 2, 3, 1, 0, 4] + ([0.5] if x.low > 0.1 else []) + ([-1] if x.low > 0.1 and x.dtype in FLOATS else []))
        other = x.dtype if g.opset < 12 or g.chance(0.6) or x.dtype in INTS else g.pick_one(["i64", "i32", "f32"])
        if other in INTS or x.dtype in INTS:
            number = int(number)
        y = g.literal(number, other, g.pick_one([0, 0, 1]))
        most = max(x.most, 1) ** abs(number) if number >= 0 else 1 / x.low
        if x.dtype in INTS:
            return binary_result(g, "Pow", x, y, *dtypes.integer_range(x.dtype))
        return binary_result(g, "Pow", x, y, -most if x.low < 0 else 0, most)
    if kind < 0.6:
        x = g.pick(INTS)
        y = g.partner(x, low=0, high=4, grid=1)
        return binary_result(g, "Pow", x, y, *dtypes.integer_range(x.dtype))
    x = g.pick(FLOATS, where=lambda v: v.low >= 0.1 and v.high <= 8)
    y = g.partner(x, low=-2, high=2, grid=None)
    most = max(x.high, 1 / x.low) ** 2
    return binary_result(g, "Pow", x, y, 0, most)


def binary_result(g, name, x, y, low, high):
    grid = 1 if x.dtype in INTS else None
    return g.emit(name, [x, y], result(x.dtype, sizes.broadcast(x.dims, y.dims), low, high, grid), **legacy(g, x, y))


# --- any number of operands

def variadic(name, weight, since):
    def make(g):
        x = g.pick(NUMBERS)
        xs = [x] + [g.partner(x) for _ in range(g.pick_one([0, 1, 1, 1, 2, 3]))]
        if g.opset < 8:
            xs = [v for v in xs if v.dims == x.dims]
        g.random.shuffle(xs)
        dims = sizes.broadcast(*(v.dims for v in xs))
        require(dims is not None)
        low, high = min(v.low for v in xs), max(v.high for v in xs)
        grid = min((v.grid or 0 for v in xs)) or None
        if name in ("Max", "Min"):
            return g.emit(name, xs, result(x.dtype, dims, low, high, grid))
        if name == "Sum":
            low, high, grid = sum(v.low for v in xs), sum(v.high for v in xs), None
        if x.dtype in INTS:
            grid = 1
            if name == "Sum":
                low, high = dtypes.integer_range(x.dtype)
        return g.emit(name, xs, result(x.dtype, dims, low, high, grid if name != "Mean" or x.dtype in INTS else None))
    op(name, weight, since)(make)


for _name, _weight in {"Max": 2, "Min": 2, "Sum": 1, "Mean": 1}.items():
    variadic(_name, _weight, 6)


@op("Clip", 2, since=6)
def clip(g):
    x = g.pick(NUMBERS)
    low, high = sorted(g.pick_one([-3, -2, -1, -0.5, 0, 0, 0.5, 1, 2, 6]) for _ in range(2))
    if x.dtype in INTS:
        low, high = int(low), int(high)
    if x.dtype in dtypes.UNSIGNED:
        low, high = abs(low), abs(low) + abs(high)
    has_low, has_high = g.chance(0.8), g.chance(0.8)
    outcome = result(x.dtype, x.dims, max(x.low, low) if has_low else x.low, min(x.high, high) if has_high else x.high, x.grid and min(x.grid, 0.5))
    outcome.low, outcome.high = min(outcome.low, outcome.high, low), max(outcome.low, outcome.high, low if has_low else outcome.high)
    if x.dtype in INTS:
        outcome.grid = 1
    if g.opset < 11:
        require(x.dtype in FLOATS)
        return g.emit("Clip", [x], outcome, min=float(low) if has_low else None, max=float(high) if has_high else None)
    bounds = [g.literal(low, x.dtype) if has_low else None, g.literal(high, x.dtype) if has_high else None]
    return g.emit("Clip", [x] + bounds, outcome)


# --- comparisons, logic, bits

def comparison(name):
    def make(g):
        x = gridded(g, NUMBERS + (("bool",) if name == "Equal" else ()))
        if x.dtype in FLOATS:
            fits = [v for v in g.values if v.dtype == x.dtype and v.grid and g.fits(x, v)]
            y = g.pick_one(fits) if fits and g.chance(0.5) else g.literal(g.pick_one([0, 0.5, 1, -1, 0.3]), x.dtype, g.pick_one([0, 1])) \
                if g.chance(0.4) else g.partner(x, low=-3, high=3, grid=0.25)
        else:
            y = g.partner(x)
        return g.emit(name, [x, y], result("bool", sizes.broadcast(x.dims, y.dims), 0, 1, 1), **legacy(g, x, y))
    op(name, 0.8, {"LessOrEqual": 12, "GreaterOrEqual": 12}.get(name, 1))(make)


for _name in ("Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"):
    comparison(_name)


def logical(name):
    def make(g):
        x = g.pick(("bool",), fresh=0.2)
        y = g.partner(x)
        return g.emit(name, [x, y], result("bool", sizes.broadcast(x.dims, y.dims), 0, 1, 1), **legacy(g, x, y))
    op(name, 0.5)(make)


for _name in ("And", "Or", "Xor"):
    logical(_name)


@op("Not", 0.5)
def logical_not(g):
    x = g.pick(("bool",), fresh=0.2)
    return g.emit("Not", [x], result("bool", x.dims, 0, 1, 1))


def bitwise(name):
    def make(g):
        x = g.pick(INTS)
        y = g.partner(x)
        return g.emit(name, [x, y], result(x.dtype, sizes.broadcast(x.dims, y.dims), *dtypes.integer_range(x.dtype), 1))
    op(name, 0.4, 18)(make)


for _name in ("BitwiseAnd", "BitwiseOr", "BitwiseXor"):
    bitwise(_name)


@op("BitShift", 0.5, since=11)
def bit_shift(g):
    x = g.pick(dtypes.UNSIGNED)
    y = g.partner(x, low=0, high=dtypes.NUMPY[x.dtype].itemsize * 8 + 1, grid=1)
    return g.emit("BitShift", [x, y], result(x.dtype, sizes.broadcast(x.dims, y.dims), *dtypes.integer_range(x.dtype), 1), direction=g.pick_one(["LEFT", "RIGHT"]))


@op("BitCast", 0.5, since=26)
def bit_cast(g):
    """To integers: the bits of a number without rounding in its past."""
    x = gridded(g, dtypes.NUMBERS)
    require(x.dtype in INTS or x.grid)
    to = g.pick_one([t for t in INTS if dtypes.NUMPY[t].itemsize == dtypes.NUMPY[x.dtype].itemsize and t != x.dtype])
    return g.emit("BitCast", [x], result(to, x.dims, *dtypes.integer_range(to), 1), to=dtypes.ONNX[to])


@op("SwiGLU", 1, since=28)
def swiglu(g):
    x = g.pick()
    y = g.partner(x)
    most = x.most * y.most
    return g.emit("SwiGLU", [x, y], result(x.dtype, sizes.broadcast(x.dims, y.dims), -most, most), alpha=attribute(g, 1.0, 0.5, 2.0))


@op("BitwiseNot", 0.4, since=18)
def bitwise_not(g):
    x = g.pick(INTS)
    return g.emit("BitwiseNot", [x], result(x.dtype, x.dims, *dtypes.integer_range(x.dtype), 1))


@op("Where", 2.5, since=9)
def where(g):
    condition = g.pick(("bool",), fresh=0.2)
    x = g.partner(condition, g.new_dtype())
    y = g.partner(x)
    dims = sizes.broadcast(condition.dims, x.dims, y.dims)
    require(dims is not None)
    return g.emit("Where", [condition, x, y], result(x.dtype, dims, min(x.low, y.low), max(x.high, y.high), min(x.grid or 0, y.grid or 0) or None))


# --- conversions

def converted(g, x, to):
    """Bounds and grid of x as another type."""
    low, high, grid = x.low, x.high, x.grid
    if to == "bool":
        return 0, 1, 1
    if to in INTS:
        least, most = dtypes.integer_range(to)
        if x.dtype in FLOATS and (low < least or high > most):
            g.tags.add("saturating cast")
        return (low, high, 1) if least <= low and high <= most else (least, most, 1)
    require(max(abs(low), abs(high)) <= dtypes.LARGEST[to])
    steps = {"f64": 2**30, "f32": 2**20, "f16": 2**10, "bf16": 2**7}[to]
    return low, high, grid if grid and x.most / grid < steps else None


@op("Cast", 4, since=6)
def cast(g):
    x = g.pick(dtypes.ANY)
    to = g.new_dtype() if g.chance(0.5) else g.pick_one(dtypes.ANY)
    if x.dtype in FLOATS and to not in FLOATS and g.chance(0.9):
        x = gridded(g)
    low, high, grid = converted(g, x, to)
    return g.emit("Cast", [x], result(to, x.dims, low, high, grid), to=dtypes.ONNX[to])


@op("CastLike", 0.6, since=15)
def cast_like(g):
    x = g.pick(dtypes.ANY)
    like = g.pick(dtypes.ANY)
    if x.dtype in FLOATS and like.dtype not in FLOATS:
        x = gridded(g)
    low, high, grid = converted(g, x, like.dtype)
    return g.emit("CastLike", [x, like], result(like.dtype, x.dims, low, high, grid))


@op("Identity", 0.5)
def identity(g):
    x = g.pick(dtypes.ANY)
    return g.emit("Identity", [x], x)


@op("Dropout", 0.4, since=7)
def dropout(g):
    x = g.pick()
    mask = result("bool" if g.opset >= 10 else x.dtype, x.dims, 1, 1, 1) if g.chance(0.4) else None
    outputs = [result(x.dtype, x.dims, x.low, x.high, x.grid)] + ([mask] if mask else [])
    if g.opset < 12:
        return g.node("Dropout", [x], outputs, ratio=attribute(g, 0.5, 0.1))
    ratio = g.literal(0.3, "f32") if g.chance(0.5) else None
    training = g.literal(0, "bool") if g.chance(0.5) else None
    return g.node("Dropout", [x, ratio, training], outputs)
