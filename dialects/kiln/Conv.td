// Windows over spatial dims: convolution and pooling. `layout` says where the channel dim of x and of the result is; "nchw" and "nhwc" stand for
// any number of spatial dims. Lists have one entry per spatial dim, `pads` all begins and then all ends.
include "dialects/kiln/KilnBase.td"

def Kiln_ConvOp : Kiln_Op<"conv", Role_Contraction> {
  let summary = "convolution; w is [outputs, inputs / groups, window...] in every layout, bias has one element per output";
  let description = [{`auto_pad` (same_upper, same_lower) stands for `pads` until the sizes are known.}];
  let arguments = (ins AnyRankedTensor:$x, AnyRankedTensor:$w, Optional<AnyRankedTensor>:$bias, DenseI64ArrayAttr:$strides,
                       DenseI64ArrayAttr:$pads, DenseI64ArrayAttr:$dilations, Default<I64Attr, "1">:$groups,
                       DefaultStr<"nchw">:$layout, OptionalAttr<StrAttr>:$auto_pad);
}

def Kiln_ConvTransposeOp : Kiln_Op<"conv_transpose", Role_Contraction> {
  let summary = "each element of x adds its multiple of the window to the result; w is [inputs, outputs / groups, window...], bias has one "
                "element per output";
  let description = [{
    The result has strides * (size - 1) + output_padding + dilations * (window - 1) + 1 - pads elements per spatial dim. `output_shape` (empty or one
    entry per spatial dim), or else `auto_pad` (same_upper, same_lower: size * strides), tells the size instead; `pads` are then what makes it so, the odd
    one at the end for same_upper, else at the beginning.
  }];
  let arguments = (ins AnyRankedTensor:$x, AnyRankedTensor:$w, Optional<AnyRankedTensor>:$bias, DenseI64ArrayAttr:$strides,
                       DenseI64ArrayAttr:$pads, DenseI64ArrayAttr:$dilations, Default<I64Attr, "1">:$groups,
                       Default<DenseI64ArrayAttr, "{}">:$output_padding, Default<DenseI64ArrayAttr, "{}">:$output_shape,
                       OptionalAttr<StrAttr>:$auto_pad);
}

def Kiln_DeformConvOp : Kiln_Op<"deform_conv", Role_Window, 0, [AttrSizedOperandSegments]> {
  let summary = "convolution of images whose window reads between their elements: at its places plus offset, times mask";
  let description = [{
    x is [N, channels, H, W]. offset [N, offset_groups * places * 2, ...] holds a row and a column for each place of the window and each element of the
    result, mask [N, offset_groups * places, ...] a factor; the channels are divided among the `offset_groups`. x is interpolated linearly, and 0 beyond.
  }];
  let arguments = (ins AnyRankedTensor:$x, AnyRankedTensor:$w, AnyRankedTensor:$offset, Optional<AnyRankedTensor>:$bias,
                       Optional<AnyRankedTensor>:$mask, DenseI64ArrayAttr:$strides, DenseI64ArrayAttr:$pads,
                       DenseI64ArrayAttr:$dilations, Default<I64Attr, "1">:$groups, Default<I64Attr, "1">:$offset_groups);
}

class Kiln_Pool<string mnemonic> : Kiln_Op<mnemonic, Role_Window> {
  let shapeCode = [{
    Result<ResultShapes> $cppClass::inferShapes(ShapeContext &context) { return inferPool(getOperation(), context); }
  }];
}
def Kiln_MaxPoolOp : Kiln_Pool<"max_pool"> {
  let summary = "maximum of each window; padding does not take part";
  let arguments = (ins AnyRankedTensor:$x, DenseI64ArrayAttr:$kernel, DenseI64ArrayAttr:$strides, DenseI64ArrayAttr:$pads,
                       DenseI64ArrayAttr:$dilations, Default<I64Attr, "0">:$ceil_mode, DefaultStr<"nchw">:$layout,
                       OptionalAttr<StrAttr>:$auto_pad);
}
def Kiln_MaxPoolIndicesOp : Kiln_Op<"max_pool_indices", Role_Window> {
  let summary = "max_pool and where each maximum is: its i64 position in the whole of x, which of a channel counts the spatial dims backwards if "
                "`column_major`; -1 for a window in the pads alone";
  let arguments = (ins AnyRankedTensor:$x, DenseI64ArrayAttr:$kernel, DenseI64ArrayAttr:$strides, DenseI64ArrayAttr:$pads,
                       DenseI64ArrayAttr:$dilations, Default<I64Attr, "0">:$ceil_mode, Default<I64Attr, "0">:$column_major,
                       OptionalAttr<StrAttr>:$auto_pad);
  let results = (outs AnyRankedTensor:$result, AnyRankedTensor:$indices);
}
def Kiln_AvgPoolOp : Kiln_Pool<"avg_pool"> {
  let summary = "mean of each window; padding counts if `count_include_pad`";
  let arguments = (ins AnyRankedTensor:$x, DenseI64ArrayAttr:$kernel, DenseI64ArrayAttr:$strides, DenseI64ArrayAttr:$pads,
                       DenseI64ArrayAttr:$dilations, Default<I64Attr, "0">:$ceil_mode, Default<I64Attr, "0">:$count_include_pad,
                       DefaultStr<"nchw">:$layout, OptionalAttr<StrAttr>:$auto_pad);
}
def Kiln_LpPoolOp : Kiln_Op<"lp_pool", Role_Window> {
  let summary = "p-norm of each window: the p-th root of the sum of the p-th powers of magnitudes; padding does not take part";
  let arguments = (ins AnyRankedTensor:$x, DenseI64ArrayAttr:$kernel, DenseI64ArrayAttr:$strides, DenseI64ArrayAttr:$pads,
                       DenseI64ArrayAttr:$dilations, Default<I64Attr, "0">:$ceil_mode, Default<F64Attr, "2.0">:$p,
                       DefaultStr<"nchw">:$layout, OptionalAttr<StrAttr>:$auto_pad);
}
