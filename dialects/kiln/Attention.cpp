#include "dialects/kiln/Attention.h"

#include "dialects/kiln/ShapeRules.h"
#include "mlir/IR/OpImplementation.h"

using namespace mlir;

namespace kiln {

Result<ResultShapes> AttentionOp::inferShapes(ShapeContext &context) {
  Dims q = getDims(getQ()), k = getDims(getK()), v = getDims(getV());
  size_t rank = q.size();
  if (rank < 2 || k.size() != rank || v.size() != rank)
    return makeError(ErrorCode::E0304, "q, k and v must have one rank of at least 2");
  for (size_t i = 0; i + 2 < rank; ++i) {
    KILN_TRY(context.requireEqual(q[i], k[i]).withContext("leading dims: "));
    KILN_TRY(context.requireEqual(q[i], v[i]).withContext("leading dims: "));
  }
  KILN_TRY(context.requireEqual(q[rank - 1], k[rank - 1]).withContext("q and k: "));
  KILN_TRY(context.requireEqual(k[rank - 2], v[rank - 2]).withContext("k and v: "));
  if (getMask()) {
    Dims scores = q;
    scores[rank - 1] = k[rank - 2];
    Dims mask = getDims(getMask());
    if (mask.size() > rank)
      return makeError(ErrorCode::E0304, "mask ", printDims(mask), " has too many dims");
    KILN_TRY(context.broadcast(scores, mask).status().withContext("mask: "));
  }
  q[rank - 1] = v[rank - 1];
  return one(q, elementTypeOf(getQ()));
}

} // namespace kiln

#define GET_OP_CLASSES
#include "dialects/kiln/Attention.cpp.inc"
