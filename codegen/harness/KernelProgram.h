// A kernel as a program of one launch, so that the executor runs it like any model's: on every device, and between
// guard pages where the device is the CPU.
#pragma once

#include "codegen/problem/Problem.h"
#include "runtime/exec/LoadedModel.h"

#include <optional>

namespace kiln {

/// A kernel that no artifact holds yet.
struct LooseKernel {
  Kernel kernel; ///< without codeOffset
  std::vector<std::byte> code;
  std::string target;
};

/// The program at the sizes and with the constants of `inputs` (one per Problem::inputs(), in order); its inputs and
/// outputs are the problem's. With `shared` that output lies in the memory of that input, which is a copy.
Result<std::shared_ptr<const LoadedModel>> loadKernel(const LooseKernel &kernel, std::span<const TensorView> inputs,
                                                      const SymbolValues &symbols,
                                                      std::optional<Problem::InPlace> shared, Device &device);

} // namespace kiln
