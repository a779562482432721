// Ops that move, repeat, select or make elements, and the arithmetic of shapes.
include "dialects/kiln/KilnBase.td"

def Kiln_ReshapeOp : Kiln_Op<"reshape", Role_View, 1> {
  let summary = "the same elements in row-major order under other dims";
  let stridedView = 1;
  let description = [{
    With `shape`: -1 is inferred (once), 0 copies the operand's dim unless `allow_zero`. Without it the result type says the dims: the form after shape
    inference.
  }];
  let arguments = (ins AnyRankedTensor:$x, Optional<AnyRankedTensor>:$shape, Default<I64Attr, "0">:$allow_zero);
}
def Kiln_TransposeOp : Kiln_Op<"transpose", Role_Movement, 1> {
  let summary = "dim i of the result is dim perm[i] of x";
  let stridedView = 1;
  let arguments = (ins AnyRankedTensor:$x, DenseI64ArrayAttr:$perm);
}
def Kiln_ConcatOp : Kiln_Op<"concat", Role_Movement, 1> {
  let summary = "operands one after the other along `axis`";
  let arguments = (ins Variadic<AnyRankedTensor>:$xs, I64Attr:$axis);
}
def Kiln_SliceOp : Kiln_Op<"slice", Role_Movement, 1> {
  let summary = "elements start, start + step, ... before end, per axis; negative positions count from the end, out-of-range ones are clamped";
  let stridedView = 1;
  let description = [{
    Static form: the attributes, no further operands. Dynamic form: operands starts, ends and optionally axes, steps (1-D integer tensors) and no attributes.
  }];
  let arguments = (ins AnyRankedTensor:$x, Variadic<AnyRankedTensor>:$bounds, Default<DenseI64ArrayAttr, "{}">:$starts,
                       Default<DenseI64ArrayAttr, "{}">:$ends, Default<DenseI64ArrayAttr, "{}">:$axes,
                       Default<DenseI64ArrayAttr, "{}">:$steps);
}
def Kiln_GatherOp : Kiln_Op<"gather", Role_Movement, 1> {
  let summary = "slices of x along `axis` at the positions in indices; negative ones count from the end";
  let arguments = (ins AnyRankedTensor:$x, AnyRankedTensor:$indices, Default<I64Attr, "0">:$axis);
  let onnxName = "Gather";
}
def Kiln_GatherElementsOp : Kiln_Op<"gather_elements", Role_Movement> {
  let summary = "result[..i..] = x[..indices[..i..]..] along `axis`";
  let arguments = (ins AnyRankedTensor:$x, AnyRankedTensor:$indices, Default<I64Attr, "0">:$axis);
  let onnxName = "GatherElements";
}
def Kiln_GatherNdOp : Kiln_Op<"gather_nd", Role_Movement> {
  let summary = "elements or slices of x at the index tuples in the last dim of indices";
  let arguments = (ins AnyRankedTensor:$x, AnyRankedTensor:$indices, Default<I64Attr, "0">:$batch_dims);
  let onnxName = "GatherND";
}
def Kiln_ScatterElementsOp : Kiln_Op<"scatter_elements", Role_Movement> {
  let updatesInPlace = 1;
  let summary = "x with result[..indices[..i..]..] = updates[..i..] along `axis`, in row-major order";
  let description = [{`reduction` (none, add, mul, min, max) joins an update with what is there.}];
  let arguments = (ins AnyRankedTensor:$x, AnyRankedTensor:$indices, AnyRankedTensor:$updates, Default<I64Attr, "0">:$axis,
                       DefaultStr<"none">:$reduction);
}
def Kiln_ScatterNdOp : Kiln_Op<"scatter_nd", Role_Movement> {
  let updatesInPlace = 1;
  let summary = "x with updates put in at the index tuples in the last dim of indices, in row-major order";
  let description = [{`reduction` as of scatter_elements.}];
  let arguments = (ins AnyRankedTensor:$x, AnyRankedTensor:$indices, AnyRankedTensor:$updates, DefaultStr<"none">:$reduction);
}
def Kiln_ReverseSequenceOp : Kiln_Op<"reverse_sequence", Role_Movement> {
  let summary = "x with the first lengths[b] elements along `time_axis` in reverse order, for each b along `batch_axis`";
  let arguments = (ins AnyRankedTensor:$x, AnyRankedTensor:$lengths, Default<I64Attr, "1">:$batch_axis,
                       Default<I64Attr, "0">:$time_axis);
}
def Kiln_ExpandOp : Kiln_Op<"expand", Role_Movement, 1> {
  let summary = "x broadcast against `shape`, in both directions; without it the result type says the dims";
  let stridedView = 1;
  let arguments = (ins AnyRankedTensor:$x, Optional<AnyRankedTensor>:$shape);
  let onnxName = "Expand";
}
def Kiln_BitcastOp : Kiln_Op<"bitcast", Role_Movement> {
  let summary = "the same bits as elements of another type of the same width";
  let arguments = (ins AnyRankedTensor:$x, StrAttr:$to);
}
def Kiln_PadOp : Kiln_Op<"pad", Role_Movement> {
  let summary = "x with margins of a constant value, or continued by mode edge, reflect or wrap";
  let description = [{
    Static form: attribute `pads` (all begins, all ends; negative ones crop) and `value`. Dynamic form: operand pads and optionally value, attribute
    `pads` absent.
  }];
  let arguments = (ins AnyRankedTensor:$x, Variadic<AnyRankedTensor>:$bounds, DefaultStr<"constant">:$mode,
                       Default<DenseI64ArrayAttr, "{}">:$pads, Default<F64Attr, "0.0">:$value);
}
def Kiln_TileOp : Kiln_Op<"tile", Role_Movement> {
  let summary = "x repeated repeats[i] times along dim i; without the operand the result type says how often";
  let arguments = (ins AnyRankedTensor:$x, Optional<AnyRankedTensor>:$repeats);
  let onnxName = "Tile";
}
def Kiln_ShapeOp : Kiln_Op<"shape", Role_Source, 1> {
  let summary = "i64 vector of the dims start..end-1 of x, clamped; `end` absent: to the last";
  let arguments = (ins AnyRankedTensor:$x, Default<I64Attr, "0">:$start, Default<I64Attr, "9223372036854775807">:$end);
}
def Kiln_RangeOp : Kiln_Op<"range", Role_Source, 1> {
  let summary = "start, start + delta, ... before limit; scalars of one type";
  let arguments = (ins AnyRankedTensor:$start, AnyRankedTensor:$limit, AnyRankedTensor:$delta);
  let onnxName = "Range";
}
def Kiln_ConstantOp : Kiln_Op<"constant", Role_Source, 1, [ConstantLike]> {
  let summary = "a value known at compile time: DenseElementsAttr (small) or #kiln.weight";
  let arguments = (ins TypedAttrInterface:$value);
  let structural = 1;
  let hasFolder = 1;
}
