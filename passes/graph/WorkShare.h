// How much of a model's floating-point work generated code does.
#pragma once

#include "mlir/IR/Operation.h"

namespace kiln {

class KernelOracle;

/// Floating-point operations of all kiln ops below `root` at nominal sizes. What stands in kiln.kernel regions counts only if `kernels` is set.
double countFlops(mlir::Operation *root, KernelOracle &oracle, bool kernels = true);

/// The share of `canonicalFlops` (countFlops at stage canonical) that does not run as host steps after kernels are formed: 0..1.
double generatedShare(mlir::Operation *root, KernelOracle &oracle, double canonicalFlops);

} // namespace kiln
