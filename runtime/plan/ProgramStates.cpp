#include "runtime/plan/ProgramStates.h"

#include <algorithm>

namespace kiln {

SizeExpr Function::bytesOf(const StatePort &port) const {
  SizeExpr before = views[port.view].bytes();
  return port.grown == noView ? before : SizeExpr::max(before, views[port.grown].bytes());
}

const State *Program::stateTaken(const Function &function, size_t i) const {
  return i < function.inputs.size() ? nullptr : &states[function.states[i - function.inputs.size()].state];
}

int64_t firstCapacity(const Program &program, uint32_t state) {
  int64_t longest = 0;
  for (const Entry &entry : program.entries) {
    const Function &function = program.functions[entry.function];
    for (const StatePort &port : function.states) {
      if (port.state != state)
        continue;
      std::optional<std::string> name = function.views[port.view].dims[0].asSymbol();
      auto symbol = std::ranges::find_if(function.symbols, [&](const ProgramSymbol &s) { return name == s.name; });
      if (symbol != function.symbols.end() && symbol->high != INT64_MAX)
        longest = std::max(longest, symbol->high);
    }
  }
  return longest;
}

} // namespace kiln
