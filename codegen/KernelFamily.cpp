#include "codegen/KernelFamily.h"

#include "runtime/base/NominalSize.h"

#include <algorithm>

namespace kiln {

bool KernelFamily::isLegal(const Problem &problem, const Config &config, const TargetInfo &target) const {
  std::vector<Config> all = candidates(problem, target);
  return std::find(all.begin(), all.end(), config) != all.end() || config == defaultConfig(problem, target);
}

const KernelFamily *findFamily(std::span<const KernelFamily *const> families, std::string_view name) {
  for (const KernelFamily *family : families)
    if (family->name() == name)
      return family;
  return nullptr;
}

SymbolValues nominalSizes(const Problem &problem) {
  SymbolValues sizes;
  for (const std::string &symbol : problem.symbols()) {
    auto known = problem.ranges.find(symbol);
    sizes[symbol] = known == problem.ranges.end() ? nominalSize() : nominalSize(known->second.low, known->second.high);
  }
  return sizes;
}

} // namespace kiln
