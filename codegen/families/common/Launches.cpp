#include "codegen/families/common/Launches.h"

namespace kiln {

std::vector<SizeExpr> launchSizes(const std::vector<std::string> &symbols) {
  std::vector<SizeExpr> sizes;
  for (const std::string &symbol : symbols)
    sizes.push_back(SizeExpr::symbol(symbol));
  return sizes;
}

Launch beginLaunch(cpu::Emitter &e, const Problem &problem, std::string symbol, SizeExpr grid) {
  Launch launch;
  launch.symbol = std::move(symbol);
  launch.grid = std::move(grid);
  for (size_t i = 0; i < problem.inputs().size(); ++i)
    launch.buffers.push_back(BufferRef::input(int(i)));
  for (size_t i = 0; i < problem.outputs.size(); ++i)
    launch.buffers.push_back(BufferRef::output(int(i)));
  std::vector<std::string> symbols = problem.symbols();
  launch.sizes = launchSizes(symbols);
  e.beginKernel(launch.symbol, launch.buffers.size(), symbols);
  return launch;
}

Emission finishLaunch(cpu::Emitter &e, Launch launch) {
  e.endKernel();
  Emission emission;
  emission.module = e.take();
  emission.launches.push_back(std::move(launch));
  return emission;
}

} // namespace kiln
