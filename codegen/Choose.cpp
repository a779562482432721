#include "codegen/Choose.h"

#include "runtime/base/Hash.h"

#include <algorithm>

namespace kiln {

namespace {

/// The lower the rank, the more a choice outweighs.
int rankOf(const Choice &choice) { return choice.source == "forced" ? 0 : choice.source == "cache" ? 1 : 2; }

/// Whether `choice` goes before one of a family that is preferred.
bool isBetter(const Choice &choice, const Choice &preferred) {
  constexpr double clearly = 0.9;
  if (rankOf(choice) != rankOf(preferred))
    return rankOf(choice) < rankOf(preferred);
  return choice.seconds < clearly * preferred.seconds && choice.source != "forced";
}

/// The family's own choice, without its price; the measured one where it comes from the cache.
Result<Choice> chooseOf(const KernelFamily &family, const Problem &problem, const std::string &text,
                        const ChooseOptions &options) {
  Choice choice;
  choice.family = &family;
  auto forced = options.forced.find(text);
  if (forced == options.forced.end())
    forced = options.forced.find(family.name());
  if (forced != options.forced.end()) {
    if (!family.isLegal(problem, forced->second, options.target))
      return makeError(ErrorCode::E0806, "configuration ", forced->second.print(), " is not legal for family ",
                       family.name(), " and the problem ", text);
    choice.config = forced->second;
    choice.source = "forced";
    return choice;
  }

  TuningKey key;
  key.problem = text;
  key.target = options.target.print();
  key.family = family.name();
  key.familyVersion = family.version();
  TuningCache::Lookup found = options.cache.lookup(key);
  choice.missReason = found.missReason;
  if (found.hit) {
    if (family.isLegal(problem, found.hit->config, options.target)) {
      choice.config = found.hit->config;
      choice.seconds = found.hit->seconds;
      choice.source = "cache";
      return choice;
    }
    choice.missReason = "cached configuration is not legal any more";
  }
  choice.config = family.defaultConfig(problem, options.target);
  choice.source = "default";
  return choice;
}

/// Any candidate of any of the families.
Choice chooseAtRandom(std::span<const KernelFamily *const> claiming, const Problem &problem, const std::string &text,
                      const ChooseOptions &options) {
  std::vector<Choice> all;
  for (const KernelFamily *family : claiming)
    for (Config &config : family->candidates(problem, options.target))
      all.push_back({family, std::move(config), 0, "random", ""});
  return all[hash64(text, *options.seed) % all.size()];
}

} // namespace

std::vector<const KernelFamily *> claimingFamilies(const Problem &problem,
                                                   std::span<const KernelFamily *const> families) {
  bool several = std::ranges::any_of(problem.ops, [](const Problem::Op &op) { return op.results.size() > 1; });
  std::vector<const KernelFamily *> claiming;
  for (const KernelFamily *family : families)
    if ((!several || family->takesSeveralResults()) && family->claims(problem))
      claiming.push_back(family);
  return claiming;
}

Result<std::vector<Choice>> propose(const Problem &problem, const ChooseOptions &options) {
  std::vector<const KernelFamily *> claiming = claimingFamilies(problem, options.families);
  std::vector<Choice> choices;
  if (claiming.empty())
    return choices;
  std::string text = problem.print();
  for (const KernelFamily *family : claiming) {
    KILN_ASSIGN(Choice choice, chooseOf(*family, problem, text, options));
    choices.push_back(std::move(choice));
  }
  bool isForced = std::ranges::any_of(choices, [](const Choice &choice) { return choice.source == "forced"; });
  if (options.seed && !isForced)
    choices = {chooseAtRandom(claiming, problem, text, options)};
  for (Choice &choice : choices)
    if (choice.source != "cache")
      choice.seconds = choice.family->cost(problem, choice.config, options.target);
  auto best = choices.begin();
  for (auto it = best + 1; it != choices.end(); ++it)
    if (isBetter(*it, *best))
      best = it;
  std::rotate(choices.begin(), best, best + 1);
  return choices;
}

Result<Choice> choose(const Problem &problem, const ChooseOptions &options) {
  KILN_ASSIGN(std::vector<Choice> choices, propose(problem, options));
  if (choices.empty())
    return makeError(ErrorCode::E0901, "no kernel family claims the problem ", problem.print());
  return std::move(choices[0]);
}

} // namespace kiln
