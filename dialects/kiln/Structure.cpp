#include "dialects/kiln/Structure.h"

#include "dialects/kiln/ShapeRules.h"
#include "mlir/IR/OpImplementation.h"

using namespace mlir;

namespace kiln {

Result<ResultShapes> KernelOp::inferShapes(ShapeContext &) {
  auto yield = cast<YieldOp>(getBody().front().getTerminator());
  ResultShapes shapes;
  for (Type type : yield.getOperandTypes())
    shapes.push_back({getDims(type), cast<RankedTensorType>(type).getElementType(), {}});
  return shapes;
}

LogicalResult KernelOp::verify() {
  Block &body = getBody().front();
  if (body.getArgumentTypes() != getOperandTypes())
    return emitOpError("has operands of other types than its body's arguments");
  auto yield = body.empty() ? YieldOp() : dyn_cast<YieldOp>(body.back());
  if (!yield || yield.getOperandTypes() != getResultTypes())
    return emitOpError("has results of other types than its body yields");
  return success();
}

Result<ResultShapes> YieldOp::inferShapes(ShapeContext &) { return ResultShapes(); }
LogicalResult YieldOp::verify() { return success(); }

} // namespace kiln

#define GET_OP_CLASSES
#include "dialects/kiln/Structure.cpp.inc"
