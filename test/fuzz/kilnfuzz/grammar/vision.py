"""Operators on images that are spelled with others, or read between elements."""
from ..graph import freed, require, result
from ..sizes import Dim, derive, elements
from . import op
from .elementwise import attribute, gridded
from .products import product_bound, weights
from .shapes import shape_operand
from .window import image, window


@op("RoiAlign", 0.8, since=10)
def roi_align(g):
    x = image(g)
    require(x.rank == 4 and x.dtype != "bf16")
    count = g.new_dim()
    rois = g.source(x.dtype, [count, Dim.of(4)], 0, 8, 0.5)
    indices = g.source("i64", [count], 0, x.dims[0].least - 1, 1)
    height, width = g.pick_one([None, 1, 2, 3]), g.pick_one([None, 1, 2, 4])
    dims = [count, x.dims[1], Dim.of(height or 1), Dim.of(width or 1)]
    require(64 * elements(dims) <= g.work)
    more = {"coordinate_transformation_mode": attribute(g, "half_pixel", "output_half_pixel")} if g.opset >= 16 else {}
    return g.emit("RoiAlign", [x, rois, indices], result(x.dtype, dims, min(x.low, 0), max(x.high, 0)), mode=attribute(g, "avg", "max"), output_height=height,
                  output_width=width, sampling_ratio=g.pick_one([None, 0, 1, 2]), spatial_scale=g.pick_one([None, 0.5, 1.0]), **more)


@op("AffineGrid", 0.6, since=20)
def affine_grid(g):
    spatial = g.pick_one([2, 2, 3])
    theta = g.source(g.pick_one(("f32",) * 4 + ("f64", "f16")), [g.new_dim(), Dim.of(spatial), Dim.of(spatial + 1)], -1, 1)
    image_dims = list(g.new_dims(spatial))
    require(all(d.least > 0 for d in image_dims))
    size = shape_operand(g, [theta.dims[0], Dim.of(3)] + image_dims)
    dims = theta.dims[:1] + tuple(freed([size], image_dims)) + (Dim.of(spatial),)
    return g.emit("AffineGrid", [theta, size], result(theta.dtype, dims, -4, 4), align_corners=attribute(g, 0, 1))


@op("CenterCropPad", 0.8, since=18)
def center_crop_pad(g):
    x = g.pick(rank=(1, 4))
    axes = g.random.sample(range(x.rank), g.random.randint(1, x.rank))
    listed = len(axes) < x.rank or g.chance(0.3)
    axes = axes if listed else list(range(x.rank))
    dims = list(x.dims)
    for a in axes:
        dims[a] = g.new_dim()
    require(elements(dims) <= g.elements)
    more = {"axes": [a - x.rank if g.chance(0.3) else a for a in axes]} if listed else {}
    shape = shape_operand(g, [dims[a] for a in axes])
    outcome = result(x.dtype, freed([shape], dims), min(x.low, 0), max(x.high, 0), x.grid)
    return g.emit("CenterCropPad", [x, shape], outcome, **more)


@op("Col2Im", 0.8, since=18)
def col2im(g):
    spatial = g.pick_one([1, 2, 2, 3])
    sizes = [Dim.of(g.random.randint(2, 9)) if g.chance(0.7) else g.new_dim() for _ in range(spatial)]
    block = [g.random.randint(1, 3) for _ in sizes]
    strides, dilations = [g.random.randint(1, 2) for _ in sizes], [g.pick_one([1, 1, 2]) for _ in sizes]
    pads = [g.random.randint(0, 1) if g.chance(0.3) else 0 for _ in sizes * 2]
    reach = [(b - 1) * d + 1 for b, d in zip(block, dilations)]
    require(all(s.least + pads[i] + pads[i + spatial] >= reach[i] for i, s in enumerate(sizes)))
    counts = [derive(lambda s, i=i: (s + pads[i] + pads[i + spatial] - reach[i]) // strides[i] + 1, s) for i, s in enumerate(sizes)]
    blocks, taps, channels = Dim.of(1), 1, g.pick_one([1, 2, 3])
    for c, b in zip(counts, block):
        blocks, taps = derive(lambda a, c: a * c, blocks, c), taps * b
    x = g.source(g.pick_one(("f32",) * 6 + ("f64", "f16", "i32")), [g.new_dim(), Dim.of(channels * taps), blocks])
    dims = [x.dims[0], Dim.of(channels)] + sizes
    require(elements(dims) <= g.elements and elements(x.dims) <= g.elements)
    most = x.most * taps
    more = {"strides": strides, "dilations": dilations, "pads": pads}
    more = {k: v for k, v in more.items() if len(set(v)) > 1 or v[0] != (0 if k == "pads" else 1) or g.chance(0.3)}
    operands = [x, shape_operand(g, sizes), g.steer(block)]
    return g.emit("Col2Im", operands, result(x.dtype, freed(operands, dims), -most, most, x.grid), **more)


@op("DeformConv", 0.8, since=19)
def deform_conv(g):
    x = image(g)
    channels = x.dims[1].fixed
    require(x.rank == 4 and channels)
    groups, offsets = (g.pick_one([1, 1] + [c for c in (2, 3, channels) if channels % c == 0]) for _ in range(2))
    outputs = groups * g.pick_one([1, 2, 3])
    kernel, more, spatial = window(g, x.dims[2:])
    require("auto_pad" not in more)
    taps = kernel[0] * kernel[1]
    dims = [x.dims[0], Dim.of(outputs)] + spatial
    require(elements(dims) * channels * taps <= g.work and elements(dims[:1] + spatial) * offsets * taps * 2 <= g.elements)
    w = weights(g, x.dtype, [Dim.of(outputs), Dim.of(channels // groups)] + [Dim.of(k) for k in kernel], low=-1, high=1, grid=None)
    offset = g.source(x.dtype, [x.dims[0], Dim.of(offsets * taps * 2)] + spatial, -2, 2)
    bias = weights(g, x.dtype, [Dim.of(outputs)]) if g.chance(0.4) else None
    mask = g.source(x.dtype, [x.dims[0], Dim.of(offsets * taps)] + spatial, 0, 1) if g.chance(0.4) else None
    most = product_bound(x, w, channels // groups * taps) + 1
    return g.emit("DeformConv", [x, w, offset, bias, mask], result(x.dtype, dims, -most, most), group=groups if groups > 1 else attribute(g, 1),
                  offset_group=offsets if offsets > 1 else attribute(g, 1), kernel_shape=kernel if g.chance(0.5) else None, **more)
