// Linear algebra.
include "dialects/kiln/KilnBase.td"

def Kiln_MatMulOp : Kiln_Op<"matmul", Role_Contraction> {
  let summary = "matrix product over the last two dims; the others broadcast as in numpy";
  let description = [{Both operands have rank 2 or more. `transpose_a`, `transpose_b`: that operand's last two dims are swapped.}];
  let arguments = (ins AnyRankedTensor:$a, AnyRankedTensor:$b, Default<I64Attr, "0">:$transpose_a,
                       Default<I64Attr, "0">:$transpose_b);
}

def Kiln_DetOp : Kiln_Op<"det", Role_Contraction> {
  let summary = "determinant of the square matrices in the last two dims";
  let arguments = (ins AnyRankedTensor:$x);
  let onnxName = "Det";
}

def Kiln_DftOp : Kiln_Op<"dft", Role_Contraction, 0, [AttrSizedOperandSegments]> {
  let summary = "discrete Fourier transform along `axis`; the last dim holds real parts, or real and imaginary ones";
  let description = [{
    The signal is cut, or continued with zeros, to `length` elements (0: as many as there are). With `inverse` the result is divided by that number.
    `onesided`: of a transform only the first half and the middle (length / 2 + 1) are made; an inverse one takes those, and gives real numbers, 2 * (size - 1)
    of them where `length` is 0. `axis` and `length` are attributes or, where they are computed, the operands along and count (one integer).
  }];
  let arguments = (ins AnyRankedTensor:$x, Optional<AnyRankedTensor>:$count, Optional<AnyRankedTensor>:$along,
                       Default<I64Attr, "-2">:$axis, Default<I64Attr, "0">:$length, Default<I64Attr, "0">:$inverse,
                       Default<I64Attr, "0">:$onesided);
}
