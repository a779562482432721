// The reference kernels: one plain C++ function per op of the kiln dialect that defines what the op
// means.
//
// They serve as the reference of tests and sweeps, as the constant folder and as the executor's
// fallback. They use libm only, never trap, and report bad user data (indices out of range,
// operands that do not fit) as a Status. What they give where C++ leaves the result open (integer
// division by zero, overflow ...) is listed in docs/semantics.md, which generated code follows too.
#pragma once

#include <span>
#include <string_view>

#include "runtime/base/Attributes.h"
#include "runtime/base/Status.h"
#include "runtime/base/Tensor.h"

namespace kiln::ref {

/// The type that sums, products and transcendental functions are computed in. Results are rounded
/// once, at the end.
enum class Accumulate {
  Own,  ///< the element type itself; f32 for f16 and bf16
  Wide, ///< f64 for floating point
};

/// Memory for the outputs of which only the kernel knows the dims.
class OutputMaker {
public:
  virtual ~OutputMaker() = default;
  /// Of output `index`, which is made once.
  virtual Result<TensorView> make(size_t index, std::span<const int64_t> dims) = 0;
};

/// One evaluation. There are two conventions, and every kernel follows both (checkOutput): an output that has data was
/// made by the caller with the dims that the op's shape rule gives, and the kernel returns an error where they do not
/// fit its operands; one that has only a dtype is made by `maker` with the dims that the kernel finds. An absent
/// optional operand, trailing or in the middle, has data == nullptr and dtype and dims that are not
/// looked at. Outputs never overlap inputs, but for result 0 of an op that works in place, which may be operand 0's
/// memory.
struct OpCall {
  const Attributes &attributes;
  std::span<const TensorView> inputs;
  std::span<TensorView> outputs;
  Accumulate accumulate = Accumulate::Wide;
  OutputMaker *maker = nullptr;
  int threads = 1; ///< that a host kernel may use (runtime/host); reference kernels use one
};

using Kernel = Status (*)(const OpCall &);

/// The kernel of an op by its mnemonic ("add", "conv"), or nullptr when there is no such op.
Kernel find(std::string_view op);

/// Whether the op changes a part of operand 0: result 0 may then be the same memory, and the rest is not touched.
bool updatesInPlace(std::string_view op);

/// All mnemonics, sorted.
std::span<const std::string_view> names();

} // namespace kiln::ref
