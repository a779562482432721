// How much floating-point work a model is, for reports of the share that generated code does.
#pragma once

#include "mlir/IR/Operation.h"

namespace kiln {

class KernelOracle;

/// Floating-point operations of all kiln ops below `root`, kernels' bodies included, at nominal sizes.
double countFlops(mlir::Operation *root, KernelOracle &oracle);

} // namespace kiln
