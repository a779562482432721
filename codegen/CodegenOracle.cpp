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

std::optional<std::string> CodegenOracle::claim(llvm::ArrayRef<mlir::Operation *> ops,
                                                llvm::ArrayRef<mlir::Value> outputs, const SizeTable &sizes) {
  Result<RegionProblem> region = problemOf(ops, outputs, &sizes, precision);
  if (!region.ok())
    return std::nullopt;
  const KernelFamily *family = claimingFamily(region->problem, options.families);
  return family ? std::optional<std::string>(family->name()) : std::nullopt;
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

Result<KernelChoice> CodegenOracle::choose(mlir::Operation *kernel) {
  KILN_ASSIGN(SizeTable table, SizeTable::read(functionOf(kernel)));
  KILN_ASSIGN(RegionProblem region, problemOf(kernel, &table, precision));
  KILN_ASSIGN(Choice choice, kiln::choose(region.problem, options));
  KernelChoice out;
  out.family = choice.family->name();
  out.problem = region.problem.print();
  out.config = choice.config.print();
  out.source = choice.source;
  KILN_ASSIGN(KernelInterface interface, choice.family->describe(region.problem, choice.config, options.target));
  out.interface = interface.print();
  out.sizes = std::move(region.sizes);
  out.inputOrder = std::move(region.inputOrder);
  if (out.sizes.size() == 3 && region.problem.ops.size() == 2 && plantedBug("kernel-symbol"))
    std::swap(out.sizes[1], out.sizes[2]);
  return out;
}

} // namespace kiln
