#include "passes/graph/WorkShare.h"

#include "dialects/kiln/KernelOracle.h"
#include "dialects/kiln/Structure.h"

#include <algorithm>

namespace kiln {

double countFlops(mlir::Operation *root, KernelOracle &oracle, bool kernels) {
  double sum = 0;
  root->walk<mlir::WalkOrder::PreOrder>([&](mlir::Operation *op) {
    if (llvm::isa<KernelOp>(op))
      return kernels ? mlir::WalkResult::advance() : mlir::WalkResult::skip();
    if (op->getNumRegions() == 0)
      sum += oracle.flops(op);
    return mlir::WalkResult::advance();
  });
  return sum;
}

double generatedShare(mlir::Operation *root, KernelOracle &oracle, double canonicalFlops) {
  if (canonicalFlops <= 0)
    return 1;
  double outside = countFlops(root, oracle, /*kernels=*/false);
  return std::clamp(1 - outside / canonicalFlops, 0.0, 1.0);
}

} // namespace kiln
