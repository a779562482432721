#include "dialects/kiln/DataSizes.h"

#include "dialects/kiln/ControlFlow.h"
#include "dialects/kiln/Ops.h"

using namespace mlir;

namespace kiln {

std::set<std::string> sizesFromData(const SizeExpr &size, const SizeTable &sizes) {
  std::set<std::string> used, open;
  if (size.isInvalid() || size.isConstant())
    return open;
  sizes.expand(size).collectSymbols(used);
  for (const std::string &name : used)
    if (const SizeTable::Symbol *symbol = sizes.find(name); symbol && symbol->dataDependent)
      open.insert(name);
  return open;
}

std::set<std::string> sizesFromData(Type type, const SizeTable &sizes) {
  std::set<std::string> open;
  for (const SizeExpr &dim : getDims(type))
    open.merge(sizesFromData(dim, sizes));
  return open;
}

std::set<std::string> sizesFromData(Operation *op, const SizeTable &sizes) {
  std::set<std::string> open;
  for (Type type : op->getResultTypes())
    open.merge(sizesFromData(type, sizes));
  if (auto kernel = dyn_cast<KernelOp>(op); kernel && kernel.getSizes())
    for (auto text : kernel.getSizes()->getAsRange<StringAttr>())
      if (Result<SizeExpr> size = SizeExpr::parse(std::string_view(text.getValue())); size.ok())
        open.merge(sizesFromData(*size, sizes));
  return open;
}

/// Whether something beside the result types says the dims.
static bool findsDims(Operation *op) {
  if (isControlFlow(op))
    return true;
  auto kilnOp = dyn_cast<KilnOpInterface>(op);
  if (!kilnOp || kilnOp.getFusionRole() == FusionRole::Structure || isa<ConstantOp>(op))
    return false;
  return !(isa<ReshapeOp, ExpandOp, TileOp>(op) && op->getNumOperands() == 1);
}

bool tellsSize(Operation *op, const SizeTable &sizes) {
  if (!findsDims(op))
    return false;
  std::set<std::string> open = sizesFromData(op, sizes);
  for (Type type : op->getOperandTypes())
    for (const std::string &name : sizesFromData(type, sizes))
      open.erase(name);
  return !open.empty();
}

bool mayTellSize(Operation *op) {
  auto isStatic = [](Type type) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    return !tensor || tensor.hasStaticShape();
  };
  if (llvm::all_of(op->getResultTypes(), isStatic) || !findsDims(op))
    return false;
  std::set<std::string> shown, named;
  auto collect = [](TypeRange types, std::set<std::string> &names) {
    for (Type type : types)
      for (const SizeExpr &dim : getDims(type))
        if (!dim.isInvalid())
          dim.collectSymbols(names);
  };
  collect(op->getOperandTypes(), shown);
  collect(op->getResultTypes(), named);
  return llvm::any_of(named, [&](const std::string &name) { return SizeTable::isFromData(name) && !shown.count(name); });
}

} // namespace kiln
