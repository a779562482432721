// A program for one set of bound sizes: every dim, offset, grid and launch argument as a number.
// Built once per distinct sizes; an execution context adds the addresses.
#pragma once

#include "runtime/base/SizeExpr.h"
#include "runtime/include/kiln/kernel_abi.h"
#include "runtime/plan/Artifact.h"
#include "runtime/reference/Reference.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace kiln {

/// The program's size expressions, compiled over the indices of its symbols.
struct CompiledProgram {
  struct Sides { ///< of a Condition
    CompiledSize lhs, rhs;
  };
  struct LaunchSizes {
    std::vector<CompiledSize> sizes;
    CompiledSize grid, scratch;
  };
  std::vector<std::string> symbolNames;
  std::vector<CompiledSize> symbolValues; // of defined symbols; constant 0 for bound ones
  std::vector<Sides> checks;
  std::vector<CompiledSize> bufferBytes;
  std::vector<CompiledSize> viewOffsets;
  std::vector<std::vector<CompiledSize>> viewDims;
  std::vector<std::vector<Sides>> guards; // of each step
  std::vector<LaunchSizes> launches;      // one per step; empty for others
  std::vector<CompiledSize> flops, bytes;
  std::vector<ref::Kernel> hostKernels; // one per step; null for others

  static Result<CompiledProgram> compile(const Program &program);
};

/// Where the address of a view comes from.
struct Address {
  enum class Base : uint8_t { Null, Arena, Constant, Input, Output } base = Base::Null;
  uint32_t port = 0;  ///< of Input and Output
  int64_t offset = 0; ///< from the base (of Constant: from the start of the weights)
};

/// One step, ready but for addresses. Which members count depends on `kind`.
struct ResolvedStep {
  enum class Kind : uint8_t { Launch, HostCall, Copy, Skipped } kind = Kind::Launch;
  bool parallel = false;     ///< Launch: its kernel is worth more than one thread
  uint32_t firstOperand = 0; ///< into Instance::operands; of a host call inputs come first
  uint32_t operandCount = 0;
  uint32_t inputCount = 0;   ///< HostCall
  uint32_t firstSize = 0;    ///< Launch: into Instance::sizes
  bool hasWorkspace = false; ///< Launch: the last operand is the workspace
  int64_t grid = 0;          ///< Launch
  int64_t scratch = 0;       ///< Launch: bytes per worker
  int64_t bytes = 0;         ///< Copy
  kiln_kernel_fn_v1 kernel = nullptr;
  ref::Kernel hostKernel = nullptr;
  const Attributes *attributes = nullptr; ///< HostCall
};

/// An operand of a step.
struct ResolvedOperand {
  Address address;
  int64_t bufferOffset = 0; ///< from the start of `buffer`
  BufferId buffer = 0;
  DType dtype = DType::F32;
  uint32_t firstDim = 0, rank = 0; ///< into Instance::dims
};

struct Instance {
  std::vector<int64_t> symbols;
  std::vector<std::vector<int64_t>> inputDims, outputDims;
  int64_t arenaBytes = 0;
  int64_t scratchBytes = 0;        ///< the most that any launch wants per worker; a multiple of 64
  std::vector<ResolvedStep> steps; ///< one per step of the program
  std::vector<ResolvedOperand> operands;
  std::vector<int64_t> sizes, dims;
  std::vector<int64_t> bufferBytes; ///< of each buffer of the program
  std::vector<double> flops, bytes; ///< work of each step

  std::span<const int64_t> dimsOf(const ResolvedOperand &o) const { return {dims.data() + o.firstDim, o.rank}; }

  /// Sizes that come out negative, overflow, or exceed their buffers are errors (E0308, E0517).
  static Result<std::shared_ptr<const Instance>> build(const Artifact &artifact, const CompiledProgram &compiled,
                                                       std::vector<int64_t> symbols);
};

} // namespace kiln
