#include "tools/kiln/CalledFunctions.h"

#include "runtime/plan/Calls.h"

#include <algorithm>

namespace kiln::tools {

namespace {

using Sizes = std::map<std::string, int64_t>;

std::optional<int64_t> evaluate(const SizeExpr &size, const Sizes &symbols) {
  Result<int64_t> value = size.evaluate(symbols);
  return value.ok() ? std::optional(*value) : std::nullopt;
}

/// A dim of what a step hands over as number `input`.
std::optional<int64_t> dimGiven(const Function &caller, const Step &step, const Call &call, size_t input, size_t dim,
                                const Sizes &symbols) {
  size_t leading = leadingInputs(step);
  if (input >= leading)
    return evaluate(caller.views[call.inputs[input - leading]].dims[dim], symbols);
  auto &loop = std::get<LoopStep>(step.action); // a carried value, for the first two have no dims
  const SizeExpr &first = caller.views[loop.initial[input - 2]].dims[dim];
  bool stays = first == caller.views[loop.outputs[input - 2]].dims[dim];
  return stays ? evaluate(first, symbols) : std::nullopt;
}

Sizes sizesOfCall(const Function &function, const Function &caller, const Step &step, const Call &call,
                  const Sizes &symbols) {
  Sizes sizes;
  for (const ProgramSymbol &symbol : function.symbols) {
    std::optional<int64_t> value;
    if (symbol.isBound())
      value = dimGiven(caller, step, call, size_t(symbol.input), size_t(symbol.dim), symbols);
    else if (symbol.isDefined())
      value = evaluate(symbol.value, sizes);
    else if (const SizeArgument &given = call.sizes[size_t(symbol.parameter)]; given.view == noView)
      value = evaluate(given.value, symbols);
    if (value)
      sizes.emplace(symbol.name, *value);
  }
  return sizes;
}

} // namespace

std::vector<CalledFunction> calledFunctions(const Program &program, FunctionId entry, const Sizes &symbols) {
  std::vector<CalledFunction> called{{entry, "", symbols}};
  for (size_t i = 0; i < called.size(); ++i) {
    const Function &caller = program.functions[called[i].function];
    for (const Step &step : caller.steps)
      for (const Call *call : callsOf(step))
        if (std::ranges::find(called, call->function, &CalledFunction::function) == called.end())
          called.push_back({call->function, step.node,
                            sizesOfCall(program.functions[call->function], caller, step, *call, called[i].symbols)});
  }
  called.erase(called.begin());
  return called;
}

} // namespace kiln::tools
