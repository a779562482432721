#include "dialects/kiln/HostValues.h"

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

bool isSizeArithmetic(Operation *op) {
  return computesHostValues(op) && (isa<ShapeOp>(op) || llvm::all_of(op->getOperandTypes(), isHostValue));
}

} // namespace kiln
