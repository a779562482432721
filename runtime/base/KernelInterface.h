// How the host calls a kernel: its operands, the constants that are packed for it, its workspace and its launches. Made
// by the kernel's family without emitting code (KernelFamily::describe), stored once per kernel in the plan and in the
// artifact, and read by planner, executor, harness, profiler and tuner alike.
//
// Text form, one line:
//
//   sizes [d0]; in f32[d0,64]; in f32[64,8]; out f32[d0,8]; in_place out0 in0; packed in1 "permute[1,0]";
//   workspace [0]; launch matmul(in0,packed0,out0) grid [d0] scratch [1024] flops [d0*1024] bytes [d0*288+2048]
#pragma once

#include "runtime/base/Recipe.h"
#include "runtime/base/SizeExpr.h"

#include <string>
#include <string_view>
#include <vector>

namespace kiln {

/// A buffer that launches of a kernel take.
struct KernelOperand {
  enum class Kind : uint8_t {
    Input,     ///< read; `index` into KernelInterface::inputs
    Packed,    ///< read; `index` into KernelInterface::packed
    Output,    ///< written; `index` into KernelInterface::outputs
    Workspace, ///< written and read by the launches of one call; index 0
  };
  Kind kind = Kind::Input;
  uint32_t index = 0;

  static KernelOperand input(size_t i) { return {Kind::Input, uint32_t(i)}; }
  static KernelOperand packed(size_t i) { return {Kind::Packed, uint32_t(i)}; }
  static KernelOperand output(size_t i) { return {Kind::Output, uint32_t(i)}; }
  static KernelOperand workspace() { return {Kind::Workspace, 0}; }

  bool isWritten() const { return kind == Kind::Output || kind == Kind::Workspace; }
  /// "in0", "packed0", "out0", "workspace"
  std::string print() const;
  auto operator<=>(const KernelOperand &) const = default;
};

struct KernelInterface {
  /// Type of an input or output of a call; its buffer is dense and row-major.
  struct Port {
    DType dtype = DType::F32;
    std::vector<SizeExpr> dims;
    bool operator==(const Port &) const = default;
  };
  /// An output that may lie in the memory of an input, which then is not read after the call.
  struct InPlace {
    uint32_t output = 0, input = 0;
    bool operator==(const InPlace &) const = default;
  };
  /// A constant input in the form that launches read, made when it has its bytes: mostly when compiling.
  struct Packed {
    uint32_t input = 0;
    Recipe recipe;
    bool operator==(const Packed &) const = default;
  };
  /// One entry point, called for every workgroup of its grid. Launches run in order, each complete before the next.
  struct Launch {
    std::string name;                    ///< of its function in the emitted module; an identifier
    std::vector<KernelOperand> operands; ///< kiln_kernel_args_v1::buffers; the workspace is at hand without them
    SizeExpr grid;                       ///< workgroups; never a function of the thread count
    SizeExpr scratchBytes;               ///< per worker, 64-byte aligned
    SizeExpr flops;                      ///< floating-point operations of this launch
    SizeExpr bytes;                      ///< its least memory traffic: what it reads and writes, once each
    bool operator==(const Launch &) const = default;
  };

  /// The names that sizes below are over. A call gives a value for each, in this order: kiln_kernel_args_v1::sizes.
  std::vector<std::string> symbols;
  std::vector<Port> inputs, outputs;
  std::vector<InPlace> inPlace;
  std::vector<Packed> packed;
  SizeExpr workspaceBytes; ///< 64-byte aligned
  std::vector<Launch> launches;

  /// What the caller hands over: every operand that some launch takes, once, ordered by kind and index. The workspace
  /// is there when it has bytes.
  std::vector<KernelOperand> operands() const;
  /// Type of a packed constant; one whose input has unknown sizes is an error.
  Result<RecipeType> packedType(size_t index) const;
  /// The port of an input or output.
  const Port &port(const KernelOperand &operand) const;

  /// Work of a call, all launches together.
  SizeExpr flops() const;
  SizeExpr bytes() const;

  std::string print() const;
  /// Any text is safe. What it refers to exists and its sizes are over its symbols (E0805).
  static Result<KernelInterface> parse(std::string_view text);
  Status verify() const;
  bool operator==(const KernelInterface &) const = default;
};

} // namespace kiln
