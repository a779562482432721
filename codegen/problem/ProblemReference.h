// What a Problem means: its ops one by one on their reference kernels. Every family's kernels are checked against that.
#pragma once

#include "codegen/problem/Problem.h"
#include "runtime/base/Tensor.h"

#include <span>
#include <vector>

namespace kiln {

/// Symbol values that make the problem's input dims equal the given ones; an error where they contradict. Dims that are
/// no plain symbol are checked, not solved.
Result<SymbolValues> bindSymbols(const Problem &problem, std::span<const TensorView> inputs);

/// The outputs of `problem` for `inputs` (one per `problem.inputs()`, in order) at these sizes.
Result<std::vector<Tensor>> referenceResults(const Problem &problem, std::span<const TensorView> inputs,
                                      const SymbolValues &symbols);
/// The same at the sizes that bindSymbols finds.
Result<std::vector<Tensor>> referenceResults(const Problem &problem, std::span<const TensorView> inputs);

/// Dims of value `id` at these sizes.
Result<std::vector<int64_t>> valueDims(const Problem &problem, Problem::ValueId id, const SymbolValues &symbols);
/// The elements of a literal as a tensor of its type.
Result<Tensor> literalTensor(const Problem::Value &value);

} // namespace kiln
