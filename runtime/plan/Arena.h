// Where the buffers of a function's arena lie: when each is in use, and offsets for functions whose sizes are all
// known. (Of others the runtime packs the same intervals once the sizes are bound.)
#pragma once

#include "runtime/plan/Program.h"

#include <vector>

namespace kiln {

/// The moments at which a buffer is in use, both inclusive. Every launch of a kernel is a moment, and so is every other
/// step. A buffer that nothing uses is {0, 0}.
struct LiveInterval {
  int64_t first = 0, last = 0;
};

/// One for each buffer of the function.
std::vector<LiveInterval> liveIntervals(const Program &program, const Function &function);

/// For every function: sets arenaBytes and the offsets of its buffers where all of their sizes are known, and removes
/// them else. Each memory has an arena of its own.
void assignArenas(Program &program);

} // namespace kiln
