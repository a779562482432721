#include "runtime/exec/GuardedMemory.h"

#include <cstring>

namespace kiln {

Result<std::unique_ptr<GuardedMemory>> GuardedMemory::create(const LoadedModel &model, const ConstantSet *constants,
                                                             const Instance &instance,
                                                             std::span<const TensorView> taken,
                                                             BufferPlacement placement) {
  const Function &p = model.program().functions[instance.function];
  std::unique_ptr<GuardedMemory> memory(new GuardedMemory(p, placement));
  std::vector<int64_t> alignments(p.buffers.size(), 1);
  for (const View &view : p.views)
    alignments[view.buffer] = std::max<int64_t>(alignments[view.buffer], dtypeBytes(view.dtype));
  for (size_t i = 0; i < p.buffers.size(); ++i) {
    const Buffer &b = p.buffers[i];
    // What kernels may rely on (kernel_abi.h): they cannot tell a tensor in the arena from a bound input.
    const Constant *constant = b.place == Buffer::Place::Constant ? &model.program().constants[b.index] : nullptr;
    bool ours = constant && (constant->inSection() || std::holds_alternative<DerivedSource>(constant->source));
    bool lines = ours || b.place == Buffer::Place::Workspace;
    KILN_ASSIGN(GuardedBuffer buffer,
                GuardedBuffer::create(instance.bufferBytes[i], placement, lines ? bufferAlignment : alignments[i]));
    const StatePort *state = b.place == Buffer::Place::State ? &p.states[b.index] : nullptr;
    const void *from = nullptr;
    int64_t bytes = buffer.bytes();
    if (b.place == Buffer::Place::Input)
      from = taken[b.index].data;
    else if (state && state->read)
      from = taken[p.inputs.size() + b.index].data, bytes = taken[p.inputs.size() + b.index].bytes();
    else if (constant)
      from = constant->inSection() ? static_cast<const void *>(model.artifact().constant(b.index).data())
                                   : constants->data(b.index, Buffer::Space::Host);
    if (from && bytes > 0)
      std::memcpy(buffer.data(), from, size_t(bytes));
    if (b.place == Buffer::Place::Input || constant || (state && !state->written))
      buffer.makeReadOnly();
    memory->buffers.push_back(std::move(buffer));
  }
  return memory;
}

void *GuardedMemory::address(const ResolvedOperand &operand, std::span<char *const> bases) const {
  if (operand.address.base == Address::Null || operand.open)
    return bases[operand.address.base];
  return buffers[operand.buffer].data() + operand.bufferOffset;
}

Status GuardedMemory::makeScratch(int64_t bytes, int workers) {
  scratches.clear();
  scratchPointers.clear();
  for (int i = 0; i < workers; ++i) {
    KILN_ASSIGN(GuardedBuffer buffer, GuardedBuffer::create(bytes, placement, bufferAlignment));
    scratchPointers.push_back(buffer.data());
    scratches.push_back(std::move(buffer));
  }
  return Status();
}

Status GuardedMemory::check(const Instance &instance, const ResolvedStep &step) const {
  for (uint32_t i = 0; i < step.operandCount; ++i) {
    const ResolvedOperand &operand = instance.operands[step.firstOperand + i];
    if (operand.address.base != Address::Null && !operand.open && !buffers[operand.buffer].intact())
      return makeError(ErrorCode::E0905, "wrote outside buffer %", operand.buffer, " of ",
                       buffers[operand.buffer].bytes(), " bytes");
  }
  for (const GuardedBuffer &scratch : scratches)
    if (!scratch.intact())
      return makeError(ErrorCode::E0905, "wrote outside its scratch memory of ", scratch.bytes(), " bytes");
  return Status();
}

void GuardedMemory::copyOutputs(std::span<const TensorView> outputs) const {
  std::vector<bool> open(function.buffers.size(), false);
  for (const View &view : function.views)
    open[view.buffer] = open[view.buffer] || view.open;
  for (size_t i = 0; i < function.buffers.size(); ++i)
    if (const Buffer &b = function.buffers[i]; b.place == Buffer::Place::Output && !open[i] && buffers[i].bytes() > 0)
      std::memcpy(outputs[b.index].data, buffers[i].data(), size_t(buffers[i].bytes()));
}

void GuardedMemory::copyStates(std::span<const TensorView> taken) const {
  for (size_t i = 0; i < function.buffers.size(); ++i)
    if (const Buffer &b = function.buffers[i];
        b.place == Buffer::Place::State && function.states[b.index].written && buffers[i].bytes() > 0)
      std::memcpy(taken[function.inputs.size() + b.index].data, buffers[i].data(), size_t(buffers[i].bytes()));
}

} // namespace kiln
