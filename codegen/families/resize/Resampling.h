// Resampling: a problem of one resize, taken apart.
#pragma once

#include "codegen/problem/Problem.h"

#include <optional>
#include <string>
#include <vector>

namespace kiln {

struct Resampling {
  /// A dim of x and of the result; neighbours that are not resized may be one.
  struct Dim {
    SizeExpr in, out;
    bool resized = false;
    std::optional<double> scale; ///< where the op gives it; else it is out / in
  };

  const Problem::Op *op = nullptr;
  Problem::ValueId x = Problem::absent, y = Problem::absent;
  std::string mode, coordinates, nearest;
  double cubic = -0.75;
  bool excludeOutside = false;
  std::vector<Dim> dims; ///< at least one
  /// Elements read along a resized dim: 1, 2 or 4.
  int64_t taps = 1;

  bool isNearest() const { return taps == 1; }
  const Dim &row() const { return dims.back(); }
  /// Whether `id` is read at the result's own places, by the work after it.
  bool isReadAfter(Problem::ValueId id) const { return id != x && (op->operands.size() < 2 || id != op->operands[1]); }
  size_t resizedDims() const;

  /// One resize to known or stretched sizes of floating-point numbers (nearest: of anything), without antialias and
  /// regions; every other op elementwise on its result, all outputs of its dims.
  static std::optional<Resampling> of(const Problem &problem);
};

} // namespace kiln
