// A problem's convolution, taken apart; shared by the families that implement one.
#pragma once

#include "codegen/families/gemm/ElementTypes.h"
#include "codegen/problem/Problem.h"

#include <optional>
#include <vector>

namespace kiln {

struct Convolution {
  gemm::ElementTypes types;
  /// `filter` is a buffer. So is `input`, or, of integers, it is made from buffers (gemm/IntegerOperands.h).
  Problem::ValueId input = Problem::absent, filter = Problem::absent, bias = Problem::absent, result = Problem::absent;
  std::vector<int64_t> strides, padsBegin, padsEnd, dilations; ///< per spatial dim
  int64_t groups = 1;
  SizeExpr batch, channels, outputs; ///< channels, outputs: of all groups
  SizeExpr groupChannels;
  std::vector<SizeExpr> in, out, kernel; ///< spatial sizes
  bool constantFilter = false;
  bool copiesInput = false; ///< widened, or made from others

  size_t spatialRank() const { return strides.size(); }
  bool padded() const;
  SizeExpr taps() const { return SizeExpr::product(kernel); }
  SizeExpr pixels() const { return batch * SizeExpr::product(out); }

  /// The one convolution of a problem: channels last, operands that are buffers of their own or made from bytes;
  /// nothing for any other problem.
  static std::optional<Convolution> of(const Problem &problem);
};

} // namespace kiln
