// Choosing the implementation of a problem: forced, else cached and still legal, else the default. The one place that
// decides.
#pragma once

#include "codegen/KernelFamily.h"
#include "codegen/tune/TuningCache.h"

namespace kiln {

struct ChooseOptions {
  std::span<const KernelFamily *const> families = cpuFamilies();
  TargetInfo target;
  TuningCache cache;
  /// Configurations imposed by a developer: by problem text, or for every problem of a family by its name.
  std::map<std::string, Config, std::less<>> forced;
};

struct Choice {
  const KernelFamily *family = nullptr;
  Config config;
  std::string source;     ///< "forced", "cache" or "default"
  std::string missReason; ///< why the cache did not decide; empty otherwise
};

/// The family that gets the problem; null when none claims it.
const KernelFamily *claimingFamily(const Problem &problem, std::span<const KernelFamily *const> families);

/// `problem` is canonical. A problem that no family claims is an error, as is a forced configuration that is not legal.
Result<Choice> choose(const Problem &problem, const ChooseOptions &options);

} // namespace kiln
