// From configured problems to machine code, in parallel: one MLIR context per thread, equal
// problems once.
#pragma once

#include "codegen/Backend.h"

#include <functional>
#include <vector>

namespace kiln {

/// What determines a kernel's code, besides the target.
struct KernelJob {
  const KernelFamily *family = nullptr;
  Problem problem;
  Config config;
  std::string code; ///< vector-level code that was read back from text, instead of what the family emits; empty: none
};

struct CompiledKernel {
  KernelImage image;
  std::string code, llvmIr, assembly; // texts of the levels, when asked for
};

/// Called with the number of kernels done, from any thread but never two at once; an error stops the compilation.
using KernelProgress = std::function<Status(size_t done, size_t total)>;

/// The machine code of `kernels`, in order; the bytes do not depend on `threads`.
Result<std::vector<CompiledKernel>> compileKernels(std::span<const KernelJob> kernels, const BackendTarget &target,
                                                   size_t threads, bool keepTexts, const KernelProgress &progress);

} // namespace kiln
