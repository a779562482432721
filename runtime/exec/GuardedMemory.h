// The memory of one run that looks for mistakes: every buffer and every worker's scratch lies between inaccessible
// pages of its own, at the end of its region, so that an access beyond it is a fault; and is filled with NaN before.
#pragma once

#include "runtime/device/GuardedBuffer.h"
#include "runtime/exec/LoadedModel.h"

namespace kiln {

class GuardedMemory {
public:
  /// Inputs and constants are copied in, and cannot be written there.
  static Result<std::unique_ptr<GuardedMemory>> create(const LoadedModel &model, const Instance &instance,
                                                       std::span<const TensorView> inputs);

  void *address(const ResolvedOperand &operand) const;
  /// Fresh scratch for each of `workers`.
  Status makeScratch(int64_t bytes, int workers);
  void *scratch(int worker) const { return scratches[size_t(worker)].data(); }
  /// An error if the step wrote into the slack around its buffers or its scratch.
  Status check(const Instance &instance, const ResolvedStep &step) const;
  /// Copies the results to where the caller wants them; one view per output.
  void copyOutputs(std::span<const TensorView> outputs) const;

private:
  explicit GuardedMemory(const Program &program) : program(program) {}
  const Program &program;
  std::vector<GuardedBuffer> buffers; // one per buffer of the program
  std::vector<GuardedBuffer> scratches;
};

} // namespace kiln
