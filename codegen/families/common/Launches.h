// Launches of a kernel: what they say of themselves (KernelFamily::describe), and their functions under emission.
#pragma once

#include "codegen/emit/Emitter.h"
#include "codegen/problem/Problem.h"
#include "runtime/base/KernelInterface.h"

namespace kiln {

/// Every input in order, then every output; the constant input `packed`, if any, as packed constant 0.
std::vector<KernelOperand> allOperands(const Problem &problem, Problem::ValueId packed = Problem::absent);

/// The launch that computes the problem: all of its work, over `operands` or else allOperands(problem).
KernelInterface::Launch mainLaunch(const Problem &problem, std::string name, SizeExpr grid, SizeExpr scratchBytes = 0,
                                   std::vector<KernelOperand> operands = {});
/// The interface of a kernel of one launch.
KernelInterface oneLaunch(KernelInterface::Launch launch);

/// A launch before the main one that writes `bytes` of the workspace, in another form, from one input.
KernelInterface::Launch preparingLaunch(const Problem &problem, std::string name, Problem::ValueId input, SizeExpr grid,
                                        SizeExpr bytes, SizeExpr scratchBytes = 0);

/// Opens the function of launch `index`; `e.size` knows the interface's symbols. Closed by e.endKernel().
void beginLaunch(emit::Emitter &e, const KernelInterface &interface, size_t index = 0);

/// Base pointers in a kernel over allOperands(problem).
struct BasePointers {
  std::vector<mlir::Value> inputs, outputs; ///< as Problem::inputs() and Problem::outputs
};
BasePointers basePointers(emit::Emitter &e, const Problem &problem);

} // namespace kiln
