"""Chains of operators that passes look for, as exporters spell them, and chains that nearly are: rewrites break at their edges."""
import dataclasses
import math
import typing

from . import dtypes, sizes
from .grammar.elementwise import converted
from .grammar.movement import like, shape_operand
from .grammar.norm import BIAS, SCALE
from .grammar.products import weights
from .grammar.window import image
from .graph import Graph, Value, require, result
from .sizes import Dim, elements, product


@dataclasses.dataclass
class Pattern:
    make: typing.Callable
    weight: float


PATTERNS = []
FLOATS = ("f32",) * 10 + dtypes.FLOATS


def pattern(weight=1.0):
    def register(make):
        PATTERNS.append(Pattern(make, weight))
        return make
    return register


def number(g, n, x):
    return g.literal(n, x.dtype, g.pick_one([0, 0, 0, 1]))


def apply(g: Graph, op: str, *inputs: Value, low=None, high=None, dims=None, **attributes):
    """An elementwise node; operands of commutative ops in any order. Bounds default to those of the first operand."""
    dims = dims if dims is not None else sizes.broadcast(*(v.dims for v in inputs))
    require(dims is not None)
    inputs = list(inputs)
    x = inputs[0]
    if op in ("Add", "Mul") and g.chance(0.4):
        inputs.reverse()
    return g.emit(op, inputs, result(x.dtype, dims, x.low if low is None else low, x.high if high is None else high), **attributes)


def reduce_mean(g, x, axis, keep=1):
    dims = [Dim.of(1) if i == axis else d for i, d in enumerate(x.dims) if keep or i != axis]
    axis = axis - x.rank if g.chance(0.6) else axis
    more = {} if g.opset >= 18 else {"axes": [axis]}
    inputs = [x, g.ints([axis])] if g.opset >= 18 else [x]
    return g.emit("ReduceMean", inputs, result(x.dtype, dims, x.low, x.high), keepdims=keep if not keep or g.chance(0.5) else None, **more)


def over_axis(g, op, x, axis, low, high, since):
    """A reduction along one axis, which is an operand from opset `since` on."""
    dims = [Dim.of(1) if i == axis else d for i, d in enumerate(x.dims)]
    inputs, more = ([x, g.ints([axis])], {}) if g.opset >= since else ([x], {"axes": [axis]})
    return g.emit(op, inputs, result(x.dtype, dims, low, high), **more)


def square(g, x):
    if g.chance(0.5):
        return apply(g, "Mul", x, x, low=0, high=x.most**2)
    return apply(g, "Pow", x, number(g, 2, x), low=0, high=x.most**2)


def transpose(g, x, perm):
    return g.emit("Transpose", [x], like(x, [x.dims[p] for p in perm]), perm=perm)


def reshape(g, x, dims, spelled=None):
    require(all(d.least > 0 for d in x.dims))
    return g.emit("Reshape", [x, shape_operand(g, spelled or list(dims))], like(x, dims))


def activation(g, x):
    """Something that is put behind a product or a convolution."""
    kind = g.pick_one(["Relu", "Relu", "Sigmoid", "Tanh", "LeakyRelu", "Clip", "silu", "HardSwish", "none"])
    if kind == "none" or kind == "HardSwish" and g.opset < 14:
        return x
    if kind == "silu":
        return apply(g, "Mul", x, apply(g, "Sigmoid", x, low=0, high=1))
    if kind == "Clip":
        if g.opset < 11:
            return apply(g, "Clip", x, low=0, high=6, min=0.0, max=6.0)
        return g.emit("Clip", [x, g.literal(0, x.dtype), g.literal(6, x.dtype)], result(x.dtype, x.dims, 0, 6))
    bounds = {"Relu": (0, max(x.high, 0)), "Sigmoid": (0, 1), "Tanh": (-1, 1)}.get(kind, (min(x.low, -0.4), max(x.high, 1)))
    return apply(g, kind, x, low=bounds[0], high=bounds[1])


@pattern(2)
def spelled_layer_norm(g):
    x = g.pick(FLOATS, rank=(1, 4), where=lambda v: all(d.least > 0 for d in v.dims) and v.dims[-1].least > 2)
    axis = x.rank - 1
    other = g.random.randrange(x.rank) if g.chance(0.15) else axis  # not a layer norm where it differs
    mean = reduce_mean(g, x, other)
    centred = apply(g, "Sub", x, mean, low=x.low - x.high, high=x.high - x.low)
    variance = reduce_mean(g, square(g, centred), axis)
    if g.chance(0.9):
        variance = apply(g, "Add", variance, number(g, g.pick_one([1e-5, 1e-3, 1e-2]), x))
    else:
        require(x.dims[-1].least > 4)
    most = 2 * math.sqrt(elements(x.dims)) + 1
    root = apply(g, "Sqrt", variance, low=0.003, high=variance.most)
    if g.chance(0.7):
        y = apply(g, "Div", centred, root, low=-most, high=most)
    else:
        y = apply(g, "Mul", centred, apply(g, "Reciprocal", root, low=0, high=300), low=-most, high=most)
    return affine(g, y, [x.dims[-1]])


def affine(g, y, dims):
    if g.chance(0.8):
        y = apply(g, "Mul", y, weights(g, y.dtype, dims, **SCALE), low=1.5 * y.low, high=1.5 * y.high)
    if g.chance(0.7):
        y = apply(g, "Add", y, weights(g, y.dtype, dims, **BIAS), low=y.low - 1, high=y.high + 1)
    return y


@pattern(1.5)
def spelled_rms_norm(g):
    x = g.pick(FLOATS, rank=(1, 4), where=lambda v: all(d.least > 0 for d in v.dims))
    mean = apply(g, "Add", reduce_mean(g, square(g, x), x.rank - 1), number(g, g.pick_one([1e-5, 1e-2]), x))
    most = 2 * math.sqrt(elements(x.dims)) + 1
    root = apply(g, "Sqrt", mean, low=0.003, high=mean.most)
    kind = g.random.random()
    if kind < 0.4:
        y = apply(g, "Div", x, root, low=-most, high=most)
    else:
        if kind < 0.7:
            inverse = apply(g, "Reciprocal", root, low=0, high=300)
        else:
            inverse = g.emit("Div", [g.literal(1, x.dtype), root], result(x.dtype, root.dims, 0, 300))
        y = apply(g, "Mul", x, inverse, low=-most, high=most)
    return affine(g, y, [x.dims[-1]])


@pattern(1.5)
def spelled_gelu(g):
    x = g.pick(FLOATS, where=lambda v: v.most < 1e3)
    require(g.opset >= 9)
    near = g.chance(0.15)  # constants that are no gelu's
    root = g.pick_one([1.4155, 1.40, 1.0]) if near else g.pick_one([math.sqrt(2), 1.4142, 1.41421354])
    inner = apply(g, "Div", x, number(g, root, x)) if g.chance(0.5) else apply(g, "Mul", x, number(g, 1 / root, x))
    gate = apply(g, "Add", apply(g, "Erf", inner, low=-1, high=1), number(g, 1, x), low=0, high=2)
    half = number(g, 0.5004 if near and g.chance(0.5) else 0.5, x)
    kind = g.random.random()
    if kind < 0.4:
        return apply(g, "Mul", apply(g, "Mul", x, gate, low=-2 * x.most, high=2 * x.most), half)
    if kind < 0.7:
        return apply(g, "Mul", apply(g, "Mul", x, half), gate, low=-x.most, high=x.most)
    return apply(g, "Mul", x, apply(g, "Mul", gate, half), low=-x.most, high=x.most)


@pattern(1)
def spelled_tanh_gelu(g):
    x = g.pick(FLOATS, where=lambda v: v.most < 8)
    cube = x.most**3
    three = apply(g, "Pow", x, number(g, 3, x), low=-cube, high=cube) if g.chance(0.6) else apply(g, "Mul", square(g, x), x, low=-cube, high=cube)
    cubic = apply(g, "Mul", three, number(g, g.pick_one([0.044715, 0.044715, 0.0447]), x))
    total = apply(g, "Add", x, cubic, low=-x.most - 25, high=x.most + 25)
    inner = apply(g, "Mul", total, number(g, g.pick_one([0.797884583, 0.7978845608028654]), x))
    gate = apply(g, "Add", apply(g, "Tanh", inner, low=-1, high=1), number(g, 1, x), low=0, high=2)
    return apply(g, "Mul", apply(g, "Mul", x, number(g, 0.5, x)), gate, low=-x.most, high=x.most)


@pattern(1)
def spelled_swish(g):
    """x * sigmoid(x), x * clip(x + 3, 0, 6) / 6, and the same of another x."""
    x = g.pick(FLOATS, where=lambda v: v.most < 1e3)
    y = x if g.chance(0.85) else g.same(x, low=-2, high=2)
    if g.chance(0.5):
        return apply(g, "Mul", apply(g, "Sigmoid", x, low=0, high=1), y, low=-y.most, high=y.most)
    shifted = apply(g, "Add", x, number(g, 3, x))
    if g.opset >= 11 and g.chance(0.5):
        clipped = g.emit("Clip", [shifted, g.literal(0, x.dtype), g.literal(6, x.dtype)], result(x.dtype, x.dims, 0, 6))
    else:
        require(g.opset >= 8)
        clipped = apply(g, "Min", apply(g, "Max", shifted, number(g, 0, x), low=0, high=max(shifted.high, 0)), number(g, 6, x), low=0, high=6)
    if g.chance(0.5):
        return apply(g, "Div", apply(g, "Mul", y, clipped, low=-6 * y.most, high=6 * y.most), number(g, 6, x), low=-y.most, high=y.most)
    gate = apply(g, "Mul", clipped, number(g, g.pick_one([1 / 6, 1 / 6, 0.1667]), x), low=0, high=1)
    return apply(g, "Mul", y, gate, low=-y.most, high=y.most)


@pattern(1)
def spelled_softmax(g):
    x = g.pick(FLOATS, rank=(1, 4), where=lambda v: v.most < 20 and all(d.least > 0 for d in v.dims))
    axis = g.random.randrange(x.rank)
    most = over_axis(g, "ReduceMax", x, axis, x.low, x.high, 18)
    power = apply(g, "Exp", apply(g, "Sub", x, most, low=x.low - x.high, high=0), low=0, high=1)
    total = over_axis(g, "ReduceSum", power, axis, 1, x.dims[axis].most, 13)
    return apply(g, "Div", power, total, low=0, high=1)


@pattern(2.5)
def spelled_attention(g):
    """softmax(q k^T scale + mask) v with heads split and joined by reshapes, or on three or four dims."""
    dtype = g.pick_one(FLOATS)
    batch, length = (Dim.of(g.pick_one([1, 1, 2, 3])) if g.chance(0.5) else g.new_dim() for _ in range(2))
    keys = length if g.chance(0.6) else g.new_dim()
    heads, width = g.pick_one([1, 2, 3]), g.pick_one([4, 8, 8, 16, 5])
    require(all(0 < d.least and d.most <= 40 for d in (batch, length, keys)) and batch.most * heads * length.most * keys.most <= 12000)

    def split(size, transposed=False):
        if g.chance(0.5):
            x = g.source(dtype, (batch, size, Dim.of(heads * width)), -2, 2)
            if g.chance(0.4):
                w = g.source(dtype, (Dim.of(heads * width),) * 2, -0.5, 0.5, constant=True)
                x = g.emit("MatMul", [x, w], result(dtype, x.dims, -4, 4))
            x = reshape(g, x, (batch, size, Dim.of(heads), Dim.of(width)), [0, 0, heads, width] if g.chance(0.5) else None)
            return transpose(g, x, (0, 2, 3, 1) if transposed else (0, 2, 1, 3))
        x = g.source(dtype, (batch, Dim.of(heads), size, Dim.of(width)), -2, 2)
        return transpose(g, x, (0, 1, 3, 2)) if transposed else x
    q, k, v = split(length), split(keys, True), split(keys)
    scale = g.pick_one([1 / math.sqrt(width), 0.125, 0.5])
    before = g.chance(0.3)
    if before:
        q = apply(g, "Mul", q, number(g, math.sqrt(scale), q))
        if g.chance(0.7):
            k = apply(g, "Mul", k, number(g, math.sqrt(scale), k))
    scores = g.emit("MatMul", [q, k], result(dtype, (batch, Dim.of(heads), length, keys), -30, 30))
    if not before and g.chance(0.8):
        scores = apply(g, "Mul", scores, number(g, scale, q)) if g.chance(0.5) else apply(g, "Div", scores, number(g, 1 / scale, q), low=-30, high=30)
    if g.chance(0.5):
        one = Dim.of(1)
        shape = g.pick_one([(batch, one, one, keys), (length, keys), (one, one, length, keys), (batch, Dim.of(heads), length, keys), (keys,)])
        if g.chance(0.7) or g.opset < 9:
            scores = apply(g, "Add", scores, g.source(dtype, shape, -3, 3))
        else:
            scores = g.emit("Where", [g.source("bool", shape), scores, g.literal(-1e4, dtype)], result(dtype, scores.dims, -1e4, 30))
    axis = g.pick_one([-1, 3, 3]) if g.chance(0.9) else 2
    probabilities = g.emit("Softmax", [scores], result(dtype, scores.dims, 0, 1), axis=axis)
    if g.opset < 13:
        require(axis != 2)
    y = g.emit("MatMul", [probabilities, v], result(dtype, (batch, Dim.of(heads), length, Dim.of(width)), -4, 4))
    if g.chance(0.6):
        y = reshape(g, transpose(g, y, (0, 2, 1, 3)), (batch, length, Dim.of(heads * width)), [0, 0, heads * width] if g.chance(0.6) else None)
    return y


def convolution(g, x, outputs, kernel, **more):
    """x convolved at stride 1 to the same spatial dims (odd kernels)."""
    channels = x.dims[1].fixed
    require(channels and elements(x.dims) // channels * outputs * channels * kernel**2 <= g.work)
    w = g.source(x.dtype, [Dim.of(outputs), Dim.of(channels)] + [Dim.of(kernel)] * (x.rank - 2), -0.5, 0.5, constant=g.chance(0.85))
    bias = g.source(x.dtype, [Dim.of(outputs)], -1, 1, constant=True) if g.chance(0.5) else None
    most = 2 * x.most * math.sqrt(channels * kernel ** (x.rank - 2)) + 1
    pads = [kernel // 2] * (2 * (x.rank - 2))
    outcome = result(x.dtype, (x.dims[0], Dim.of(outputs)) + x.dims[2:], -most, most)
    return g.emit("Conv", [x, w, bias], outcome, pads=pads if any(pads) else None, **more)


def batch_norm(g, x):
    channels = [x.dims[1]]
    params = [g.source(x.dtype, channels, *b, constant=True) for b in ((0.5, 1.5), (-1, 1), (-1, 1), (0.5, 2))]
    return g.emit("BatchNormalization", [x] + params, result(x.dtype, x.dims, -3 * x.most - 3, 3 * x.most + 3))


@pattern(3)
def conv_block(g):
    """Convolution, normalisation or scale and shift per channel, residual, activation."""
    x = image(g)
    y = convolution(g, x, g.pick_one([x.dims[1].fixed or 3, 3, 8, 16]), g.pick_one([1, 3, 3]))
    if g.chance(0.4) and g.opset >= 7:
        y = batch_norm(g, y)
    if g.chance(0.3) and g.opset >= 7:
        per_channel = [y.dims[1]] + [Dim.of(1)] * (y.rank - 2)
        y = apply(g, g.pick_one(["Add", "Mul"]), y, g.source(y.dtype, per_channel, -1, 1, constant=g.chance(0.8)), low=y.low - 1, high=y.high + 1)
    if y.dims == x.dims and g.chance(0.6):
        y = apply(g, "Add", y, x, low=y.low + x.low, high=y.high + x.high)
    return activation(g, y)


@pattern(1)
def squeeze_excite(g):
    x = image(g)
    require(g.opset >= 7 and x.dims[1].fixed)
    y = activation(g, convolution(g, x, x.dims[1].fixed, 1))
    gate = g.emit("GlobalAveragePool", [y], result(y.dtype, y.dims[:2] + (Dim.of(1),) * (y.rank - 2), y.low, y.high))
    if g.chance(0.3):
        gate = g.emit("Flatten", [gate], like(gate, [gate.dims[0], product(gate.dims[1:])]))
        gate = reshape(g, gate, y.dims[:2] + (Dim.of(1),) * (y.rank - 2), None)
    gate = activation(g, convolution(g, gate, g.pick_one([1, 2, 4]), 1))
    gate = apply(g, "Sigmoid", convolution(g, gate, x.dims[1].fixed, 1), low=0, high=1)
    return apply(g, "Mul", y, gate)


@pattern(1.5)
def pad_then_window(g):
    x = image(g)
    require(x.dtype in dtypes.FLOATS and g.opset >= 2)
    spatial = x.rank - 2
    pads = [0, 0] + [g.pick_one([0, 1, 1, 2]) for _ in range(spatial)] + [0, 0] + [g.pick_one([0, 1, 1, 2]) for _ in range(spatial)]
    if g.chance(0.1):
        pads[0] = 1
    dims = [sizes.derive(lambda s: s + pads[i] + pads[i + x.rank], d) for i, d in enumerate(x.dims)]
    value = g.pick_one([0.0, 0.0, 0.0, 1.0])
    outcome = result(x.dtype, dims, min(x.low, 0), max(x.high, 1))
    if g.opset < 11:
        y = g.emit("Pad", [x], outcome, pads=pads, value=value)
    else:
        y = g.emit("Pad", [x, g.ints(pads), g.literal(value, x.dtype) if value else None], outcome)
    if g.chance(0.6):
        return activation(g, convolution(g, y, g.pick_one([3, 8]), g.pick_one([1, 3])))
    require(all(d.least >= 2 for d in dims[2:]))
    pooled = [sizes.derive(lambda s: (s - 2) // 2 + 1, d) for d in dims[2:]]
    outcome = result(x.dtype, dims[:2] + pooled, y.low, y.high)
    return g.emit(g.pick_one(["MaxPool", "AveragePool"]), [y], outcome, kernel_shape=[2] * spatial, strides=[2] * spatial)


@pattern(1.5)
def product_block(g):
    """Product with weights, bias, residual, activation: over a matrix or over more dims."""
    x = g.pick(FLOATS, rank=(2, 4), where=lambda v: v.most < 1e3)
    n = g.pick_one([x.dims[-1].fixed or 8, 8, 16, 17, 5])
    require(elements(x.dims) * n <= g.work)
    w = g.source(x.dtype, [x.dims[-1], Dim.of(n)], -0.5, 0.5)
    if g.chance(0.2):
        w = transpose(g, g.source(x.dtype, [Dim.of(n), x.dims[-1]], -0.5, 0.5), (1, 0))
    most = 2 * x.most * math.sqrt(x.dims[-1].most + 1)
    y = g.emit("MatMul", [x, w], result(x.dtype, x.dims[:-1] + (Dim.of(n),), -most, most))
    if g.chance(0.7):
        y = apply(g, "Add", y, g.source(x.dtype, [Dim.of(n)], -1, 1), low=-most - 1, high=most + 1)
    if y.dims == x.dims and g.chance(0.4):
        y = apply(g, "Add", y, x, low=y.low + x.low, high=y.high + x.high)
    return activation(g, y)


@pattern(1)
def two_products(g):
    """The sum of two products of one operand; or a product and something of it that cannot join it."""
    x = g.pick(FLOATS, rank=(2, 3), where=lambda v: v.most < 1e3)
    n = Dim.of(g.pick_one([4, 8, 5]))
    require(elements(x.dims) * 8 <= g.work)
    most = 2 * x.most * math.sqrt(x.dims[-1].most + 1)
    a, b = (g.emit("MatMul", [x, g.source(x.dtype, [x.dims[-1], n], -0.5, 0.5)], result(x.dtype, x.dims[:-1] + (n,), -most, most)) for _ in range(2))
    if g.chance(0.5):
        b = g.emit("Softmax", [a], result(x.dtype, a.dims, 0, 1), axis=-1 if g.opset >= 13 else a.rank - 1)
    return activation(g, apply(g, "Add", a, b, low=-2 * most, high=2 * most))


@pattern(1)
def cast_chain(g):
    x = g.pick(dtypes.ANY, where=lambda v: v.dtype in dtypes.INTS or v.dtype == "bool" or v.most < 1e3)
    for _ in range(g.pick_one([2, 2, 3])):
        to = g.pick_one(dtypes.ANY)
        require(x.dtype not in dtypes.FLOATS or to in dtypes.FLOATS or x.grid)
        low, high, grid = converted(g, x, to)
        x = g.emit("Cast", [x], result(to, x.dims, low, high, grid), to=dtypes.ONNX[to])
    return x


@pattern(1.5)
def views_of_views(g):
    """Transposes and reshapes that merge, cancel or undo each other."""
    x = g.pick(dtypes.ANY, rank=(2, 4), where=lambda v: all(d.least > 0 for d in v.dims))
    for _ in range(g.pick_one([2, 3, 4])):
        kind = g.random.random()
        if kind < 0.5 or x.rank < 2:
            perm = list(range(x.rank))
            g.random.shuffle(perm)
            x = transpose(g, x, perm)
        elif kind < 0.75:
            at = g.random.randrange(x.rank - 1)
            x = reshape(g, x, x.dims[:at] + (product(x.dims[at:at + 2]),) + x.dims[at + 2:])
        else:
            at = g.random.randint(0, x.rank)
            x = reshape(g, x, x.dims[:at] + (Dim.of(1),) + x.dims[at:])
    return x


@pattern(1)
def cancelled_transposes(g):
    """Channels-last work between two transposes."""
    x = g.pick(FLOATS, rank=4)
    there, back = g.pick_one([((0, 2, 3, 1), (0, 3, 1, 2)), ((0, 2, 1, 3), (0, 2, 1, 3)), ((0, 2, 3, 1), (0, 2, 3, 1))])
    y = activation(g, transpose(g, x, there))
    if g.chance(0.6) and g.opset >= 7:
        y = apply(g, "Mul", y, weights(g, y.dtype, [y.dims[-1]], **SCALE), low=1.5 * y.low - 1, high=1.5 * y.high + 1)
    return transpose(g, y, back)


# --- numbers as bytes. Scales are powers of two and sums are small, so that integers and floating point agree to the bit.

def quantized(g, x, dtype, scale, zero):
    return g.emit("QuantizeLinear", [x, g.literal(scale, "f32"), g.literal(zero, dtype)], result(dtype, x.dims, *dtypes.integer_range(dtype), 1))


def dequantized(g, x, scale, zero):
    most = 300 * scale
    return g.emit("DequantizeLinear", [x, g.literal(scale, "f32"), None if zero is None else g.literal(zero, x.dtype)], result("f32", x.dims, -most, most, scale))


def dequantized_weights(g, dims, axis):
    """Weights of one scale, or of one for each position along an axis; zero points are 0 or 128, some others."""
    dtype = g.pick_one(["i8", "i8", "i8", "u8"])
    zero = g.pick_one([0, 0, 0, 3] if dtype == "i8" else [128, 128, 0, 5])
    w = g.source(dtype, dims, low=zero - 9 if dtype == "i8" else max(zero - 9, 0), high=zero + 9, grid=1, constant=True)
    if g.opset >= 13 and g.chance(0.5):
        scale = g.source("f32", [dims[axis]], 0.25, 0.5, 0.25, constant=True)
        zeros = g.source(dtype, [dims[axis]], zero, zero, 1, constant=True) if g.chance(0.5) or zero else None
        return g.emit("DequantizeLinear", [w, scale, zeros], result("f32", dims, -60, 60, 0.25), axis=axis)
    return dequantized(g, w, g.pick_one([0.25, 0.5, 1]), zero if zero or g.chance(0.5) else None)


def quantized_product(g, x):
    """A convolution, full, grouped or depthwise, or a matrix product of dequantised operands, with a bias."""
    bias = None
    if x.rank == 4:
        channels, kernel = x.dims[1].fixed, g.pick_one([1, 1, 3, 3, 5])
        groups = g.pick_one([1, 1, channels, channels, 2 if channels % 2 == 0 else 1])
        outputs = channels if groups == channels else groups * g.pick_one([2, 4, 9, 16])
        require(elements(x.dims) * outputs // groups * kernel**2 <= g.work)
        w = dequantized_weights(g, [Dim.of(outputs), Dim.of(channels // groups), Dim.of(kernel), Dim.of(kernel)], 0)
        dims = (x.dims[0], Dim.of(outputs)) + x.dims[2:]
        if g.chance(0.6):
            bias = g.source("f32", [Dim.of(outputs)], -8, 8, 0.25, constant=True)
        more = {"pads": [kernel // 2] * 4, "group": groups}
        return g.emit("Conv", [x, w, bias], result("f32", dims, -1e5, 1e5, 0.0625), **more)
    n = Dim.of(g.pick_one([4, 8, 17, 32]))
    require(elements(x.dims) * n.fixed <= g.work)
    if g.chance(0.4):
        w = transpose(g, dequantized_weights(g, [n, x.dims[-1]], 0), (1, 0))
    else:
        w = dequantized_weights(g, [x.dims[-1], n], 1)
    y = g.emit("MatMul", [x, w], result("f32", x.dims[:-1] + (n,), -1e5, 1e5, 0.0625))
    if g.chance(0.6):
        y = g.emit("Add", [y, g.source("f32", [n], -8, 8, 0.25, constant=True)], result("f32", y.dims, -1e5, 1e5, 0.0625))
    return y


def moved(g, x):
    kind = g.pick_one(["transpose", "pool", "concat", "relu", "reshape"])
    if kind == "transpose":
        perm = list(range(x.rank))
        g.random.shuffle(perm)
        return transpose(g, x, perm)
    if kind == "pool" and x.rank == 4:
        return g.emit("MaxPool", [x], like(x, x.dims), kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    if kind == "concat":
        return g.emit("Concat", [x, x], like(x, x.dims[:-1] + (sizes.derive(lambda s: 2 * s, x.dims[-1]),)), axis=x.rank - 1)
    if kind == "reshape" and x.rank > 2:
        return reshape(g, x, (product(x.dims[:-1]), x.dims[-1]))
    return apply(g, "Relu", x, low=0, high=x.high)


@pattern(4)
def quantized_chain(g):
    """Steps between bytes and bytes, as exports with QuantizeLinear and DequantizeLinear nodes have them."""
    require(g.opset >= 11)
    channels = Dim.of(g.pick_one([3, 4, 6, 8, 12, 16, 20, 32]))
    dims = [g.new_dim(), channels, g.new_dim(), g.new_dim()] if g.chance(0.6) else list(g.new_dims(g.pick_one([1, 1, 2]))) + [channels]
    require(all(0 < d.least and d.most <= 24 for d in dims if d is not channels))
    dtype = g.pick_one(["u8", "u8", "i8"])
    scale, zero = g.pick_one([0.25, 0.5, 1]), g.pick_one([0, 0, 7, 128 if dtype == "u8" else -128])
    bytes_ = g.source(dtype, dims, low=0, high=20, grid=1)
    for _ in range(g.pick_one([1, 2, 2, 3])):
        x = dequantized(g, bytes_, scale, zero)
        kind = g.random.random()
        if kind < 0.6 and (x.rank != 4 or x.dims[1].fixed):
            y = quantized_product(g, x)
            if y.dims == x.dims and g.chance(0.4):
                y = apply(g, "Add", y, x, low=-1e5, high=1e5)
            if g.chance(0.5):
                y = apply(g, "Relu", y, low=0, high=1e5)
            elif g.chance(0.3):
                y = g.emit("Clip", [y, g.literal(0, "f32"), g.literal(6, "f32")], result("f32", y.dims, 0, 6, 0.0625))
        elif kind < 0.75:
            y = apply(g, g.pick_one(["Add", "Sub"]), x, dequantized(g, g.source(dtype, x.dims, low=0, high=20, grid=1), 0.5, zero), low=-1e3, high=1e3)
        else:
            y = moved(g, x)
        if kind < 0.75 or g.chance(0.3):
            scale, zero = g.pick_one([0.5, 1, 4]), g.pick_one([0, 0, 7, zero])
        bytes_ = quantized(g, y, dtype, scale, zero)
    return dequantized(g, bytes_, scale, zero) if g.chance(0.5) else bytes_


@pattern(2)
def quantized_by_range(g):
    """Products of one tensor that is quantized by its range, as dynamic quantization writes them."""
    require(g.opset >= 11)
    x = g.source("f32", list(g.new_dims(g.pick_one([1, 2]))) + [Dim.of(g.pick_one([5, 8, 12, 64, 64, 128]))], -4, 4, 0.25)
    depth = x.dims[-1]
    require(elements(x.dims) > 0)
    outcomes = [result("u8", x.dims, 0, 255, 1), result("f32", [], 0, 1), result("u8", [], 0, 255, 1)]
    bytes_, scale, zero = g.node("DynamicQuantizeLinear", [x], outcomes)
    y = None
    for _ in range(g.pick_one([1, 2, 3])):
        n = Dim.of(g.pick_one([3, 16, 17, 40]))
        require(elements(x.dims) * n.fixed <= g.work)
        dtype = g.pick_one(["i8", "i8", "u8"])
        w = g.source(dtype, [depth, n], -9 if dtype == "i8" else 0, 12, 1, constant=True)
        own = g.source(dtype, g.pick_one([[], [n]]), 0, 5, 1, constant=True) if g.chance(0.5) else None
        most = 255 * 21 * depth.fixed
        product_ = g.emit("MatMulInteger", [bytes_, w, zero, own], result("i32", x.dims[:-1] + (n,), -most, most, 1))
        numbers = g.emit("Cast", [product_], result("f32", product_.dims, -most, most, 1), to=dtypes.ONNX["f32"])
        factor = apply(g, "Mul", scale, g.literal(0.5, "f32"), low=0, high=1, dims=())
        y = apply(g, "Mul", numbers, factor, low=-most, high=most)
    return y


@pattern(1)
def patches(g):
    """A convolution flattened to tokens."""
    x = image(g)
    require(x.rank == 4)
    y = convolution(g, x, g.pick_one([4, 8]), g.pick_one([1, 3]))
    tokens = reshape(g, y, y.dims[:2] + (product(y.dims[2:]),), [0, y.dims[1].fixed, -1] if g.chance(0.6) else None)
    return transpose(g, tokens, (0, 2, 1))


@pattern(1)
def flat_classifier(g):
    x = g.pick(("f32",), rank=(2, 4), where=lambda v: product(v.dims[1:]).fixed and product(v.dims[1:]).fixed <= 600 and v.most < 1e3)
    dims = x.dims[0], product(x.dims[1:])
    flat = g.emit("Flatten", [x], like(x, dims)) if g.chance(0.6) else reshape(g, x, dims, [0, -1])
    inner, n = flat.dims[1], Dim.of(g.pick_one([2, 5, 10]))
    most = 2 * x.most * math.sqrt(inner.most) + 1
    w = g.source("f32", [n, inner], -0.5, 0.5, constant=True)
    return g.emit("Gemm", [flat, w, g.source("f32", [n], -1, 1, constant=True)], result("f32", [x.dims[0], n], -most, most), transB=1)


@pattern(1)
def ones_in_front(g):
    """Expand or Unsqueeze that only puts ones in front, before elementwise work."""
    x = g.pick(FLOATS, rank=(1, 3), where=lambda v: v.most < 100)
    require(g.opset >= 8)
    front = [1] * g.pick_one([1, 1, 2])
    asked = [Dim.of(1)] * len(front) + (list(x.dims) if g.chance(0.5) else [Dim.of(1)] * x.rank)
    y = g.emit("Expand", [x, shape_operand(g, asked)], like(x, (Dim.of(1),) * len(front) + x.dims))
    other = g.source(x.dtype, x.dims, -1, 1) if g.chance(0.5) else number(g, 2, x)
    return apply(g, g.pick_one(["Mul", "Add", "Max", "Sub"]), y, other, low=-2 * x.most - 1, high=2 * x.most + 1)


@pattern(1)
def parts_and_whole(g):
    """Slices that are put together again, in order or not, with work between."""
    x = g.pick(dtypes.NUMBERS, rank=(1, 4), where=lambda v: any(d.fixed and d.fixed >= 2 for d in v.dims))
    axis = g.pick_one([i for i, d in enumerate(x.dims) if d.fixed and d.fixed >= 2])
    size = x.dims[axis].fixed
    cut = g.random.randint(1, size - 1)
    numbers = [cut, size - cut]
    dims = [x.dims[:axis] + (Dim.of(n),) + x.dims[axis + 1:] for n in numbers]
    if g.opset >= 13:
        parts = g.node("Split", [x, g.ints(numbers)], [like(x, d) for d in dims], axis=axis)
    else:
        parts = g.node("Split", [x], [like(x, d) for d in dims], axis=axis, split=numbers)
    if x.dtype in dtypes.FLOATS and g.chance(0.5):
        parts[0] = g.emit("Neg", [parts[0]], result(x.dtype, parts[0].dims, -x.high, -x.low, x.grid))
    if g.chance(0.4):
        parts.reverse()
    if g.chance(0.3):
        parts.append(parts[0])
    total = sizes.derive(lambda *s: sum(s), *(p.dims[axis] for p in parts))
    joined = result(x.dtype, x.dims[:axis] + (total,) + x.dims[axis + 1:], -x.most, x.most, x.grid)
    if x.dtype in dtypes.UNSIGNED:
        joined.low = 0
    return g.emit("Concat", parts, joined, axis=axis)


@pattern(1)
def scaled_product(g):
    """A factor or a transpose around a product of two values."""
    x = g.pick(FLOATS, rank=(2, 4), where=lambda v: v.most < 100 and all(d.least > 0 for d in v.dims))
    inner, n = x.dims[-1], g.new_dim()
    require(elements(x.dims) * n.most <= g.work)
    y = g.source(x.dtype, x.dims[:-2] + (n, inner), -1, 1, constant=False)
    if g.chance(0.6):
        x = apply(g, "Mul", x, number(g, g.pick_one([0.5, 0.125, 3.0, -1.0]), x), low=-3 * x.most, high=3 * x.most)
    if g.chance(0.4):
        y = apply(g, "Mul", y, number(g, g.pick_one([0.5, 0.25]), y))
    y = transpose(g, y, (*range(y.rank - 2), y.rank - 1, y.rank - 2))
    most = 2 * x.most * math.sqrt(inner.most)
    z = g.emit("MatMul", [x, y], result(x.dtype, x.dims[:-1] + (n,), -most, most))
    return transpose(g, z, (*range(z.rank - 2), z.rank - 1, z.rank - 2)) if g.chance(0.4) else z


@pattern(0.7)
def spelled_group_norm(g):
    x = image(g)
    require(x.rank == 4 and x.dims[1].fixed and g.opset >= 7)
    groups = g.pick_one([f for f in (1, 2, 4, 8) if x.dims[1].fixed % f == 0])
    flat = reshape(g, x, (x.dims[0], Dim.of(groups), product((Dim.of(x.dims[1].fixed // groups),) + x.dims[2:])), [0, groups, -1])
    scale, bias = (g.source(x.dtype, [Dim.of(groups)], n, n, constant=True) for n in (1, 0))
    most = 2 * math.sqrt(elements(flat.dims[2:])) + 1
    normal = g.emit("InstanceNormalization", [flat, scale, bias], result(x.dtype, flat.dims, -most, most), epsilon=1e-5)
    y = reshape(g, normal, x.dims)
    return affine(g, y, [x.dims[1], Dim.of(1), Dim.of(1)])
