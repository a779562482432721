"""Operators that interpolate."""
import math

import numpy as np

from .. import dtypes
from ..graph import require, result
from ..sizes import Dim, derive, elements
from . import op
from .elementwise import attribute
from .shapes import shape_operand

SCALES = [0.5, 0.5, 2.0, 2.0, 3.0, 1.5, 0.6, 0.7, 1.0, 2.5, 0.25]


def sampled(g, x, dims, mode):
    """What comes out: weights of cubic interpolation may be negative, those of others add up to 1."""
    require(elements(dims) <= g.elements and all(d.least > 0 for d in x.dims))
    if mode == "nearest":
        return result(x.dtype, dims, x.low, x.high, x.grid)
    most = x.most * (3 if mode == "cubic" else 1)
    return result(x.dtype, dims, -most, most)


def vector(g, numbers):
    """A constant vector of f32."""
    value = result("f32", [Dim.of(len(numbers))], min(numbers, default=0), max(numbers, default=0))
    value.name = g.name("i")
    g.add_constant(value, np.array(numbers, np.float32))
    return value


def scaled(dim, scale):
    return derive(lambda s: math.floor(s * float(np.float32(scale))), dim)


@op("Resize", 2, since=10)
def resize(g):
    mode = g.pick_one(["nearest", "linear", "linear", "cubic"] if g.opset >= 11 else ["nearest", "linear"])
    x = g.pick(dtypes.NUMBERS if mode == "nearest" else ("f32",) * 6 + dtypes.FLOATS, rank=(1, 5))
    axes = sorted(g.random.sample(range(x.rank), g.random.randint(1, min(x.rank, 2))))
    if g.opset < 11:
        scales = [g.pick_one(SCALES) if i in axes else 1.0 for i in range(x.rank)]
        dims = [scaled(d, s) for d, s in zip(x.dims, scales)]
        return g.emit("Resize", [x, vector(g, scales)], sampled(g, x, dims, mode), mode=mode)
    coordinates = ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "tf_crop_and_resize"]
    coordinates += ["tf_half_pixel_for_nn"] if g.opset < 13 else ["half_pixel_symmetric"] if g.opset >= 19 else []
    more = {"mode": mode, "coordinate_transformation_mode": g.pick_one([None] + coordinates)}
    if mode == "nearest":
        more["nearest_mode"] = attribute(g, "round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
    if mode == "cubic":
        more["cubic_coeff_a"] = attribute(g, -0.75, -0.5)
        more["exclude_outside"] = attribute(g, 0, 1)
    if mode != "nearest" and g.opset >= 18 and g.chance(0.3):
        more["antialias"] = 1
    listed = g.opset >= 18 and g.chance(0.4)
    count = len(axes) if listed else x.rank
    if listed:
        more["axes"] = [a - x.rank if g.chance(0.3) else a for a in axes]
    roi = None
    if more["coordinate_transformation_mode"] == "tf_crop_and_resize":
        roi = vector(g, [g.pick_one([0.0, 0.25, -0.1]) for _ in range(count)] + [g.pick_one([1.0, 0.75, 1.2]) for _ in range(count)])
        more["extrapolation_value"] = attribute(g, 0.0, 1.0)
    elif g.opset < 13 and g.chance(0.5):
        roi = vector(g, [])
    dims = list(x.dims)
    if g.chance(0.5):
        scales = [g.pick_one(SCALES) if i in axes else 1.0 for i in range(x.rank)]
        dims = [scaled(d, s) for d, s in zip(dims, scales)]
        operands = [x, roi, vector(g, [scales[a] for a in axes] if listed else scales)]
    else:
        for a in axes:
            dims[a] = Dim.of(g.pick_one([1, 2, 3, 5, 8])) if g.chance(0.6) else g.new_dim()
        asked = [dims[a] for a in axes] if listed else dims
        empty = vector(g, []) if g.opset < 13 or g.chance(0.3) else None
        operands = [x, roi, empty, shape_operand(g, asked)]
    outcome = sampled(g, x, dims, mode)
    outcome.low, outcome.high = min(outcome.low, 0), max(outcome.high, 1)
    if more.get("exclude_outside"):
        outcome.low, outcome.high = 4 * outcome.low, 4 * outcome.high
    return g.emit("Resize", operands, outcome, **more)


@op("Upsample", 0.6, since=7, last=9)
def upsample(g):
    x = g.pick(("f32",) * 6 + dtypes.FLOATS, rank=(1, 5))
    mode = g.pick_one(["nearest", "linear"])
    scales = [g.pick_one([1.0, 1.0, 2.0, 3.0, 1.5]) for _ in range(x.rank)]
    outcome = sampled(g, x, [scaled(d, s) for d, s in zip(x.dims, scales)], mode)
    if g.opset < 9:
        return g.emit("Upsample", [x], outcome, mode=mode, scales=scales)
    return g.emit("Upsample", [x, vector(g, scales)], outcome, mode=mode)


@op("GridSample", 0.8, since=16)
def grid_sample(g):
    x = g.pick(("f32",) * 6 + dtypes.FLOATS, rank=4 if g.opset < 20 else (3, 5))
    rank = x.rank - 2
    places = list(g.new_dims(rank))
    names = {"nearest": "nearest", "linear": "bilinear", "cubic": "bicubic"} if g.opset < 20 else {m: m for m in ("nearest", "linear", "cubic")}
    mode = g.pick_one(names)
    grid = g.source("f64" if x.dtype == "f64" else "f32", [x.dims[0]] + places + [Dim.of(rank)], -1.4, 1.4)
    outcome = sampled(g, x, list(x.dims[:2]) + places, mode)
    outcome.low, outcome.high = min(outcome.low, 0), max(outcome.high, 0)
    return g.emit("GridSample", [x, grid], outcome, mode=names[mode], padding_mode=attribute(g, "zeros", "border", "reflection"),
                  align_corners=attribute(g, 0, 1))
