// Which functions a step calls.
#pragma once

#include "runtime/plan/Program.h"

namespace kiln {

/// None of a step that works itself.
inline std::vector<const Call *> callsOf(const Step &step) {
  if (auto *call = std::get_if<CallStep>(&step.action))
    return {&call->callee};
  if (auto *branch = std::get_if<IfStep>(&step.action))
    return {&branch->then, &branch->otherwise};
  if (auto *loop = std::get_if<LoopStep>(&step.action))
    return {&loop->body};
  return {};
}

/// What a step hands to a function before Call::inputs: the body of a loop is given the iteration's number, the
/// condition and the carried values.
inline size_t leadingInputs(const Step &step) {
  auto *loop = std::get_if<LoopStep>(&step.action);
  return loop ? 2 + loop->initial.size() : 0;
}

} // namespace kiln
