// Ops that read x between its elements, by interpolation.
include "dialects/kiln/KilnBase.td"

def Kiln_ResizeOp : Kiln_Op<"resize", Role_Window> {
  let summary = "x sampled anew along `axes` (all where there are none): to `scales` times its size, rounded down, or to sizes";
  let description = [{
    One scale (taken as f32) or one size per axis: attribute `scales`, or an operand that holds sizes where it is of integers, and scales where it is of
    floating-point numbers. With sizes, `policy` not_larger (not_smaller) takes the least (largest) of
    the scales that they make for all axes, and rounds the size to the nearest, halves up; stretch takes each.
    `mode` nearest, linear or cubic; the latter two with `antialias` widen their window where the scale is below 1. `coordinates` says which position in x
    belongs to one in the result: half_pixel, half_pixel_symmetric, pytorch_half_pixel, align_corners, asymmetric, tf_half_pixel_for_nn or tf_crop_and_resize,
    which samples `roi` or one more operand (all starts, all ends, as parts of the size) and gives `extrapolation_value` beyond x. `nearest` says which element is: floor, ceil,
    round_prefer_floor, round_prefer_ceil, or by_scale (floor where the axis grows, else ceil). Beyond its ends x continues with its last elements;
    with `exclude_outside` those have no weight.
  }];
  let arguments = (ins AnyRankedTensor:$x, Variadic<AnyRankedTensor>:$bounds, Default<DenseF64ArrayAttr, "{}">:$scales, Default<DenseI64ArrayAttr, "{}">:$axes, DefaultStr<"stretch">:$policy, DefaultStr<"nearest">:$mode,
                       DefaultStr<"half_pixel">:$coordinates, DefaultStr<"round_prefer_floor">:$nearest,
                       Default<F64Attr, "-0.75">:$cubic_coeff_a, Default<I64Attr, "0">:$antialias,
                       Default<I64Attr, "0">:$exclude_outside, Default<DenseF64ArrayAttr, "{}">:$roi,
                       Default<F64Attr, "0.0">:$extrapolation_value);
}

def Kiln_GridSampleOp : Kiln_Op<"grid_sample", Role_Window> {
  let summary = "x [N, C, D...] at the positions in grid [N, result dims..., one per D, the last dim of x first], of which -1 and 1 are its ends";
  let description = [{
    `mode` nearest, linear or cubic. With `align_corners` -1 and 1 are the middles of the first and last elements, else their outer edges. `padding` says
    what is beyond x: zeros, border (its last elements) or reflection (at its ends).
  }];
  let arguments = (ins AnyRankedTensor:$x, AnyRankedTensor:$grid, DefaultStr<"linear">:$mode, DefaultStr<"zeros">:$padding,
                       Default<I64Attr, "0">:$align_corners);
}

def Kiln_RoiAlignOp : Kiln_Op<"roi_align", Role_Window> {
  let summary = "regions of the images x [N, C, H, W]: rois[i] (x, y, x, y) of image indices[i], each as `height` by `width` bins of samples";
  let description = [{
    A bin is the average of its samples, or with `mode` max the largest of their four weighted elements. `sampling_ratio` says how many there are along
    each axis of a bin; 0: as many as its size, rounded up. Regions are multiplied by `spatial_scale`; with `half_pixel` they are moved by half an element,
    without it each is at least 1 by 1. x is interpolated linearly, goes on by one element with its last ones, and is 0 beyond.
  }];
  let arguments = (ins AnyRankedTensor:$x, AnyRankedTensor:$rois, AnyRankedTensor:$indices, DefaultStr<"avg">:$mode,
                       Default<I64Attr, "1">:$height, Default<I64Attr, "1">:$width, Default<I64Attr, "0">:$sampling_ratio,
                       Default<F64Attr, "1.0">:$spatial_scale, Default<I64Attr, "1">:$half_pixel);
}
