// Reduction: one reduce of any kind over any axes, with elementwise work before and after it.
#pragma once

#include "codegen/KernelFamily.h"

namespace kiln {

class ReductionFamily : public KernelFamily {
public:
  std::string_view name() const override { return "reduction"; }
  int version() const override { return 1; }
  /// One reduce of floats (or a sum, max, min or prod of signed integers); ops before it have its operand's space, ops after
  /// it and all outputs have its result's dims.
  bool claims(const Problem &problem) const override;
  std::vector<Config> candidates(const Problem &problem, const TargetInfo &target) const override;
  Config defaultConfig(const Problem &problem, const TargetInfo &target) const override;
  Result<Emission> emit(const Problem &problem, const Config &config, const TargetInfo &target,
                        mlir::MLIRContext &context) const override;
  Exactness exactness(const Problem &problem, const Config &config) const override;
};

} // namespace kiln
