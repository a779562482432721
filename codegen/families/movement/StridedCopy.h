// StridedCopy: the common form of movements whose source is an affine function of the result's index. Both sides may be
// part of a larger tensor.
#pragma once

#include "codegen/emit/Emitter.h"
#include "codegen/problem/Problem.h"

#include <optional>

namespace kiln {

/// result[offset + sum i_d * to_d] = source[offset + sum i_d * from_d] for all i in `dims`; offsets and strides in
/// elements.
struct StridedCopy {
  std::vector<SizeExpr> dims, from, to;
  SizeExpr fromOffset = 0, toOffset = 0;
  unsigned elementBits = 32;

  /// Drops dims of one element and merges neighbours that both sides walk alike.
  void simplify();
};

/// Result strides of a dense tensor.
std::vector<SizeExpr> denseStrides(std::span<const SizeExpr> dims);

/// transpose, slice, expand or tile as a copy; nothing for other ops.
std::optional<StridedCopy> asStridedCopy(const Problem &problem, const Problem::Op &op);

/// Emits one launch of it inside an open kernel whose grid is copyGrid(copy).
SizeExpr copyGrid(const TargetInfo &target, const StridedCopy &copy);
void emitStridedCopy(emit::Emitter &e, const StridedCopy &copy, mlir::Value source, mlir::Value result);

} // namespace kiln
