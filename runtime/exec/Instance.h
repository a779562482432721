// A program for one set of bound sizes: every dim, offset, grid and launch argument as a number.
// Built once per distinct sizes; an execution context adds the addresses.
#pragma once

#include "runtime/base/SizeExpr.h"
#include "runtime/include/kiln/kernel_abi.h"
#include "runtime/plan/Arena.h"
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
  /// A launch of a kernel, over the symbols of its interface.
  struct Launch {
    CompiledSize grid, scratch, flops, bytes;
    std::vector<uint32_t> operands; ///< positions in KernelInterface::operands()
  };
  struct StepSizes {
    std::vector<Sides> guards;
    std::vector<CompiledSize> sizes;  ///< LaunchStep::sizes
    CompiledSize flops, bytes;        ///< of a host call
    ref::Kernel hostKernel = nullptr; ///< of a host call; else null
  };
  std::vector<std::string> symbolNames;
  std::vector<CompiledSize> symbolValues; // of defined symbols; constant 0 for bound ones
  std::vector<Sides> checks;
  std::vector<CompiledSize> bufferBytes;
  std::vector<CompiledSize> viewOffsets;
  std::vector<std::vector<CompiledSize>> viewDims;
  std::vector<std::vector<Launch>> kernels; // the launches of each kernel
  std::vector<StepSizes> steps;
  std::vector<LiveInterval> live; // of each buffer

  static Result<CompiledProgram> compile(const Program &program);
};

/// Where the address of a view comes from.
struct Address {
  enum class Base : uint8_t { Null, Arena, Constant, Input, Output } base = Base::Null;
  uint32_t port = 0;  ///< of Input and Output
  int64_t offset = 0; ///< from the base (of Constant: from the start of the weights)
};

/// One launch of a kernel, ready but for addresses.
struct ResolvedLaunch {
  kiln_kernel_fn_v1 kernel = nullptr;
  int64_t grid = 0;
  int64_t scratch = 0;       ///< bytes per worker
  uint32_t firstOperand = 0; ///< into Instance::operands: the launch's buffer table
  uint32_t workspace = none; ///< into Instance::operands
  bool parallel = false;     ///< worth more than one thread
  static constexpr uint32_t none = UINT32_MAX;
};

/// One step, ready but for addresses. Which members count depends on `kind`.
struct ResolvedStep {
  enum class Kind : uint8_t { Launch, HostCall, Copy, Skipped } kind = Kind::Skipped;
  uint32_t firstOperand = 0; ///< into Instance::operands; of a host call inputs come first; of launches all of theirs
  uint32_t operandCount = 0;
  uint32_t inputCount = 0;  ///< HostCall
  uint32_t firstSize = 0;   ///< Launch: into Instance::sizes
  uint32_t firstLaunch = 0; ///< Launch: into Instance::launches
  uint32_t launchCount = 0;
  int64_t bytes = 0; ///< Copy
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
  std::vector<ResolvedLaunch> launches;
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
