// What is the same in all families: a family says which problems and configurations it takes, an object of a class of
// its own is one kernel.
#pragma once

#include "codegen/Emission.h"
#include "codegen/KernelFamily.h"
#include "codegen/emit/Emitter.h"
#include "codegen/families/common/Pricing.h"

#include <algorithm>

namespace kiln {

/// A family of kernels that are objects of `Kernel`:
///
///   Kernel(problem, config, target)                    what the configuration makes of a problem of the family
///   KernelInterface describe()                         its launches
///   double cycles(const PricedProblem &)               of arithmetic, at the sizes that it is priced for
///   void emit(Emitter &, const KernelInterface &)      their functions
template <class Kernel> class FamilyOf : public KernelFamily {
protected:
  Result<KernelInterface> describeLaunches(const Problem &problem, const Config &config,
                                           const TargetInfo &target) const final {
    if (!claims(problem))
      return makeError(ErrorCode::E0901, name(), ": not a problem of this family");
    return Kernel(problem, config, target).describe();
  }
  double cycles(const Problem &problem, const Config &config, const TargetInfo &target,
                const SymbolValues &sizes) const final {
    return Kernel(problem, config, target).cycles(PricedProblem(problem, target, sizes));
  }
  void emitLaunches(const Problem &problem, const Config &config, const TargetInfo &target,
                    const KernelInterface &interface, emit::Emitter &emitter) const final {
    Kernel(problem, config, target).emit(emitter, interface);
  }
};

/// One whose configurations say how often the inner loop is unrolled, and no more.
template <class Kernel> class UnrolledFamilyOf : public FamilyOf<Kernel> {
public:
  std::vector<Config> candidates(const Problem &, const TargetInfo &) const final {
    return {unrolled(1), unrolled(2), unrolled(4)};
  }
  Config defaultConfig(const Problem &, const TargetInfo &) const override { return unrolled(4); }

protected:
  static Config unrolled(int64_t times) { return Config{{"unroll", times}}; }
};

inline int unrollOf(const Config &config) { return int(std::clamp<int64_t>(config.getInt("unroll"), 1, 8)); }

} // namespace kiln
