// The one way in which passes rewrite: MLIR's greedy driver with a cap, a count per pattern that names the culprit when
// patterns undo each other, and fuel (`--opt-limit=N`), by which a miscompile is bisected to one rewrite.
#pragma once

#include "mlir/IR/PatternMatch.h"

#include <cstdint>

namespace kiln {

/// Applies the patterns to everything in `root` until none matches. Region simplification is off. A cap proportional to
/// the number of ops stops patterns that never end; that is an error naming the patterns that fired most.
llvm::LogicalResult runPatterns(mlir::Operation *root, mlir::RewritePatternSet patterns, llvm::StringRef passName);

/// For passes that rewrite by themselves: whether `what` may rewrite `op`. Counts it.
bool takeFuel(mlir::Operation *op, llvm::StringRef what);
/// Whether takeFuel would say yes; counts nothing.
bool hasFuel(mlir::MLIRContext *context);

} // namespace kiln
