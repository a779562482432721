// What the reduction family makes of a problem before it emits anything.
#pragma once

#include "codegen/families/common/Access.h"
#include "codegen/problem/Problem.h"

#include <optional>

namespace kiln {

enum class ReduceKind { Sum, Mean, Max, Min, Prod, L1, L2, SumSquare, LogSum, LogSumExp };

struct Reduction {
  ReduceKind kind;
  const Problem::Op *op;
  Problem::ValueId x, y;
  DType dtype;
  // The operand's space with neighbouring dims merged where both are kept or both reduced and all buffers allow it.
  std::vector<SizeExpr> space;
  std::vector<bool> reduced;
  SizeExpr folded; // elements that make one result
  // Buffers that the ops before the reduce read, in dims of `space`; those that the ops after it read, in dims of the
  // kept part. Empty lists for buffers that the side does not read. One entry per input of the problem.
  std::vector<std::vector<SizeExpr>> before, after;

  /// Nothing when the problem is not one for the family.
  static std::optional<Reduction> of(const Problem &problem);

  bool vectorOverKept() const { return !space.empty() && !reduced.back(); }
  std::vector<SizeExpr> kept() const;
};

} // namespace kiln
