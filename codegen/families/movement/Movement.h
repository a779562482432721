// Movement: one op that only moves elements (transpose, slice, concat, gather, expand, pad with a constant, tile), any element type.
#pragma once

#include "codegen/KernelFamily.h"

namespace kiln {

class MovementFamily : public KernelFamily {
public:
  std::string_view name() const override { return "movement"; }
  int version() const override { return 1; }
  /// The problem is exactly one such op in its static form; concat of at most 64 operands.
  bool claims(const Problem &problem) const override;
  std::vector<Config> candidates(const Problem &problem, const TargetInfo &target) const override;
  Config defaultConfig(const Problem &problem, const TargetInfo &target) const override;
  Result<Emission> emit(const Problem &problem, const Config &config, const TargetInfo &target,
                        mlir::MLIRContext &context) const override;
  Exactness exactness(const Problem &problem, const Config &config) const override { return {}; }
};

} // namespace kiln
