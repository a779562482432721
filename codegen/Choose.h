// Choosing the implementation of a problem: forced, else at random where that is asked for, else cached and still
// legal, else the default. The one place that decides.
#pragma once

#include "codegen/KernelFamily.h"
#include "codegen/tune/TuningCache.h"

namespace kiln {

struct ChooseOptions {
  std::span<const KernelFamily *const> families;
  TargetInfo target;
  TuningCache cache;
  /// Configurations imposed by a developer: by problem text, or for every problem of a family by its name.
  std::map<std::string, Config, std::less<>> forced;
  /// Takes any of the family's candidates for each problem, decided by this seed and the problem's text alone: for
  /// tests, which reach every candidate so.
  std::optional<uint64_t> seed;
};

struct Choice {
  const KernelFamily *family = nullptr;
  Config config;
  std::string source;     ///< "forced", "random", "cache" or "default"
  std::string missReason; ///< why the cache did not decide; empty otherwise
};

/// The family that gets the problem; null when none claims it.
const KernelFamily *claimingFamily(const Problem &problem, std::span<const KernelFamily *const> families);

/// `problem` is canonical. A problem that no family claims is an error, as is a forced configuration that is not legal.
Result<Choice> choose(const Problem &problem, const ChooseOptions &options);

} // namespace kiln
