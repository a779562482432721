#include "codegen/Choose.h"

#include "runtime/base/Hash.h"

#include <algorithm>

namespace kiln {

const KernelFamily *claimingFamily(const Problem &problem, std::span<const KernelFamily *const> families) {
  bool several = std::ranges::any_of(problem.ops, [](const Problem::Op &op) { return op.results.size() > 1; });
  for (const KernelFamily *family : families)
    if ((!several || family->takesSeveralResults()) && family->claims(problem))
      return family;
  return nullptr;
}

Result<Choice> choose(const Problem &problem, const ChooseOptions &options) {
  Choice choice;
  choice.family = claimingFamily(problem, options.families);
  std::string text = problem.print();
  if (!choice.family)
    return makeError(ErrorCode::E0901, "no kernel family claims the problem ", text);

  auto forced = options.forced.find(text);
  if (forced == options.forced.end())
    forced = options.forced.find(choice.family->name());
  if (forced != options.forced.end()) {
    if (!choice.family->isLegal(problem, forced->second, options.target))
      return makeError(ErrorCode::E0806, "configuration ", forced->second.print(), " is not legal for family ",
                       choice.family->name(), " and the problem ", text);
    choice.config = forced->second;
    choice.source = "forced";
    return choice;
  }

  if (options.seed) {
    std::vector<Config> candidates = choice.family->candidates(problem, options.target);
    choice.config = candidates[hash64(text, *options.seed) % candidates.size()];
    choice.source = "random";
    return choice;
  }

  TuningKey key;
  key.problem = text;
  key.target = options.target.print();
  key.family = choice.family->name();
  key.familyVersion = choice.family->version();
  TuningCache::Lookup found = options.cache.lookup(key);
  choice.missReason = found.missReason;
  if (found.hit) {
    if (choice.family->isLegal(problem, found.hit->config, options.target)) {
      choice.config = found.hit->config;
      choice.source = "cache";
      return choice;
    }
    choice.missReason = "cached configuration is not legal any more";
  }
  choice.config = choice.family->defaultConfig(problem, options.target);
  choice.source = "default";
  return choice;
}

} // namespace kiln
