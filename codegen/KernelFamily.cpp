#include "codegen/KernelFamily.h"

#include <algorithm>

namespace kiln {

bool KernelFamily::isLegal(const Problem &problem, const Config &config, const TargetInfo &target) const {
  std::vector<Config> all = candidates(problem, target);
  return std::find(all.begin(), all.end(), config) != all.end() || config == defaultConfig(problem, target);
}

CostEstimate KernelFamily::cost(const Problem &problem, const Config &config, const TargetInfo &target) const {
  // Memory or arithmetic, whichever takes longer, at middling rates of one core.
  constexpr double bytesPerSecond = 15e9, flopsPerSecondPerLane = 6e9;
  SymbolValues sizes = nominalSizes(problem);
  auto value = [&](const SizeExpr &expr) {
    Result<int64_t> result = expr.evaluate(sizes);
    return result.ok() ? double(*result) : 0.0;
  };
  CostEstimate estimate;
  estimate.bytes = value(bytes(problem));
  estimate.flops = value(flops(problem));
  estimate.seconds =
      std::max(estimate.bytes / bytesPerSecond, estimate.flops / (flopsPerSecondPerLane * target.lanes(32)));
  return estimate;
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
    int64_t size = 128;
    if (auto it = problem.ranges.find(symbol); it != problem.ranges.end()) {
      if (it->second.high)
        size = std::min(size, *it->second.high);
      if (it->second.low)
        size = std::max(size, *it->second.low);
    }
    sizes[symbol] = size;
  }
  return sizes;
}

} // namespace kiln
