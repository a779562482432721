#include "passes/plan/Tensors.h"

#include "dialects/kiln/Build.h"
#include "dialects/kiln/Parts.h"
#include "runtime/base/NominalSize.h"
#include "runtime/base/Tensor.h"

namespace kiln {

plan_ir::ViewType viewOf(mlir::Type tensor) {
  auto type = mlir::cast<mlir::RankedTensorType>(tensor);
  return plan_ir::ViewType::get(tensor.getContext(), *dtypeOf(type.getElementType()), getDims(type));
}

mlir::Value rootTensor(mlir::Value tensor) {
  while (mlir::Operation *op = tensor.getDefiningOp()) {
    if (!isView(op) && !isPart(op))
      break;
    tensor = op->getOperand(0);
  }
  return tensor;
}

mlir::Value wholeTensor(mlir::Value tensor) {
  while (tensor.getDefiningOp() && isView(tensor.getDefiningOp()))
    tensor = tensor.getDefiningOp()->getOperand(0);
  return tensor;
}

int64_t nominalBytes(mlir::Type tensor, const SizeTable &sizes) {
  constexpr int64_t most = int64_t(1) << 50; // so that sums of them stay in range
  int64_t bytes = dtypeBytes(*dtypeOf(mlir::cast<mlir::RankedTensorType>(tensor).getElementType()));
  for (const SizeExpr &dim : getDims(tensor)) {
    std::optional<std::string> symbol = dim.asSymbol();
    const SizeTable::Symbol *known = symbol ? sizes.find(*symbol) : nullptr;
    int64_t size = known ? nominalSize(known->low, known->high) : dim.asConstant().value_or(nominalSize());
    bytes = std::min(checkedMul(bytes, size).value_or(most), most);
  }
  return bytes;
}

void writeWork(mlir::Operation *op, const SizeExpr &flops, const SizeExpr &bytes) {
  mlir::Builder b(op->getContext());
  op->setAttr(flopsAttrName, b.getStringAttr(flops.print()));
  op->setAttr(bytesAttrName, b.getStringAttr(bytes.print()));
}

SizeExpr readWork(mlir::Operation *op, llvm::StringRef name) {
  auto text = op->getAttrOfType<mlir::StringAttr>(name);
  if (!text)
    return 0;
  Result<SizeExpr> size = SizeExpr::parse(std::string_view(text.getValue()));
  return size.ok() ? *size : SizeExpr(0);
}

} // namespace kiln
