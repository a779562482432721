"""Convolutions and pools."""
import math

from .. import dtypes
from ..graph import require, result
from ..sizes import Dim, derive, elements
from . import op
from .elementwise import attribute
from .products import product_bound, weights


def window(g, spatial, pool=False, ceil=False):
    """Attributes of a window over the spatial dims, and the dims of what comes out. Pads stay smaller than the window."""
    kernel = [g.pick_one([1, 2, 3, 3, 3, 4, 5, 7 if g.chance(0.3) else 2]) for _ in spatial]
    if g.chance(0.6):
        kernel = [kernel[0]] * len(spatial)
    strides = [g.pick_one([1, 1, 1, 2, 2, 3]) for _ in spatial]
    dilations = [g.pick_one([1, 1, 1, 1, 2, 3]) for _ in spatial]
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations)]
    mode = g.pick_one(["NOTSET"] * 8 + ["SAME_UPPER", "SAME_LOWER", "VALID"])
    more = {}
    if mode == "NOTSET":
        kind = g.random.random()
        if kind < 0.3:
            pads = [0] * (2 * len(spatial))
        elif kind < 0.65:
            pads = [r // 2 for r in reach] * 2
        else:
            pads = [g.random.randint(0, min(r - 1, 3)) for r in reach + reach]
        if pool:
            pads = [min(p, k - 1) for p, k in zip(pads, kernel + kernel)]
        if any(pads) or g.chance(0.5):
            more["pads"] = pads
        if g.chance(0.2):
            more["auto_pad"] = "NOTSET"
    else:
        more["auto_pad"] = mode
    if any(s != 1 for s in strides) or g.chance(0.3):
        more["strides"] = strides
    if any(d != 1 for d in dilations) or g.chance(0.2):
        more["dilations"] = dilations
    dims = []
    for i, dim in enumerate(spatial):
        if mode.startswith("SAME"):
            dims.append(derive(lambda s: -(-s // strides[i]), dim))
            require(dim.least > 0)
            continue
        pad = 0 if mode == "VALID" else pads[i] + pads[i + len(spatial)]
        require(dim.least + pad >= reach[i] and dim.least > 0)
        begin = 0 if mode == "VALID" else pads[i]

        def positions(s):
            count = (s + pad - reach[i]) // strides[i] + 1
            if ceil:
                count = -(-(s + pad - reach[i]) // strides[i]) + 1
                if (count - 1) * strides[i] >= s + begin:  # a window never starts in the end pad
                    count -= 1
            return count
        dims.append(derive(positions, dim))
    return kernel, more, dims


IMAGES = ("f32",) * 15 + ("f64", "f16", "bf16") * 2


def image(g):
    """Something with channels and one to three spatial dims."""
    fits = [v for v in g.values if v.dtype in dtypes.FLOATS and 3 <= v.rank <= 5 and all(d.least > 0 for d in v.dims)]
    if fits and g.chance(0.8):
        return g.random.choice(fits[-3:] if g.chance(0.7) else fits)
    rank = g.pick_one([3, 4, 4, 4, 4, 4, 5])
    channels = Dim.of(g.pick_one([1, 2, 3, 3, 4, 6, 8, 8, 12, 16, 17, 32]))
    dims = [Dim.of(1) if g.chance(0.5) else g.new_dim(), channels if g.chance(0.95) else g.symbol(channels)] + list(g.new_dims(rank - 2))
    require(all(d.least > 0 for d in dims) and elements(dims) <= 2 * g.elements)
    return g.source(g.pick_one(IMAGES), dims)


def conv(g, x):
    channels = x.dims[1].fixed
    require(channels)
    groups = g.pick_one([1, 1, 1, channels] + [f for f in (2, 3, 4) if channels % f == 0])
    per_group = g.pick_one([1, 1, 2, 3, 4, 5, 8]) if groups > 1 else g.pick_one([1, 2, 3, 4, 7, 8, 8, 16, 16, 17, 24])
    if groups == channels:
        per_group = g.pick_one([1, 1, 1, 2])
    outputs = Dim.of(groups * per_group)
    require(outputs.most <= 64)
    kernel, more, spatial = window(g, x.dims[2:])
    dims = (x.dims[0], outputs) + tuple(spatial)
    inner = channels // groups * math.prod(kernel)
    require(elements(dims) * inner <= g.work)
    w = weights(g, x.dtype, [outputs, Dim.of(channels // groups)] + [Dim.of(k) for k in kernel], low=-1, high=1, grid=None)
    bias = weights(g, x.dtype, [outputs]) if g.chance(0.6) else None
    most = product_bound(x, w, inner) + 1
    more["kernel_shape"] = kernel if g.chance(0.7) else None
    more["group"] = groups if groups != 1 or g.chance(0.2) else None
    return g.emit("Conv", [x, w, bias], result(x.dtype, dims, -most, most), **more)


def pool(g, x, name):
    ceil = g.opset >= 10 and g.chance(0.3)
    kernel, more, spatial = window(g, x.dims[2:], True, ceil)
    if g.opset < (10 if name == "MaxPool" else 19):
        require("dilations" not in more)
    if ceil:
        require(not more.get("auto_pad", "").startswith("SAME"))
        more["ceil_mode"] = 1
    outcome = result(x.dtype, x.dims[:2] + tuple(spatial), x.low, x.high, x.grid if name == "MaxPool" else None)
    if name == "AveragePool":
        outcome.low, outcome.high = min(x.low, 0), max(x.high, 0)
        if g.opset >= 7 and g.chance(0.4):
            more["count_include_pad"] = 1
    if name == "MaxPool" and g.opset >= 8 and g.chance(0.25):
        more["storage_order"] = attribute(g, 0, 1)
        return g.node(name, [x], [outcome, result("i64", outcome.dims, 0, elements(x.dims), 1)], kernel_shape=kernel, **more)
    return g.emit(name, [x], outcome, kernel_shape=kernel, **more)


@op("MaxUnpool", 0.8, since=9)
def max_unpool(g):
    """Back from a MaxPool that leaves nothing over."""
    x = image(g)
    require(all(d.fixed for d in x.dims[2:]) or g.chance(0.3))
    kernel = [g.pick_one([1, 2, 2, 3]) for _ in x.dims[2:]]
    strides = [g.random.randint(1, k) for k in kernel]
    pads = [g.random.randint(0, k - 1) if g.chance(0.3) else 0 for k in kernel + kernel]
    spatial = len(kernel)
    for i, d in enumerate(x.dims[2:]):
        require(all(s + pads[i] + pads[i + spatial] >= kernel[i] and (s + pads[i] + pads[i + spatial] - kernel[i]) % strides[i] == 0 for s in d.sizes))
    outs = [derive(lambda s, i=i: (s + pads[i] + pads[i + spatial] - kernel[i]) // strides[i] + 1, d) for i, d in enumerate(x.dims[2:])]
    more = {"kernel_shape": kernel, "strides": strides, "pads": pads}
    dims = x.dims[:2] + tuple(outs)
    pooled, indices = g.node("MaxPool", [x], [result(x.dtype, dims, x.low, x.high, x.grid), result("i64", dims, 0, elements(x.dims), 1)], **more)
    sizes, shape = list(x.dims), None
    if all(d.static for d in x.dims) and g.chance(0.3):
        sizes[2:] = [Dim.of(d.fixed + g.pick_one([0, 1, 2])) for d in sizes[2:]]
        shape = g.ints([d.fixed for d in sizes])
    return g.emit("MaxUnpool", [pooled, indices, shape], result(x.dtype, sizes, min(x.low, 0), max(x.high, 0), x.grid), **more)


@op("ConvTranspose", 2)
def conv_transpose(g):
    x = image(g)
    channels = x.dims[1].fixed
    require(channels)
    rank = x.rank - 2
    groups = g.pick_one([1, 1, 1, channels] + [f for f in (2, 3) if channels % f == 0])
    outputs = g.pick_one([1, 2, 3, 4, 8])
    kernel = [g.pick_one([1, 2, 3, 3, 4]) for _ in range(rank)]
    strides = [g.pick_one([1, 1, 2, 2, 3]) for _ in range(rank)]
    dilations = [g.pick_one([1, 1, 1, 2]) for _ in range(rank)]
    added = [g.random.randint(0, max(s, d) - 1) if g.chance(0.3) else 0 for s, d in zip(strides, dilations)]
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations)]
    more = {"strides": strides, "dilations": dilations if any(d > 1 for d in dilations) else None, "output_padding": added if any(added) else None}
    mode = g.pick_one(["NOTSET"] * 4 + ["SAME_UPPER", "SAME_LOWER", "VALID"])
    pads = [0] * (2 * rank)
    if mode == "NOTSET":
        pads = [g.random.randint(0, min(r - 1, 2)) for r in reach + reach]
        more["pads"] = pads
    else:
        more["auto_pad"] = mode
    if mode.startswith("SAME"):
        require(all(r + a >= s for r, a, s in zip(reach, added, strides)))
        spatial = [derive(lambda n, i=i: n * strides[i], d) for i, d in enumerate(x.dims[2:])]
    else:
        spatial = [derive(lambda n, i=i: (n - 1) * strides[i] + reach[i] + added[i] - pads[i] - pads[i + rank], d) for i, d in enumerate(x.dims[2:])]
    require(all(d.least > 0 for d in spatial))
    if mode == "NOTSET" and all(d.fixed for d in x.dims[2:]) and g.chance(0.2):  # says the size; pads follow
        more["output_shape"] = [d.fixed for d in spatial]
        require(g.opset >= 11)
        del more["pads"]
    dims = (x.dims[0], Dim.of(outputs * groups)) + tuple(spatial)
    inner = channels // groups * math.prod(kernel)
    require(elements(x.dims) * outputs * math.prod(kernel) <= g.work and elements(dims) <= g.elements)
    w = weights(g, x.dtype, [Dim.of(channels), Dim.of(outputs)] + [Dim.of(k) for k in kernel], low=-1, high=1, grid=None)
    bias = weights(g, x.dtype, [dims[1]]) if g.chance(0.5) else None
    most = product_bound(x, w, inner) + 1
    more["group"] = groups if groups != 1 or g.chance(0.2) else None
    more["kernel_shape"] = kernel if g.chance(0.5) else None
    return g.emit("ConvTranspose", [x, w, bias], result(x.dtype, dims, -most, most), **more)


@op("LpPool", 0.6, since=2)
def lp_pool(g):
    x = image(g)
    ceil = g.opset >= 18 and g.chance(0.3)
    kernel, more, spatial = window(g, x.dims[2:], True, ceil)
    require(g.opset >= 18 or "dilations" not in more)
    if ceil:
        require(not more.get("auto_pad", "").startswith("SAME"))
        more["ceil_mode"] = 1
    most = x.most * math.prod(kernel)
    return g.emit("LpPool", [x], result(x.dtype, x.dims[:2] + tuple(spatial), 0, most), kernel_shape=kernel, p=attribute(g, 2, 1, 3), **more)


@op("GlobalLpPool", 0.5, since=2)
def global_lp_pool(g):
    x = image(g)
    most = x.most * max(elements(x.dims[2:]), 1)
    return g.emit("GlobalLpPool", [x], result(x.dtype, x.dims[:2] + (Dim.of(1),) * (x.rank - 2), 0, most), p=attribute(g, 2, 1, 3))


WINDOWS = {"Conv": conv, "MaxPool": lambda g, x: pool(g, x, "MaxPool"), "AveragePool": lambda g, x: pool(g, x, "AveragePool")}
for _name, _weight in {"Conv": 7, "MaxPool": 3, "AveragePool": 3}.items():
    op(_name, _weight)(lambda g, make=WINDOWS[_name]: make(g, image(g)))
