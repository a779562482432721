// Kernel functions under emission and how the host is to call them.
#pragma once

#include "codegen/Emission.h"
#include "codegen/cpu/Emitter.h"

namespace kiln {

/// Every input in order, then every output; the constant input `packed`, if any, in the form of Emission::packed[0].
std::vector<BufferRef> allBuffers(const Problem &problem, Problem::ValueId packed = Problem::absent);
/// Opens a kernel function over `buffers`; `e.size` knows the problem's symbols.
Launch beginLaunch(cpu::Emitter &e, const Problem &problem, std::string symbol, std::vector<BufferRef> buffers);
/// Closes it: called over `grid` workgroups with `scratchBytes` for each worker.
void endLaunch(cpu::Emitter &e, Emission &emission, Launch launch, SizeExpr grid, SizeExpr scratchBytes = SizeExpr(0));

/// Base pointers in a kernel over allBuffers(problem).
struct BasePointers {
  std::vector<mlir::Value> inputs, outputs; ///< as Problem::inputs() and Problem::outputs
};
BasePointers basePointers(cpu::Emitter &e, const Problem &problem);

/// For emissions of one launch over allBuffers(problem); the caller sets its scratchBytes in between.
Launch beginLaunch(cpu::Emitter &e, const Problem &problem, std::string symbol, SizeExpr grid);
Emission finishLaunch(cpu::Emitter &e, Launch launch);

} // namespace kiln
