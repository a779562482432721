// Choosing the implementation of a problem, over all families that claim it: forced, else at random where that is asked
// for, else cached and still legal, else the default of the cheapest. The one place that decides.
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
  double seconds = 0;     ///< the family's price, an estimate
  std::string source;     ///< "forced", "random", "cache" or "default"
  std::string missReason; ///< why the cache did not decide; empty otherwise
};

/// The families that claim the problem, in order of preference.
std::vector<const KernelFamily *> claimingFamilies(const Problem &problem,
                                                   std::span<const KernelFamily *const> families);

/// A choice of each claiming family, the best first, the others in order of preference: none where no family claims the
/// problem, which is canonical. Prices decide between defaults, where a less preferred family must be a tenth cheaper;
/// measurements of the cache outweigh them. Where a seed decides there is one choice. A forced configuration that is not legal is an error.
Result<std::vector<Choice>> propose(const Problem &problem, const ChooseOptions &options);

/// The first of propose. A problem that no family claims is an error.
Result<Choice> choose(const Problem &problem, const ChooseOptions &options);

} // namespace kiln
