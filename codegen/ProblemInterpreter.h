// Runs a Problem op by op on the reference kernels: the oracle that every family's kernels are checked against.
#pragma once

#include "codegen/Problem.h"
#include "runtime/base/Tensor.h"

#include <span>
#include <vector>

namespace kiln {

/// Symbol values that make the problem's input dims equal the given ones; an error where they contradict. Dims that are no plain
/// symbol are checked, not solved.
Result<SymbolValues> bindSymbols(const Problem &problem, std::span<const TensorView> inputs);

/// The outputs of `problem` for `inputs` (one per `problem.inputs()`, in order).
Result<std::vector<Tensor>> interpret(const Problem &problem, std::span<const TensorView> inputs);

} // namespace kiln
