// The functions that an entry calls, and what is known of their sizes without running it.
#pragma once

#include "runtime/plan/Program.h"

namespace kiln::tools {

struct CalledFunction {
  FunctionId function = 0;
  std::string node; // of the step that calls it; empty: it goes on with a size from data
  /// Values of its symbols; without those that only data tells.
  std::map<std::string, int64_t> symbols;
};

/// In the order of calls, the first call of each; `symbols` are the entry's.
std::vector<CalledFunction> calledFunctions(const Program &program, FunctionId entry,
                                            const std::map<std::string, int64_t> &symbols);

} // namespace kiln::tools
