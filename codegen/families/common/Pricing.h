// What families count when they price a problem (Kernel::cycles): elements, and the elementwise ops of an epilogue or
// prologue.
#pragma once

#include "codegen/problem/Problem.h"
#include "codegen/problem/TargetInfo.h"

namespace kiln {

/// Cycles of a core for a vector instruction: two go at once.
inline constexpr double vectorCycles = 0.5;

/// A problem at known sizes. Sizes that overflow count as none.
class PricedProblem {
public:
  PricedProblem(const Problem &problem, const TargetInfo &target, const SymbolValues &sizes)
      : problem(problem), target(target), sizes(sizes) {}

  double value(const SizeExpr &size) const;
  double product(std::span<const SizeExpr> dims) const;
  double elements(Problem::ValueId id) const { return product(problem.value(id).dims); }
  /// Vectors of `lanes` that cover rows of the last of `dims`, all rows together.
  double rowVectors(std::span<const SizeExpr> dims, double lanes) const;
  /// Lanes of a vector of the problem's widest elements.
  double lanes() const;
  /// Cycles of all elementwise ops, each over the elements of its result.
  double elementwiseCycles() const;

  const Problem &problem;
  const TargetInfo &target;
  const SymbolValues &sizes;
};

} // namespace kiln
