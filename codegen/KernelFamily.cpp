#include "codegen/KernelFamily.h"

#include "codegen/Roofline.h"
#include "codegen/emit/Emitter.h"
#include "runtime/base/NominalSize.h"

#include <algorithm>
#include <limits>

namespace kiln {

bool KernelFamily::isLegal(const Problem &problem, const Config &config, const TargetInfo &target) const {
  std::vector<Config> all = candidates(problem, target);
  return std::find(all.begin(), all.end(), config) != all.end() || config == defaultConfig(problem, target);
}

Result<KernelInterface> KernelFamily::describe(const Problem &problem, const Config &config,
                                               const TargetInfo &target) const {
  if (!isLegal(problem, config, target))
    return makeError(ErrorCode::E0902, name(), ": illegal configuration ", config.print());
  KILN_ASSIGN(KernelInterface interface, describeLaunches(problem, config, target));
  auto portOf = [&](Problem::ValueId id) {
    return KernelInterface::Port{problem.value(id).dtype, problem.value(id).dims};
  };
  interface.symbols = problem.symbols();
  for (Problem::ValueId id : problem.inputs())
    interface.inputs.push_back(portOf(id));
  for (Problem::ValueId id : problem.outputs)
    interface.outputs.push_back(portOf(id));
  for (const Problem::InPlace &pair : problem.inPlace)
    interface.inPlace.push_back({uint32_t(pair.output), uint32_t(pair.input)});
  return interface;
}

Result<Emission> KernelFamily::emit(const Problem &problem, const Config &config, const TargetInfo &target,
                                    emit::Emitter &emitter) const {
  Emission emission;
  KILN_ASSIGN(emission.interface, describe(problem, config, target));
  emitLaunches(problem, config, target, emission.interface, emitter);
  emission.module = emitter.take();
  return emission;
}

double KernelFamily::cost(const Problem &problem, const Config &config, const TargetInfo &target,
                          const SymbolValues &sizes) const {
  Result<KernelInterface> interface = describeLaunches(problem, config, target);
  if (!interface.ok())
    return std::numeric_limits<double>::infinity();
  auto known = [&](const SizeExpr &size) {
    Result<int64_t> value = size.evaluate(sizes);
    return value.ok() ? double(*value) : 0;
  };
  Roofline roofline(target);
  double moved = 0, workgroups = 0;
  for (const KernelInterface::Launch &launch : interface->launches) {
    moved += known(launch.bytes);
    workgroups += known(launch.grid);
  }
  double memory = roofline.memoryCycles(moved);
  double arithmetic = cycles(problem, config, target, sizes);
  // They overlap, but not wholly.
  double work = std::max(memory, arithmetic) + 0.3 * std::min(memory, arithmetic);
  return double(interface->launches.size()) * roofline.launchSeconds +
         roofline.seconds(work + workgroups * roofline.workgroupCycles);
}

double KernelFamily::cost(const Problem &problem, const Config &config, const TargetInfo &target) const {
  return cost(problem, config, target, nominalSizes(problem));
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
