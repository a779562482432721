#include "dialects/kiln/HostValues.h"

#include "dialects/kiln/Elementwise.h"
#include "dialects/kiln/Movement.h"

using namespace mlir;

namespace kiln {

bool isHostValue(Type type) {
  constexpr int64_t few = 16;
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && isa<IntegerType>(tensor.getElementType()) && tensor.hasStaticShape() &&
         tensor.getNumElements() <= few;
}

bool computesHostValues(Operation *op) {
  return op->getNumResults() > 0 && !isa<ConstantOp>(op) && llvm::all_of(op->getResultTypes(), isHostValue);
}

/// Bytes are quantized numbers, and go to whoever computes with them.
static bool convertsBytes(Operation *op) {
  return isa<CastOp>(op) && getElementTypeOrSelf(op->getOperand(0).getType()).isInteger(8);
}

bool isSizeArithmetic(Operation *op) {
  if (convertsBytes(op))
    return false;
  return computesHostValues(op) && (isa<ShapeOp>(op) || llvm::all_of(op->getOperandTypes(), isHostValue));
}

} // namespace kiln
