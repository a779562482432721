// What the norm family makes of a problem before it emits anything.
#pragma once

#include "codegen/families/common/Space.h"
#include "codegen/problem/Problem.h"

#include <optional>

namespace kiln {

struct Normalization {
  enum class Kind { Softmax, LogSoftmax, LayerNorm, RmsNorm, GroupNorm };
  Kind kind;
  const Problem::Op *op;
  Problem::ValueId x, y;
  int64_t axis;
  DType dtype; // of x
  // The space as [outer..., axis part, inner part]: `inner` is 1 but for softmax over an axis before the last.
  std::vector<SizeExpr> outer;
  SizeExpr length, inner;
  SizeExpr channelsPerGroup = 1; // GroupNorm: `outer` ends with the channels, `length` is one channel
  // Buffers of the problem (inputs() order) in dims of outer + {length, inner}.
  std::vector<std::vector<SizeExpr>> buffers;

  /// Nothing when the problem is not one for the family. `problem` has its channel operands aligned.
  static std::optional<Normalization> of(const Problem &problem);

  std::vector<SizeExpr> space() const {
    std::vector<SizeExpr> dims = outer;
    dims.push_back(length);
    return dims;
  }
};

} // namespace kiln
