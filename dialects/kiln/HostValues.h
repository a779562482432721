// Values that the host computes with while it launches: sizes, positions, flags.
#pragma once

#include "mlir/IR/Operation.h"

namespace kiln {

/// Few integers or booleans.
bool isHostValue(mlir::Type type);
/// Whether all that the op computes are such values.
bool computesHostValues(mlir::Operation *op);
/// Whether it computes them from such values, or from the dims of a tensor. No kernel would be faster.
bool isSizeArithmetic(mlir::Operation *op);

} // namespace kiln
