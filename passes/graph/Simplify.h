// The pattern groups of AlgebraicSimplify.
#pragma once

#include "dialects/kiln/SizeTable.h"
#include "mlir/IR/PatternMatch.h"

namespace kiln {

/// Identities and cheaper forms of elementwise ops and reductions.
void addElementwisePatterns(mlir::RewritePatternSet &patterns);
/// Reshapes, transposes, slices and the like that vanish, merge or move to where they vanish.
void addMovementPatterns(mlir::RewritePatternSet &patterns);
/// Contractions: transposes and scalars around matmul, normalisation into weights. `sizes` names the dims that
/// flattening makes.
void addContractionPatterns(mlir::RewritePatternSet &patterns, SizeTable &sizes);

} // namespace kiln
