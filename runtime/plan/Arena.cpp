#include "runtime/plan/Arena.h"

#include "runtime/base/PlantedBug.h"
#include "runtime/plan/Packing.h"

#include <algorithm>

namespace kiln {

std::vector<LiveInterval> liveIntervals(const Program &program, const Function &function) {
  constexpr int64_t never = -1;
  std::vector<LiveInterval> intervals(function.buffers.size(), {never, never});
  int64_t moment = 0;
  auto use = [&](ViewId view, bool = false) {
    if (view == noView)
      return;
    LiveInterval &interval = intervals[function.views[view].buffer];
    interval.first = interval.first == never ? moment : interval.first;
    interval.last = moment;
  };
  std::vector<std::vector<KernelOperand>> kernelOperands;
  for (const Kernel &kernel : program.kernels)
    kernelOperands.push_back(kernel.interface.operands());
  for (const Step &step : function.steps) {
    auto *launch = std::get_if<LaunchStep>(&step.action);
    if (!launch) {
      step.forEachView(use);
      ++moment;
      continue;
    }
    const KernelInterface &interface = program.kernels[launch->kernel].interface;
    const std::vector<KernelOperand> &operands = kernelOperands[launch->kernel];
    for (const KernelInterface::Launch &part : interface.launches) {
      for (size_t i = 0; i < operands.size(); ++i)
        // Every launch has the workspace at hand, whatever its buffer table holds.
        if (operands[i] == KernelOperand::workspace() ||
            std::find(part.operands.begin(), part.operands.end(), operands[i]) != part.operands.end())
          use(launch->operands[i]);
      ++moment;
    }
  }
  for (LiveInterval &interval : intervals)
    if (!function.sharesMemory)
      interval = {0, std::max<int64_t>(moment - 1, 0)};
    else if (interval.first == never)
      interval = {0, 0};
  return intervals;
}

static void assignArena(const Program &program, Function &function) {
  std::vector<LiveInterval> live = liveIntervals(program, function);
  bool known = true;
  for (const Buffer &buffer : function.buffers)
    known &= !buffer.inArena() || buffer.bytes.isConstant();
  auto pack = [&](Buffer::Space space) {
    std::vector<PackInterval> intervals;
    for (size_t i = 0; i < function.buffers.size(); ++i)
      if (const Buffer &buffer = function.buffers[i]; buffer.inArena() && buffer.space == space) {
        intervals.push_back({buffer.bytes.asConstant().value_or(0), live[i].first, live[i].last});
        if (live[i].last > live[i].first && plantedBug("arena-lifetime", intervals.back().bytes, 256, 84))
          --intervals.back().last;
      }
    return known ? packOffsets(intervals) : Packing();
  };
  Packing host = pack(Buffer::Space::Host), device = pack(Buffer::Space::Device);
  known &= host.total >= 0 && device.total >= 0;
  function.arenaBytes = known ? std::optional(host.total) : std::nullopt;
  function.deviceArenaBytes = known ? device.total : 0;
  size_t nextHost = 0, nextDevice = 0;
  for (Buffer &buffer : function.buffers)
    if (buffer.inArena())
      buffer.offset = !known                                ? std::nullopt
                      : buffer.space == Buffer::Space::Host ? std::optional(host.offsets[nextHost++])
                                                            : std::optional(device.offsets[nextDevice++]);
}

void assignArenas(Program &program) {
  for (Function &function : program.functions)
    assignArena(program, function);
}

} // namespace kiln
