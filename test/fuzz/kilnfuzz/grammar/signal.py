"""Fourier transforms and the windows for them."""
import numpy as np

from .. import dtypes
from ..graph import freed, require, result
from ..sizes import SETS, Dim, derive, elements
from . import op
from .elementwise import attribute
from .shapes import shape_operand


def scalar(g, number, types=("i64", "i64", "i32")):
    """An integer that steers: mostly a constant."""
    dtype = g.pick_one(types)
    if g.chance(g.data):
        return g.told([np.array(number, dtypes.NUMPY[dtype])] * SETS)
    return g.literal(number, dtype)


@op("DFT", 1, since=17)
def dft(g):
    rank = g.pick_one([1, 1, 2, 3])
    dims = list(g.new_dims(rank))
    axis = g.random.randrange(rank)
    kind = g.pick_one(["plain", "plain", "inverse", "half", "back"])
    complex_ = kind in ("inverse", "back") or kind == "plain" and g.chance(0.5)
    x = g.source(g.pick_one(("f32",) * 6 + ("f64", "f16")), dims + [Dim.of(2 if complex_ else 1)])
    signal, length = x.dims[axis], None
    require(signal.least > (1 if kind == "back" else 0))
    n = derive(lambda s: 2 * (s - 1), signal) if kind == "back" else signal
    if g.chance(0.3):
        n = Dim.of(max(1, g.pick_one([1, 2, 3, 4, 7, 8, 16, signal.sizes[0]])))
        length = scalar(g, n.fixed)
    require(elements(x.dims) * n.most <= g.work)
    out = list(x.dims)
    out[axis] = derive(lambda s: s // 2 + 1, n) if kind == "half" else n
    out[-1] = Dim.of(1 if kind == "back" else 2)
    spelled = axis - x.rank if g.chance(0.4) else axis
    operands, more = [x, length], {"axis": spelled}
    if g.opset >= 20:
        more = {}
        operands.append(None if axis == x.rank - 2 and g.chance(0.3) else scalar(g, spelled, ("i64",)))
    elif axis == 1 and g.chance(0.3):
        more = {}
    most = x.most * 2 * max(n.most, signal.most)
    return g.emit("DFT", operands, result(x.dtype, freed(operands, out[:-1]) + out[-1:], -most, most), inverse=1 if kind in ("inverse", "back") else attribute(g, 0),
                  onesided=1 if kind in ("half", "back") else attribute(g, 0), **more)


@op("STFT", 0.7, since=17)
def stft(g):
    size = g.new_dim()
    onesided = g.chance(0.6)
    x = g.source(g.pick_one(("f32",) * 6 + ("f64", "f16")), [g.new_dim(), size, Dim.of(1 if onesided or g.chance(0.5) else 2)])
    require(size.least >= 2)
    n, step = g.random.randint(1, size.least), g.random.randint(1, 4)
    window = g.source(x.dtype, [Dim.of(n)], 0, 1) if g.chance(0.5) else None
    frames = derive(lambda s: (s - n) // step + 1, size)
    dims = [x.dims[0], frames, Dim.of(n // 2 + 1 if onesided else n), Dim.of(2)]
    require(elements(dims) * n <= g.work)
    length = scalar(g, n) if window is None or g.chance(0.3) else None
    most = x.most * 2 * n
    operands = [x, scalar(g, step), window, length]
    return g.emit("STFT", operands, result(x.dtype, freed(operands, dims), -most, most), onesided=attribute(g, 1) if onesided else 0)


def window(name):
    def make(g):
        size = g.new_dim()
        require(size.least > 1)
        dtype = g.pick_one(("f32",) * 4 + ("f64", "f16", "bf16"))
        if size.static or g.chance(0.3):
            size = Dim.of(size.sizes[0])
            operand = scalar(g, size.fixed)
        else:
            operand = g.node("Squeeze", [shape_operand(g, [size])], [result("i64", [], size.least, size.most, 1)])
            size = Dim(size.sizes)
        return g.emit(name, [operand], result(dtype, freed([operand], [size]), -0.1, 1.1), periodic=attribute(g, 1, 0), output_datatype=None if dtype == "f32" and g.chance(0.5) else dtypes.ONNX[dtype])
    op(name, 0.4, since=17)(make)


for _name in ("HannWindow", "HammingWindow", "BlackmanWindow"):
    window(_name)
