#include "codegen/CodegenOracle.h"

#include "codegen/RegionProblem.h"
#include "dialects/kiln/Build.h"
#include "dialects/kiln/SizeTable.h"
#include "dialects/kiln/Structure.h"
#include "runtime/base/NominalSize.h"
#include "runtime/base/PlantedBug.h"

#include <algorithm>
#include <set>

namespace kiln {

static Result<RegionProblem> problemOfOne(mlir::Operation *op, Precision precision) {
  llvm::SmallVector<mlir::Value> results(op->getResults());
  return problemOf(op, results, nullptr, precision);
}

/// "default (problem not in the cache); conv: 12.3 us"
static std::string reasonOf(const std::vector<Choice> &choices) {
  std::string reason = choices[0].source;
  if (!choices[0].missReason.empty() && choices[0].missReason != "no cache")
    reason += " (" + choices[0].missReason + ")";
  for (const Choice &other : std::span(choices).subspan(1)) {
    char microseconds[32];
    std::snprintf(microseconds, sizeof microseconds, "%.1f us", other.seconds * 1e6);
    reason += "; " + std::string(other.family->name()) + ": " + microseconds;
  }
  return reason;
}

Result<std::vector<Implementation>> CodegenOracle::implementations(const Problem &problem) {
  auto [it, isNew] = known.try_emplace(problem.print());
  if (!isNew)
    return it->second;
  Result<std::vector<Choice>> choices = kiln::propose(problem, options);
  if (!choices.ok()) {
    known.erase(it);
    return choices.status();
  }
  for (const Choice &choice : *choices)
    it->second.push_back(
        {std::string(choice.family->name()), it->first, choice.config.print(), choice.seconds, choice.source});
  if (!choices->empty())
    it->second[0].source = reasonOf(*choices);
  return it->second;
}

std::vector<Implementation> CodegenOracle::propose(llvm::ArrayRef<mlir::Operation *> ops,
                                                   llvm::ArrayRef<mlir::Value> outputs, const SizeTable &sizes) {
  Result<RegionProblem> region = problemOf(ops, outputs, &sizes, precision);
  if (!region.ok())
    return {};
  Result<std::vector<Implementation>> all = implementations(region->problem);
  // A forced configuration that is not legal is told by choose, of the kernel that is formed.
  return all.ok() ? *std::move(all) : std::vector<Implementation>();
}

bool CodegenOracle::isLiteral(mlir::Value constant) { return isLiteralConstant(constant); }

std::optional<std::string> CodegenOracle::layoutPreference(mlir::Operation *op) {
  Result<RegionProblem> region = problemOfOne(op, precision);
  if (!region.ok() || op->getNumResults() != 1)
    return std::nullopt;
  for (const KernelFamily *family : options.families)
    if (std::optional<std::string> layout = family->layoutPreference(region->problem))
      return layout;
  return std::nullopt;
}

double CodegenOracle::flops(mlir::Operation *op) {
  if (mnemonicOf(op).empty() || op->getNumResults() == 0 || op->getNumOperands() == 0)
    return 0;
  std::optional<OpWork> work = workOf(op);
  if (!work)
    return 0;
  std::set<std::string> symbols;
  work->flops.collectSymbols(symbols);
  SymbolValues sizes;
  for (const std::string &symbol : symbols)
    sizes[symbol] = nominalSize();
  Result<int64_t> count = work->flops.evaluate(sizes);
  return count.ok() ? double(*count) : 0;
}

Result<KernelChoice> CodegenOracle::choose(mlir::Operation *kernel, const SizeTable &sizes) {
  KILN_ASSIGN(RegionProblem region, problemOf(kernel, &sizes, precision));
  KILN_ASSIGN(std::vector<Implementation> all, implementations(region.problem));
  if (all.empty())
    return makeError(ErrorCode::E0901, "no kernel family claims the problem ", region.problem.print());
  KernelChoice out;
  static_cast<Implementation &>(out) = all[0];
  const KernelFamily *family = findFamily(options.families, out.family);
  KILN_ASSIGN(Config config, Config::parse(out.config));
  KILN_ASSIGN(KernelInterface interface, family->describe(region.problem, config, options.target));
  out.interface = interface.print();
  out.sizes = std::move(region.sizes);
  out.inputOrder = std::move(region.inputOrder);
  if (out.sizes.size() == 3 && region.problem.ops.size() == 2 && plantedBug("kernel-symbol"))
    std::swap(out.sizes[1], out.sizes[2]);
  return out;
}

} // namespace kiln
