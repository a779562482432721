#include "codegen/families/common/Launches.h"

namespace kiln {

std::vector<KernelOperand> allOperands(const Problem &problem, Problem::ValueId packed) {
  std::vector<KernelOperand> operands;
  for (Problem::ValueId id : problem.inputs())
    operands.push_back(id == packed ? KernelOperand::packed(0) : KernelOperand::input(operands.size()));
  for (size_t i = 0; i < problem.outputs.size(); ++i)
    operands.push_back(KernelOperand::output(i));
  return operands;
}

KernelInterface::Launch mainLaunch(const Problem &problem, std::string name, SizeExpr grid, SizeExpr scratchBytes,
                                   std::vector<KernelOperand> operands) {
  if (operands.empty())
    operands = allOperands(problem);
  return {std::move(name),         std::move(operands), std::move(grid),
          std::move(scratchBytes), flops(problem),      bytes(problem)};
}

KernelInterface oneLaunch(KernelInterface::Launch launch) {
  KernelInterface interface;
  interface.launches.push_back(std::move(launch));
  return interface;
}

KernelInterface::Launch preparingLaunch(const Problem &problem, std::string name, Problem::ValueId input, SizeExpr grid,
                                        SizeExpr bytes, SizeExpr scratchBytes) {
  const Problem::Value &value = problem.value(input);
  SizeExpr read = SizeExpr::product(value.dims) * SizeExpr(dtypeBytes(value.dtype));
  return {std::move(name),
          {KernelOperand::input(size_t(problem.inputIndex(input)))},
          std::move(grid),
          std::move(scratchBytes),
          0,
          read + bytes};
}

void beginLaunch(emit::Emitter &e, const KernelInterface &interface, size_t index) {
  const KernelInterface::Launch &launch = interface.launches[index];
  e.beginKernel(launch.name, launch.operands.size(), interface.symbols);
}

BasePointers basePointers(emit::Emitter &e, const Problem &problem) {
  BasePointers pointers;
  size_t inputs = problem.inputs().size();
  for (size_t i = 0; i < inputs; ++i)
    pointers.inputs.push_back(e.buffer(i));
  for (size_t i = 0; i < problem.outputs.size(); ++i)
    pointers.outputs.push_back(e.buffer(inputs + i));
  return pointers;
}

} // namespace kiln
