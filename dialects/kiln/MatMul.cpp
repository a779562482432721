#include "dialects/kiln/MatMul.h"

#include "dialects/kiln/ShapeRules.h"
#include "mlir/IR/OpImplementation.h"

using namespace mlir;

namespace kiln {

Result<ResultShapes> MatMulOp::inferShapes(ShapeContext &context) {
  Dims a = getDims(getA()), b = getDims(getB());
  if (a.size() < 2 || b.size() < 2)
    return makeError(ErrorCode::E0304, "operands must have rank 2 or more");
  if (elementTypeOf(getA()) != elementTypeOf(getB()))
    return makeError(ErrorCode::E0305, "operands have different element types");
  size_t ra = a.size(), rb = b.size();
  SizeExpr m = a[ra - 2], ka = a[ra - 1], kb = b[rb - 2], n = b[rb - 1];
  if (getTransposeA())
    std::swap(m, ka);
  if (getTransposeB())
    std::swap(kb, n);
  KILN_TRY(context.requireEqual(ka, kb).withContext("operands " + printDims(a) + " and " + printDims(b) +
                                                    " do not multiply: "));
  KILN_ASSIGN(Dims dims, context.broadcast(ArrayRef(a).drop_back(2), ArrayRef(b).drop_back(2)));
  dims.push_back(m);
  dims.push_back(n);
  return one(dims, elementTypeOf(getA()));
}

} // namespace kiln

#define GET_OP_CLASSES
#include "dialects/kiln/MatMul.cpp.inc"
