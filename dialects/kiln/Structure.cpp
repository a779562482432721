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

/// Of a control-flow op the functions that it calls tell (ControlFlow.h); by itself it knows what its types say.
static ResultShapes presentShapes(Operation *op) {
  ResultShapes shapes;
  for (Type type : op->getResultTypes())
    shapes.push_back({getDims(type), cast<RankedTensorType>(type).getElementType(), {}});
  return shapes;
}

Result<ResultShapes> CallOp::inferShapes(ShapeContext &) { return presentShapes(*this); }
Result<ResultShapes> IfOp::inferShapes(ShapeContext &) { return presentShapes(*this); }
Result<ResultShapes> LoopOp::inferShapes(ShapeContext &) { return presentShapes(*this); }

LogicalResult CallOp::verify() { return success(); }

static bool isScalar(Value value, unsigned bits) {
  auto type = cast<RankedTensorType>(value.getType());
  return type.getRank() == 0 && type.getElementType().isInteger(bits);
}

LogicalResult IfOp::verify() {
  if (!isScalar(getCondition(), 1))
    return emitOpError("has a condition that is no single bool");
  return success();
}

LogicalResult LoopOp::verify() {
  if (getCount() && !isScalar(getCount(), 64))
    return emitOpError("has a count that is no single i64");
  if (getCondition() && !isScalar(getCondition(), 1))
    return emitOpError("has a condition that is no single bool");
  if (getInitial().size() > getNumResults())
    return emitOpError("carries more values than it has results");
  for (int64_t dim : getVarying())
    if (dim < 0 || dim / 64 >= int64_t(getInitial().size()) ||
        dim % 64 >= getRank(getInitial()[size_t(dim / 64)].getType()))
      return emitOpError("lists a varying dim that does not exist");
  return success();
}

Result<ResultShapes> YieldOp::inferShapes(ShapeContext &) { return ResultShapes(); }
LogicalResult YieldOp::verify() { return success(); }

} // namespace kiln

#define GET_OP_CLASSES
#include "dialects/kiln/Structure.cpp.inc"
