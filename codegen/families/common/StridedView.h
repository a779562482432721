// A value of a problem as a strided view of one of its buffers: transposes, slices and reshapes that need not be
// computed.
#pragma once

#include "codegen/problem/Problem.h"

#include <optional>
#include <vector>

namespace kiln {

struct StridedView {
  Problem::ValueId buffer = Problem::absent;
  std::vector<SizeExpr> dims;    ///< of the view
  std::vector<SizeExpr> strides; ///< in elements, per dim
  SizeExpr offset;               ///< of the first element, in elements

  /// Walks from `id` through transposes, slices (forward, of known bounds) and reshapes (that split dims, or merge dims
  /// which lie behind each other) to a buffer; nothing where anything else lies between.
  static std::optional<StridedView> of(const Problem &problem, Problem::ValueId id);
};

/// How elements of `id` are to be written so that `output`, `id` itself or its transposes, comes out: strides in
/// elements per dim of `id`.
std::optional<std::vector<SizeExpr>> outputStrides(const Problem &problem, Problem::ValueId id,
                                                   Problem::ValueId output);

/// Row-major strides of dims.
std::vector<SizeExpr> rowMajorStrides(const std::vector<SizeExpr> &dims);

} // namespace kiln
