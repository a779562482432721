#include "codegen/families/common/Launches.h"

namespace kiln {

std::vector<BufferRef> allBuffers(const Problem &problem, Problem::ValueId packed) {
  std::vector<BufferRef> buffers;
  for (Problem::ValueId id : problem.inputs())
    buffers.push_back(id == packed ? BufferRef::packedInput(0) : BufferRef::input(int(buffers.size())));
  for (size_t i = 0; i < problem.outputs.size(); ++i)
    buffers.push_back(BufferRef::output(int(i)));
  return buffers;
}

Launch beginLaunch(cpu::Emitter &e, const Problem &problem, std::string symbol, std::vector<BufferRef> buffers) {
  Launch launch;
  launch.symbol = std::move(symbol);
  launch.buffers = std::move(buffers);
  std::vector<std::string> symbols = problem.symbols();
  for (const std::string &name : symbols)
    launch.sizes.push_back(SizeExpr::symbol(name));
  e.beginKernel(launch.symbol, launch.buffers.size(), symbols);
  return launch;
}

void endLaunch(cpu::Emitter &e, Emission &emission, Launch launch, SizeExpr grid, SizeExpr scratchBytes) {
  e.endKernel();
  launch.grid = std::move(grid);
  launch.scratchBytes = std::move(scratchBytes);
  emission.launches.push_back(std::move(launch));
}

BasePointers basePointers(cpu::Emitter &e, const Problem &problem) {
  BasePointers pointers;
  size_t inputs = problem.inputs().size();
  for (size_t i = 0; i < inputs; ++i)
    pointers.inputs.push_back(e.buffer(i));
  for (size_t i = 0; i < problem.outputs.size(); ++i)
    pointers.outputs.push_back(e.buffer(inputs + i));
  return pointers;
}

Launch beginLaunch(cpu::Emitter &e, const Problem &problem, std::string symbol, SizeExpr grid) {
  Launch launch = beginLaunch(e, problem, std::move(symbol), allBuffers(problem));
  launch.grid = std::move(grid);
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
