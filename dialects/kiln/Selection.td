// Ops that select elements or boxes by what they hold: how many there are only a run tells.
include "dialects/kiln/KilnBase.td"

def Kiln_NonzeroOp : Kiln_Op<"nonzero", Role_Movement> {
  let summary = "i64 [rank of x, count]: the positions of elements that are not 0, in row-major order";
  let arguments = (ins AnyRankedTensor:$x);
  let onnxName = "NonZero";
}
def Kiln_CompressOp : Kiln_Op<"compress", Role_Movement> {
  let summary = "slices of x along `axis` for which condition, a vector of booleans that is no longer than the axis, holds";
  let arguments = (ins AnyRankedTensor:$x, AnyRankedTensor:$condition, Default<I64Attr, "0">:$axis);
}
def Kiln_NonMaxSuppressionOp : Kiln_Op<"non_max_suppression", Role_Movement> {
  let summary = "i64 [count, 3]: batch, class and index of the boxes [batches, boxes, 4] that are kept, best first, by scores [batches, classes, boxes]";
  let description = [{
    Of each batch and class, the box of the highest score (of equals the first) is kept, up to `most` of them, unless its overlap (intersection over union)
    with one that is kept already exceeds `overlap`; boxes whose score is not above `least` are left out. These are scalars. A box is two opposite corners
    (y, x), or with `center` its center and size (x, y, width, height).
  }];
  let arguments = (ins AnyRankedTensor:$boxes, AnyRankedTensor:$scores, AnyRankedTensor:$most, AnyRankedTensor:$overlap,
                       Optional<AnyRankedTensor>:$least, Default<I64Attr, "0">:$center);
}
def Kiln_UniqueOp : Kiln_Op<"unique", Role_Movement> {
  let summary = "the different slices of x along `axis`; i64: the first position of each, which of them each slice of x is, and how many are like each";
  let description = [{
    In ascending order, compared element by element, with `sorted`; else in the order of x. NaN equals itself, and is larger than every number.
  }];
  let arguments = (ins AnyRankedTensor:$x, Default<I64Attr, "0">:$axis, Default<I64Attr, "1">:$sorted);
  let results = (outs AnyRankedTensor:$slices, AnyRankedTensor:$first, AnyRankedTensor:$inverse, AnyRankedTensor:$counts);
}
