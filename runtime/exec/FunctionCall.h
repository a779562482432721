// One call of a function: its frame, and the run through its steps.
#pragma once

#include "runtime/exec/ExecutionContext.h"
#include "runtime/exec/GuardedMemory.h"

namespace kiln {

class FunctionCall {
public:
  /// `outputs` are bound but for open ones.
  FunctionCall(ExecutionContext &context, const Instance &instance, std::span<const TensorView> inputs,
               std::span<OutputSlot> outputs);

  /// Runs it in frames above `places`. When it returns, the device has done all that it was given.
  Status run(const ExecutionContext::Places &places);

private:
  class Maker;

  Status prepare(const ExecutionContext::Places &places);
  Status runSteps();
  Status execute(const ResolvedStep &step);
  Status launch(const ResolvedStep &step);
  Status copy(const ResolvedStep &step);
  Status hostCall(const ResolvedStep &step);
  Status callStep(const ResolvedStep &step);
  Status branch(const ResolvedStep &step);
  Status loop(const ResolvedStep &step);

  /// `leading` inputs of the function come before those of the call.
  Status call(const ResolvedStep &step, const ResolvedCall &called, std::span<const TensorView> leading,
              std::span<OutputSlot> outputs);
  /// Where the outputs of a step that calls functions go, and what became of them.
  std::vector<OutputSlot> slotsOf(const ResolvedStep &step);
  void keep(const ResolvedStep &step, std::vector<OutputSlot> slots);

  void *address(const ResolvedOperand &operand) const {
    return guarded ? guarded->address(operand, bases) : bases[operand.address.base] + operand.address.offset;
  }
  const ResolvedOperand &operand(const ResolvedStep &step, uint32_t i) const {
    return instance.operands[step.firstOperand + i];
  }
  /// Memory for a value whose dims have just been found.
  Result<TensorView> makeOpen(const ResolvedOperand &operand, std::span<const int64_t> dims);
  TensorView viewOf(const ResolvedOperand &operand) const;
  size_t returnedIndex(const ResolvedOperand &operand) const;
  size_t outputIndex(const ResolvedOperand &operand) const;

  ExecutionContext &context;
  const Instance &instance;
  const Function &function;
  std::span<const TensorView> inputs;
  std::span<OutputSlot> outputs;
  FrameStack::Frame frame, deviceFrame;
  std::vector<char *> bases;    // Address::base
  std::vector<Tensor> returned; // values of Returned buffers
  std::unique_ptr<GuardedMemory> guarded;
  std::vector<void *> pointers;  // of the launch under way
  std::vector<TensorView> views; // of the host call under way
};

} // namespace kiln
