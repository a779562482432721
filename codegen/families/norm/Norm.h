// Norm: one softmax, log_softmax, layer_norm, rms_norm or group_norm with elementwise work before and after it, in one visit of
// each row.
#pragma once

#include "codegen/KernelFamily.h"

namespace kiln {

class NormFamily : public KernelFamily {
public:
  std::string_view name() const override { return "norm"; }
  int version() const override { return 1; }
  /// One such op over the last axis (softmax over any axis); every other op elementwise; all outputs of its operand's dims;
  /// over the normalised axes each buffer is either full or constant.
  bool claims(const Problem &problem) const override;
  std::vector<Config> candidates(const Problem &problem, const TargetInfo &target) const override;
  Config defaultConfig(const Problem &problem, const TargetInfo &target) const override;
  Result<Emission> emit(const Problem &problem, const Config &config, const TargetInfo &target,
                        mlir::MLIRContext &context) const override;
  Exactness exactness(const Problem &problem, const Config &config) const override;
};

} // namespace kiln
