// A function for one set of bound sizes: every dim, offset, grid and launch argument as a number.
// Built once per distinct sizes; an execution context adds the addresses.
#pragma once

#include "runtime/base/SizeExpr.h"
#include "runtime/include/kiln/kernel_abi.h"
#include "runtime/plan/Arena.h"
#include "runtime/plan/Artifact.h"
#include "runtime/plan/Transfers.h"
#include "runtime/reference/Reference.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace kiln {

/// A function's size expressions, compiled over the indices of its symbols.
struct CompiledFunction {
  struct Sides { ///< of a Condition
    CompiledSize lhs, rhs;
  };
  struct StepSizes {
    std::vector<Sides> guards;
    std::vector<CompiledSize> sizes;  ///< LaunchStep::sizes; Call::sizes, of both branches of an if
    CompiledSize flops, bytes;        ///< of a host call
    ref::Kernel hostKernel = nullptr; ///< of a host call; else null
    bool updates = false;             ///< of a host call: ref::updatesInPlace
    int64_t moment = 0;               ///< the first one of the step (LiveInterval)
  };
  std::vector<std::string> symbolNames;
  std::vector<CompiledSize> symbolValues; // of defined symbols; constant 0 for others
  std::vector<Sides> checks;
  std::vector<CompiledSize> bufferBytes;
  std::vector<CompiledSize> viewOffsets;
  std::vector<std::vector<CompiledSize>> viewDims;
  std::vector<StepSizes> steps;
  std::vector<LiveInterval> live; // of each buffer
  /// The constants outside of the weights section that the function uses, in one memory or both: each is a base.
  struct OutsideConstant {
    uint32_t constant = 0;
    Buffer::Space space = Buffer::Space::Host;
    auto operator<=>(const OutsideConstant &) const = default;
  };
  std::vector<OutsideConstant> outsideConstants;
  std::vector<uint32_t> outsideBases; // of each buffer that shows one: Address::base
};

/// A launch of a kernel, over the symbols of its interface.
struct CompiledLaunch {
  CompiledSize grid, scratch, flops, bytes;
  std::vector<uint32_t> operands; ///< positions in KernelInterface::operands()
};

struct CompiledProgram {
  std::vector<std::vector<CompiledLaunch>> kernels; ///< the launches of each kernel
  std::vector<CompiledFunction> functions;
  DeviceConstants deviceConstants;
  bool hasOutsideConstants = false; ///< whether any constant lies outside of the weights section

  /// Every host operation must exist (E0606).
  static Result<CompiledProgram> compile(const Program &program);
};

/// Where the address of a view comes from: a base that a frame knows, and an offset.
struct Address {
  /// Numbers of the bases: these, then the inputs, the states, the outputs and the returned values of the function,
  /// then CompiledFunction::outsideConstants. Constants are those of the weights section.
  enum Base : uint32_t { Null, Arena, DeviceArena, Constants, DeviceConstants, FirstPort };
  uint32_t base = Null;
  int64_t offset = 0;
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
  enum class Kind : uint8_t { Launch, HostCall, Copy, Call, If, Loop, Skipped } kind = Kind::Skipped;
  uint32_t firstOperand = 0; ///< into Instance::operands
  uint32_t operandCount = 0; ///< inputs first: If: the condition; Loop: count, condition, initial values; then outputs
  uint32_t inputCount = 0;   ///< HostCall, If, Loop
  uint32_t firstSize = 0;    ///< Launch: into Instance::sizes
  uint32_t first = 0;        ///< Launch: into Instance::launches; Call, If, Loop: into Instance::calls
  uint32_t launchCount = 0;
  int64_t bytes = 0;                        ///< Copy
  Direction direction = Direction::OnHost;  ///< Copy
  int64_t frameTop = 0, deviceFrameTop = 0; ///< Call, If, Loop: bytes of the arenas that are in use beside them
  ref::Kernel hostKernel = nullptr;
  bool updates = false;                   ///< HostCall: of an op that may work in place (ref::updatesInPlace)
  const Attributes *attributes = nullptr; ///< HostCall

  /// Whether the host does it, in its own memory.
  bool isHosts() const { return kind != Kind::Launch && (kind != Kind::Copy || direction == Direction::OnHost); }
};

/// A plain size for a function: a value, or an element of an operand.
struct ResolvedSize {
  int64_t value = 0;
  uint32_t operand = none; ///< into Instance::operands
  int64_t element = 0;
  static constexpr uint32_t none = UINT32_MAX;
};

struct ResolvedCall {
  FunctionId function = 0;
  uint32_t firstInput = 0, inputCount = 0; ///< into Instance::operands
  uint32_t firstSize = 0, sizeCount = 0;   ///< into Instance::callSizes
};

/// An operand of a step.
struct ResolvedOperand {
  Address address;
  int64_t bufferOffset = 0; ///< from the start of `buffer`
  BufferId buffer = 0;
  DType dtype = DType::F32;
  bool open = false;               ///< dims that are negative are those of the value that a step returned, or will
  uint32_t firstDim = 0, rank = 0; ///< into Instance::dims
};

/// A function for one set of sizes.
struct Instance {
  FunctionId function = 0;
  std::vector<int64_t> symbols;
  std::vector<std::vector<int64_t>> takenDims, outputDims; ///< Function::takenView; of an open output: none
  std::vector<std::vector<int64_t>> grownDims;             ///< StatePort::grown; of other states none
  std::vector<int64_t> parameters;                         ///< the plain sizes it was called with
  int64_t arenaBytes = 0, deviceArenaBytes = 0;
  int64_t scratchBytes = 0;        ///< the most that any launch wants per worker; a multiple of 64
  std::vector<ResolvedStep> steps; ///< one per step of the function
  std::vector<ResolvedLaunch> launches;
  std::vector<ResolvedCall> calls;
  std::vector<ResolvedSize> callSizes;
  std::vector<ResolvedOperand> operands;
  std::vector<int64_t> sizes, dims;
  std::vector<int64_t> bufferBytes; ///< of each buffer of the function
  std::vector<double> flops, bytes; ///< work of each step

  std::span<const int64_t> dimsOf(const ResolvedOperand &o) const { return {dims.data() + o.firstDim, o.rank}; }

  /// Sizes that come out negative, overflow, or exceed their buffers are errors (E0308, E0517).
  static Result<std::shared_ptr<const Instance>> build(const Artifact &artifact, const CompiledProgram &compiled,
                                                       FunctionId function, std::vector<int64_t> symbols);
};

} // namespace kiln
