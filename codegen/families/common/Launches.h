// The common shape of an emission of one launch: all inputs, then all outputs, and the problem's symbols.
#pragma once

#include "codegen/Emission.h"
#include "codegen/cpu/Emitter.h"

namespace kiln {

/// What a launch passes as sizes: the values of these symbols, in order.
std::vector<SizeExpr> launchSizes(const std::vector<std::string> &symbols);
/// Opens the kernel function: buffers are the problem's inputs in order, then its outputs; `e.size` knows its symbols.
Launch beginLaunch(cpu::Emitter &e, const Problem &problem, std::string symbol, SizeExpr grid);
/// Closes it and makes the emission.
Emission finishLaunch(cpu::Emitter &e, Launch launch);

} // namespace kiln
