"""Quantization."""
from .. import dtypes
from ..graph import require, result
from ..sizes import Dim, derive, elements
from . import op
from .elementwise import gridded
from .window import window


def scale_dims(g, x):
    """Dims of a scale, and the attributes that say so: one for all, one for each position along an axis, blocks."""
    kinds = ["all"] + (["axis"] * 2 if g.opset >= 13 and x.rank else []) + (["blocks"] if g.opset >= 21 and x.rank else [])
    kind = g.pick_one(kinds)
    if kind == "all":
        return [], {}
    axis = g.random.randrange(x.rank)
    spelled = axis - x.rank if g.chance(0.3) else axis
    if kind == "axis":
        return [x.dims[axis]], {"axis": spelled}
    block = g.pick_one([1, 2, 3, 4])
    dims = list(x.dims)
    dims[axis] = derive(lambda s: -(-s // block), dims[axis])
    require(all(d.least > 0 for d in x.dims))
    return dims, {"axis": spelled, "block_size": block}


def scales(g, dtype, dims):
    """Powers of two: so quotients are exact, and no rounding decides which integer is nearest."""
    return g.literal(g.pick_one([0.25, 0.5, 1, 2]), dtype) if not dims else g.source(dtype, dims, 0.5, 1, 0.5)


@op("QuantizeLinear", 1, since=10)
def quantize(g):
    x = gridded(g, ("f32",) * 4 + (("f16", "bf16") if g.opset >= 19 else ()))
    dims, more = scale_dims(g, x)
    scale = scales(g, x.dtype, dims)
    to = g.pick_one(("u8", "i8") + (("u16", "i16") if g.opset >= 21 else ()))
    zero = None
    if g.chance(0.6):
        low, high = (0, 9) if to[0] == "u" else (-5, 5)
        zero = g.source(to, dims, low, high, 1)
    elif to != "u8":
        require(g.opset >= 21)
        more["output_dtype"] = dtypes.ONNX[to]
    return g.emit("QuantizeLinear", [x, scale, zero], result(to, x.dims, *dtypes.integer_range(to), 1), **more)


@op("DynamicQuantizeLinear", 0.7, since=11)
def dynamic_quantize(g):
    x = g.pick(("f32",))
    require(elements(x.dims) > 0)
    outcomes = [result("u8", x.dims, 0, 255, 1), result("f32", [], 0, (x.high - x.low) / 255 + 1), result("u8", [], 0, 255, 1)]
    return g.node("DynamicQuantizeLinear", [x], outcomes)


@op("DequantizeLinear", 1, since=10)
def dequantize(g):
    x = g.pick(("u8", "i8", "i32") + (("u16", "i16") if g.opset >= 21 else ()))
    dims, more = scale_dims(g, x)
    to = g.pick_one(("f32",) * 4 + (("f16", "bf16") if g.opset >= 19 else ()))
    scale = scales(g, to, dims)
    zero = g.source(x.dtype, dims, 0, 9, 1) if g.chance(0.5) and x.dtype != "i32" else None
    most = (x.most + 9) * scale.most
    return g.emit("DequantizeLinear", [x, scale, zero], result(to, x.dims, -most, most), **more)


# --- products of quantized operands. Scales are powers of two, so that no rounding decides which integer is nearest.

BYTES = ("u8", "i8")


def small(dtype):
    """Bounds of elements whose products stay exact in f32."""
    return {"low": 0 if dtype == "u8" else -9, "high": 12, "grid": 1}


def zero_point(g, dtype, dims):
    return g.source(dtype, dims, 0, 9, 1)


def quantized_result(g, name, operands, dims, **more):
    """The result of a quantized product: its scale and zero point are put in."""
    to = g.pick_one(BYTES)
    y = [scales(g, "f32", []), zero_point(g, to, [])]
    return g.emit(name, operands[:6] + y + operands[6:], result(to, dims, *dtypes.integer_range(to), 1), **more)


def integer_operands(g):
    """Operands of a product of matrices, and the dims of the result."""
    x = g.source(g.pick_one(BYTES), g.new_dims(g.pick_one([2, 2, 3])), **small("u8"))
    dtype = g.pick_one(BYTES)
    w = g.source(dtype, [x.dims[-1], g.new_dim()], **small(dtype))
    require(elements(x.dims) * w.dims[1].most <= g.work)
    return x, w, x.dims[:-1] + w.dims[1:]


@op("MatMulInteger", 0.7, since=10)
def matmul_integer(g):
    x, w, dims = integer_operands(g)
    of_x = zero_point(g, x.dtype, g.pick_one([[], [x.dims[0]]]) if x.rank == 2 else []) if g.chance(0.6) else None
    of_w = zero_point(g, w.dtype, g.pick_one([[], [w.dims[1]]])) if g.chance(0.6) else None
    most = 21 * 21 * max(x.dims[-1].most, 1)
    return g.emit("MatMulInteger", [x, w, of_x, of_w], result("i32", dims, -most, most, 1))


@op("QLinearMatMul", 0.7, since=10)
def qlinear_matmul(g):
    x, w, dims = integer_operands(g)
    columns = g.pick_one([[], [w.dims[1]]])
    operands = [x, scales(g, "f32", []), zero_point(g, x.dtype, []), w, scales(g, "f32", columns), zero_point(g, w.dtype, columns)]
    return quantized_result(g, "QLinearMatMul", operands, dims)


def integer_conv(g):
    """Operands of a convolution, its attributes, and the dims of the result."""
    channels, filters = g.pick_one([1, 2, 3, 4]), g.pick_one([1, 2, 4, 6])
    groups = channels if filters % channels == 0 and g.chance(0.2) else 1
    dims = list(g.new_dims(3))
    require(all(d.least > 0 for d in dims))
    x = g.source(g.pick_one(BYTES), [Dim.of(1) if g.chance(0.5) else g.new_dim(), Dim.of(channels)] + dims[:g.pick_one([1, 2])], **small("u8"))
    kernel, more, spatial = window(g, x.dims[2:])
    dtype = g.pick_one(BYTES)
    w = g.source(dtype, [Dim.of(filters), Dim.of(channels // groups)] + [Dim.of(k) for k in kernel], **small(dtype))
    dims = [x.dims[0], Dim.of(filters)] + spatial
    require(elements(dims) * elements(w.dims[1:]) <= g.work)
    return x, w, dims, dict(more, group=groups if groups > 1 else None, kernel_shape=kernel if g.chance(0.5) else None)


@op("ConvInteger", 0.7, since=10)
def conv_integer(g):
    x, w, dims, more = integer_conv(g)
    of_x = zero_point(g, x.dtype, []) if g.chance(0.6) else None
    of_w = zero_point(g, w.dtype, g.pick_one([[], [w.dims[0]]])) if g.chance(0.6) else None
    most = 21 * 21 * elements(w.dims[1:])
    return g.emit("ConvInteger", [x, w, of_x, of_w], result("i32", dims, -most, most, 1), **more)


@op("QLinearConv", 0.7, since=10)
def qlinear_conv(g):
    x, w, dims, more = integer_conv(g)
    filters = g.pick_one([[], [w.dims[0]]])
    operands = [x, scales(g, "f32", []), zero_point(g, x.dtype, []), w, scales(g, "f32", filters), zero_point(g, w.dtype, filters)]
    if g.chance(0.5):
        operands.append(g.source("i32", [w.dims[0]], -50, 50, 1))
    return quantized_result(g, "QLinearConv", operands, dims, **more)


# --- what ONNX Runtime's quantizer writes besides

DOMAIN = "com.microsoft"


def contrib(name, weight=0.3):
    return op(f"{DOMAIN}.{name}", weight, since=10)


def quantized_operand(g, dims=None, dtype=None):
    """Bytes, their scale and their zero point."""
    dtype = dtype or g.pick_one(BYTES)
    x = g.pick((dtype,), where=lambda v: dims is None or v.dims == dims) if g.chance(0.6) else g.source(dtype, dims or g.new_dims(g.pick_one([1, 2, 3, 4])), 0, 20, 1)
    require(dims is None or x.dims == dims)
    return [x, scales(g, "f32", []), zero_point(g, dtype, [])]


def requantized(g, name, operands, dims, dtype, first=False, **more):
    y = [scales(g, "f32", []), zero_point(g, dtype, [])]
    return g.node(name, y + operands if first else operands + y, [result(dtype, dims, *dtypes.integer_range(dtype), 1)], domain=DOMAIN, **more)


for _name in ("QLinearAdd", "QLinearMul"):
    @contrib(_name)
    def binary(g, name=_name):
        x = quantized_operand(g)
        y = quantized_operand(g, x[0].dims if g.chance(0.7) else x[0].dims[g.random.randint(0, x[0].rank):], x[0].dtype)
        return requantized(g, name, x + y, x[0].dims, x[0].dtype)


@contrib("QLinearLeakyRelu")
def qlinear_leaky_relu(g):
    x = quantized_operand(g)
    return requantized(g, "QLinearLeakyRelu", x, x[0].dims, x[0].dtype, alpha=0.25)


@contrib("QLinearConcat")
def qlinear_concat(g):
    x = quantized_operand(g)
    require(x[0].rank)
    axis = g.random.randrange(x[0].rank)
    parts, dims = list(x), list(x[0].dims)
    for _ in range(g.pick_one([0, 1, 2])):
        own = list(x[0].dims)
        own[axis] = g.new_dim()
        parts += quantized_operand(g, tuple(own), x[0].dtype)
        dims[axis] = derive(lambda a, b: a + b, dims[axis], own[axis])
    return requantized(g, "QLinearConcat", parts, dims, x[0].dtype, first=True, axis=axis)


@contrib("QLinearWhere")
def qlinear_where(g):
    x = quantized_operand(g)
    y = quantized_operand(g, x[0].dims, x[0].dtype)
    return requantized(g, "QLinearWhere", [g.source("bool", x[0].dims)] + x + y, x[0].dims, x[0].dtype)


@contrib("QLinearAveragePool")
def qlinear_average_pool(g):
    """Of windows whose mean is exact."""
    dims = g.new_dims(4)
    require(all(d.least > 1 for d in dims[2:]))
    x = quantized_operand(g, dims)
    spatial = [derive(lambda s: s // 2, d) for d in dims[2:]]
    return requantized(g, "QLinearAveragePool", x, dims[:2] + tuple(spatial), x[0].dtype, kernel_shape=[2, 2], strides=[2, 2])


@contrib("QGemm")
def qgemm(g):
    x, w, dims = integer_operands(g)
    require(x.rank == 2)
    columns = g.pick_one([[], [w.dims[1]]])
    operands = [x, scales(g, "f32", []), zero_point(g, x.dtype, []), w, scales(g, "f32", columns), zero_point(g, w.dtype, columns)]
    operands.append(g.source("i32", [w.dims[1]], -50, 50, 1) if g.chance(0.5) else None)
    if g.chance(0.5):
        return requantized(g, "QGemm", operands, dims, x.dtype)
    most = 4 * (21 * 21 * max(x.dims[-1].most, 1) + 50)
    return g.node("QGemm", operands, [result("f32", dims, -most, most)], domain=DOMAIN)


@contrib("MatMulIntegerToFloat")
def matmul_integer_to_float(g):
    x, w, dims = integer_operands(g)
    columns = g.pick_one([[], [w.dims[1]]])
    bias = g.source("f32", [w.dims[1]], -2, 2) if g.chance(0.5) else None
    operands = [x, w, scales(g, "f32", []), scales(g, "f32", columns), zero_point(g, x.dtype, []), zero_point(g, w.dtype, columns), bias]
    most = 4 * 21 * 21 * max(x.dims[-1].most, 1) + 2
    return g.node("MatMulIntegerToFloat", operands, [result("f32", dims, -most, most)], domain=DOMAIN)


@contrib("QuantizeLinear")
def contrib_quantize(g):
    x = gridded(g, ("f32",))
    to = g.pick_one(BYTES)
    return requantized(g, "QuantizeLinear", [x], x.dims, to)


@contrib("DequantizeLinear")
def contrib_dequantize(g):
    x = quantized_operand(g)
    most = (x[0].most + 9) * x[1].most
    return g.node("DequantizeLinear", x, [result("f32", x[0].dims, -most, most)], domain=DOMAIN)


@contrib("MatMulNBits")
def matmul_n_bits(g):
    """Weights of few bits in blocks; the last block may be longer than what is left of the depth."""
    bits, block = g.pick_one([4, 4, 8, 2]), g.pick_one([16, 32])
    depth, columns = g.pick_one([16, 32, 40, 64]), g.pick_one([1, 5, 16, 24])
    blocks = -(-depth // block)
    dims = g.new_dims(g.pick_one([1, 2]))
    x = g.source("f32", tuple(dims) + (Dim.of(depth),), -2, 2, constant=False)
    w = g.source("u8", [Dim.of(columns), Dim.of(blocks), Dim.of(block * bits // 8)], 0, 255, 1, constant=g.chance(0.8))
    scale = g.source("f32", [Dim.of(columns), Dim.of(blocks)], 0.25, 1)
    zero = g.source("u8", [Dim.of(columns), Dim.of(-(-blocks * bits // 8))], 0, 255, 1) if g.chance(0.4) else None
    bias = g.source("f32", [Dim.of(columns)], -2, 2) if g.chance(0.3) else None
    require(elements(x.dims) * columns <= g.work)
    most = x.most * 2**bits * depth
    return g.node("MatMulNBits", [x, w, scale, zero, None, bias], [result("f32", tuple(dims) + (Dim.of(columns),), -most, most)], domain=DOMAIN,
                  K=depth, N=columns, bits=bits, block_size=block)
