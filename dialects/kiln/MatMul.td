include "dialects/kiln/KilnBase.td"

def Kiln_MatMulOp : Kiln_Op<"matmul", Role_Contraction> {
  let summary = "matrix product over the last two dims; the others broadcast as in numpy";
  let description = [{Both operands have rank 2 or more. `transpose_a`, `transpose_b`: that operand's last two dims are swapped.}];
  let arguments = (ins AnyRankedTensor:$a, AnyRankedTensor:$b, Default<I64Attr, "0">:$transpose_a,
                       Default<I64Attr, "0">:$transpose_b);
}
