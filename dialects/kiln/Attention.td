include "dialects/kiln/KilnBase.td"

def Kiln_AttentionOp : Kiln_Op<"attention", Role_Contraction> {
  let summary = "softmax(q * scale @ transpose(k) + mask) @ v; mask broadcasts to [B.., S, T]";
  let description = [{q is [B.., S, D], k [B.., T, D], v [B.., T, E] with equal leading dims.}];
  let arguments = (ins AnyRankedTensor:$q, AnyRankedTensor:$k, AnyRankedTensor:$v, Optional<AnyRankedTensor>:$mask,
                       Default<F64Attr, "1.0">:$scale);
}
