// Pooling: one max_pool or avg_pool over any number of spatial dims, with elementwise work after it. Channels last is the fast
// layout (vectors of channels); channels first is computed element by element.
#pragma once

#include "codegen/KernelFamily.h"

namespace kiln {

class PoolingFamily : public KernelFamily {
public:
  std::string_view name() const override { return "pooling"; }
  int version() const override { return 1; }
  /// One such op on a buffer, its pads resolved; every other op elementwise on its result; all outputs of its dims.
  bool claims(const Problem &problem) const override;
  std::optional<std::string> layoutPreference(const Problem &problem) const override;
  std::vector<Config> candidates(const Problem &problem, const TargetInfo &target) const override;
  Config defaultConfig(const Problem &problem, const TargetInfo &target) const override;
  Result<Emission> emit(const Problem &problem, const Config &config, const TargetInfo &target,
                        mlir::MLIRContext &context) const override;
  Exactness exactness(const Problem &problem, const Config &config) const override;
};

} // namespace kiln
