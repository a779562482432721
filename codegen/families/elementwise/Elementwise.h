// Elementwise: any graph of elementwise ops with broadcasting, one sweep over the common space of its outputs.
#pragma once

#include "codegen/KernelFamily.h"

namespace kiln {

class ElementwiseFamily : public KernelFamily {
public:
  std::string_view name() const override { return "elementwise"; }
  int version() const override { return 1; }
  /// Every op has a scalar body for its element types (or is a batch_norm), literals have one element, all outputs have the
  /// same dims.
  bool claims(const Problem &problem) const override;
  std::vector<Config> candidates(const Problem &problem, const TargetInfo &target) const override;
  Config defaultConfig(const Problem &problem, const TargetInfo &target) const override;
  Result<Emission> emit(const Problem &problem, const Config &config, const TargetInfo &target,
                        mlir::MLIRContext &context) const override;
  Exactness exactness(const Problem &problem, const Config &config) const override;
};

} // namespace kiln
