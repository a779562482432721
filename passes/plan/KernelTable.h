// The kernels of a module that becomes a program: how each is called, and one plan.kernel for all that are alike.
#pragma once

#include "dialects/kiln/Structure.h"
#include "dialects/plan/PlanDialect.h"
#include "runtime/base/KernelInterface.h"
#include "runtime/base/Status.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/DenseMap.h"

namespace kiln {

class KernelTable {
public:
  explicit KernelTable(mlir::ModuleOp module);

  /// What stage `configured` wrote; E0313 where it is not all there.
  Result<KernelInterface> interfaceOf(KernelOp op);
  /// The plan.kernel of the op's family, problem and configuration, which determine its code; made before the
  /// programs, in order of first use.
  mlir::FlatSymbolRefAttr symbolOf(KernelOp op);

private:
  mlir::ModuleOp module;
  llvm::DenseMap<mlir::Attribute, KernelInterface> interfaces; // by text
  llvm::DenseMap<mlir::Attribute, plan_ir::KernelOp> kernels;  // by family, problem and configuration
  plan_ir::KernelOp last;
};

/// Sizes of a kernel's interface over the function's symbols.
std::vector<SizeExpr> sizesOver(KernelOp op, const KernelInterface &interface, llvm::ArrayRef<SizeExpr> own);

} // namespace kiln
