#include "passes/plan/KernelTable.h"

#include "dialects/kiln/SizeTable.h"

using namespace mlir;

namespace kiln {

static ArrayAttr keyOf(StringAttr family, StringAttr problem, StringAttr config) {
  return ArrayAttr::get(family.getContext(), {family, problem, config});
}

KernelTable::KernelTable(ModuleOp module) : module(module) {
  for (auto kernel : module.getOps<plan_ir::KernelOp>()) {
    kernels[keyOf(kernel.getFamilyAttr(), kernel.getProblemAttr(), kernel.getConfigAttr())] = kernel;
    last = kernel;
  }
}

Result<KernelInterface> KernelTable::interfaceOf(KernelOp op) {
  auto missing = [&](StringRef name) {
    return makeError(ErrorCode::E0313, "a kernel has no implementation yet, or a damaged one: attribute ", name.str(),
                     "; stage `configured` is needed here");
  };
  for (StringRef name : {"family", "problem", "config", "interface", "sizes"})
    if (!op->hasAttr(name))
      return missing(name);
  auto [it, isNew] = interfaces.try_emplace(op.getInterfaceAttr());
  if (isNew) {
    Result<KernelInterface> parsed = KernelInterface::parse(std::string_view(*op.getInterface()));
    if (!parsed.ok())
      return missing("interface (" + parsed.status().message() + ")");
    it->second = *std::move(parsed);
  }
  const KernelInterface &interface = it->second;
  if (interface.inputs.size() != op->getNumOperands() || interface.outputs.size() != op->getNumResults())
    return missing("interface");
  if (interface.symbols.size() != op.getSizes()->size())
    return missing("sizes");
  for (auto [value, port] : llvm::zip(op->getOperands(), interface.inputs))
    if (getRank(value.getType()) != int64_t(port.dims.size()))
      return missing("interface");
  for (auto [value, port] : llvm::zip(op->getResults(), interface.outputs))
    if (getRank(value.getType()) != int64_t(port.dims.size()))
      return missing("interface");
  for (auto size : op.getSizes()->getAsRange<StringAttr>())
    if (!SizeExpr::parse(std::string_view(size.getValue())).ok())
      return missing("sizes");
  return interface;
}

FlatSymbolRefAttr KernelTable::symbolOf(KernelOp op) {
  plan_ir::KernelOp &kernel = kernels[keyOf(op.getFamilyAttr(), op.getProblemAttr(), op.getConfigAttr())];
  if (!kernel) {
    OpBuilder b(module.getContext());
    if (last)
      b.setInsertionPointAfter(last);
    else
      b.setInsertionPointToStart(module.getBody());
    kernel = last = b.create<plan_ir::KernelOp>(
        module.getLoc(), b.getStringAttr("k" + Twine(kernels.size() - 1)), op.getFamilyAttr(), op.getConfigAttr(),
        op.getProblemAttr(), op.getInterfaceAttr(), op.getSourceAttr() ? op.getSourceAttr() : b.getStringAttr(""),
        op.getPriceAttr() ? op.getPriceAttr() : b.getI64IntegerAttr(0));
  }
  return FlatSymbolRefAttr::get(kernel.getSymNameAttr());
}

std::vector<SizeExpr> sizesOver(KernelOp op, const KernelInterface &interface, ArrayRef<SizeExpr> own) {
  std::map<std::string, SizeExpr> values;
  for (auto [name, value] : llvm::zip(interface.symbols, op.getSizes()->getAsRange<StringAttr>()))
    values.emplace(name, plan_ir::sizeOf(value));
  std::vector<SizeExpr> sizes;
  for (const SizeExpr &size : own)
    sizes.push_back(size.substitute(values));
  return sizes;
}

} // namespace kiln
