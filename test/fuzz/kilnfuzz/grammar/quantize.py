"""Quantization."""
from .. import dtypes
from ..graph import require, result
from ..sizes import derive
from . import op
from .elementwise import gridded


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


@op("DequantizeLinear", 1, since=10)
def dequantize(g):
    x = g.pick(("u8", "i8", "i32") + (("u16", "i16") if g.opset >= 21 else ()))
    dims, more = scale_dims(g, x)
    to = g.pick_one(("f32",) * 4 + (("f16", "bf16") if g.opset >= 19 else ()))
    scale = scales(g, to, dims)
    zero = g.source(x.dtype, dims, 0, 9, 1) if g.chance(0.5) and x.dtype != "i32" else None
    most = (x.most + 9) * scale.most
    return g.emit("DequantizeLinear", [x, scale, zero], result(to, x.dims, -most, most), **more)
