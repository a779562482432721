#include "passes/graph/WorkShare.h"

#include "dialects/kiln/KernelOracle.h"

namespace kiln {

double countFlops(mlir::Operation *root, KernelOracle &oracle) {
  double sum = 0;
  root->walk([&](mlir::Operation *op) {
    if (op->getNumRegions() == 0)
      sum += oracle.flops(op);
  });
  return sum;
}

} // namespace kiln
