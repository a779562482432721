// A problem's convolution, taken apart; shared by the families that implement one.
#pragma once

#include "codegen/families/gemm/ElementTypes.h"
#include "codegen/families/gemm/PaddedRows.h"
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
  /// The rows of bytes that tiles read instead of the input's, whose channels are filled up; those counts and
  /// `groupChannels` are of these rows, `filterChannels` is the filter's.
  std::optional<gemm::PaddedRows> paddedRows;
  SizeExpr filterChannels;
  Problem::ValueId zero = Problem::absent; ///< the byte that stands for 0 in the input, where a run tells it

  size_t spatialRank() const { return strides.size(); }
  bool padded() const;
  SizeExpr taps() const { return SizeExpr::product(kernel); }
  SizeExpr pixels() const { return batch * SizeExpr::product(out); }

  /// The one convolution of a problem: channels last, operands that are buffers of their own or made from bytes;
  /// nothing for any other problem.
  static std::optional<Convolution> of(const Problem &problem);
  /// The same for kernels that read bytes where the target multiplies such.
  static std::optional<Convolution> of(const Problem &problem, const TargetInfo &target);
};

} // namespace kiln
