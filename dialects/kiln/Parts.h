// Slices that need no work: what they show lies in their operand's memory as it is, from an offset on.
#pragma once

#include "mlir/IR/Operation.h"

#include <optional>

namespace kiln {

/// On a slice that no kernel computes: planning gives its result that part of the operand's memory.
inline constexpr llvm::StringLiteral partAttrName = "kiln.part";
inline bool isPart(mlir::Operation *op) { return op->hasAttr(partAttrName); }

/// Where in its operand's memory the result of a slice lies, in bytes, if it lies there in one piece; its sizes must be
/// numbers.
std::optional<int64_t> partOffset(mlir::Operation *op);

} // namespace kiln
