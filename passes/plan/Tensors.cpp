#include "passes/plan/Tensors.h"

#include "dialects/kiln/Build.h"

namespace kiln {

plan_ir::ViewType viewOf(mlir::Type tensor) {
  auto type = mlir::cast<mlir::RankedTensorType>(tensor);
  return plan_ir::ViewType::get(tensor.getContext(), *dtypeOf(type.getElementType()), getDims(type));
}

int64_t nominalBytes(mlir::Type tensor) {
  int64_t bytes = dtypeBytes(*dtypeOf(mlir::cast<mlir::RankedTensorType>(tensor).getElementType()));
  for (const SizeExpr &dim : getDims(tensor))
    bytes *= dim.asConstant().value_or(128);
  return bytes;
}

bool isView(mlir::Operation *op) { return mlir::isa<ReshapeOp>(op); }

} // namespace kiln
