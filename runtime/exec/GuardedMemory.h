// The memory of one call of a function in a run that looks for mistakes: every buffer and every worker's scratch lies
// between inaccessible pages of its own, at the end of its region, so that an access beyond it is a fault (or at the
// start, so that one before it is); and is filled with NaN before.
#pragma once

#include "runtime/device/GuardedBuffer.h"
#include "runtime/exec/LoadedModel.h"

namespace kiln {

class GuardedMemory {
public:
  /// Inputs, states and constants are copied in, and cannot be written there unless they are states that the function
  /// writes. `taken`: Function::takenView.
  static Result<std::unique_ptr<GuardedMemory>> create(const LoadedModel &model, const ConstantSet *constants,
                                                       const Instance &instance, std::span<const TensorView> taken,
                                                       BufferPlacement placement);

  /// `bases`: Address::base, of what is not in this memory: values that steps returned, and outputs that they make.
  void *address(const ResolvedOperand &operand, std::span<char *const> bases) const;
  /// Fresh scratch for each of `workers`.
  Status makeScratch(int64_t bytes, int workers);
  /// Of each worker.
  std::span<void *const> scratch() const { return scratchPointers; }
  /// An error if the step wrote into the slack around its buffers or its scratch.
  Status check(const Instance &instance, const ResolvedStep &step) const;
  /// Copies the results to where the caller wants them; one view per output. Open outputs are there already.
  void copyOutputs(std::span<const TensorView> outputs) const;
  /// Copies the states that are written back; `taken` as for create.
  void copyStates(std::span<const TensorView> taken) const;

private:
  GuardedMemory(const Function &function, BufferPlacement placement) : function(function), placement(placement) {}
  const Function &function;
  BufferPlacement placement;
  std::vector<GuardedBuffer> buffers; // one per buffer of the function
  std::vector<GuardedBuffer> scratches;
  std::vector<void *> scratchPointers;
};

} // namespace kiln
