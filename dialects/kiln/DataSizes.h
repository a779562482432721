// Sizes that only data tells, and the ops that tell them.
#pragma once

#include "dialects/kiln/SizeTable.h"
#include "mlir/IR/Operation.h"

#include <set>

namespace kiln {

/// The sizes from data that an expression, the dims of a type, or an op (its results, and the kernel that it stands for)
/// depends on.
std::set<std::string> sizesFromData(const SizeExpr &size, const SizeTable &sizes);
std::set<std::string> sizesFromData(mlir::Type type, const SizeTable &sizes);
std::set<std::string> sizesFromData(mlir::Operation *op, const SizeTable &sizes);

/// Whether there are any.
inline bool dependsOnData(const SizeExpr &size, const SizeTable &sizes) { return !sizesFromData(size, sizes).empty(); }

/// Whether running `op` tells a size: a result has a size from data that no operand has, and the op's operands say what
/// it is. Such an op is control flow, or a call of its reference kernel, which returns its results.
bool tellsSize(mlir::Operation *op, const SizeTable &sizes);

} // namespace kiln
