#include "codegen/harness/KernelHarness.h"

#include "codegen/cpu/KernelImage.h"
#include "codegen/cpu/Lowering.h"
#include "codegen/problem/ProblemReference.h"
#include "runtime/device/FloatMode.h"

#include "kiln/kernel_abi.h"

#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <numeric>
#include <random>

namespace kiln {

using Clock = std::chrono::steady_clock;

struct CompiledProblem::State {
  Problem problem;
  KernelInterface interface;
  std::vector<uint64_t> entries;
  void *code = nullptr;
  size_t codeBytes = 0;
  double compileSeconds = 0;

  ~State() {
    if (code)
      munmap(code, codeBytes);
  }

  kiln_kernel_fn_v1 entry(size_t launch) const {
    return reinterpret_cast<kiln_kernel_fn_v1>(static_cast<uint8_t *>(code) + entries[launch]);
  }
};

CompiledProblem::CompiledProblem(std::unique_ptr<State> state) : state_(std::move(state)) {}
CompiledProblem::CompiledProblem(CompiledProblem &&) noexcept = default;
CompiledProblem::~CompiledProblem() = default;
double CompiledProblem::compileSeconds() const { return state_->compileSeconds; }
size_t CompiledProblem::imageBytes() const { return state_->codeBytes; }

Result<CompiledProblem> CompiledProblem::compile(const KernelFamily &family, const Problem &problem,
                                                 const Config &config, const TargetInfo &target,
                                                 const CodeMaker &makeCode) {
  auto state = std::make_unique<State>();
  state->problem = problem;
  std::unique_ptr<mlir::MLIRContext> context = cpu::makeContext();
  auto begin = Clock::now();
  KILN_ASSIGN(Emission emission, family.emit(problem, config, target, *context));
  KILN_ASSIGN(KernelImage image, makeCode ? makeCode(emission, target) : compileEmission(emission, target));
  state->compileSeconds = std::chrono::duration<double>(Clock::now() - begin).count();
  state->interface = std::move(emission.interface);
  state->entries = image.entries;
  state->codeBytes = image.bytes.size();
  emission.module = {}; // before its context
  void *code = mmap(nullptr, state->codeBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (code == MAP_FAILED)
    return makeError(ErrorCode::E0901, "no memory for a kernel image");
  state->code = code;
  std::memcpy(code, image.bytes.data(), image.bytes.size());
  if (mprotect(code, state->codeBytes, PROT_READ | PROT_EXEC) != 0)
    return makeError(ErrorCode::E0901, "a kernel image cannot be made executable");
  return CompiledProblem(std::move(state));
}

namespace {

// The buffers of one call, in a placement.
struct CallBuffers {
  std::vector<GuardedBuffer> inputs, packed, outputs;
  GuardedBuffer workspace;
  std::optional<Problem::InPlace> shared;

  GuardedBuffer &at(const KernelOperand &operand) {
    switch (operand.kind) {
    case KernelOperand::Kind::Input: return inputs.at(operand.index);
    case KernelOperand::Kind::Packed: return packed.at(operand.index);
    case KernelOperand::Kind::Output:
      return shared && uint32_t(shared->output) == operand.index ? inputs.at(size_t(shared->input))
                                                                 : outputs.at(operand.index);
    case KernelOperand::Kind::Workspace: break;
    }
    return workspace;
  }
};

Result<GuardedBuffer> guardedCopy(const TensorView &view, BufferPlacement placement) {
  KILN_ASSIGN(GuardedBuffer buffer, GuardedBuffer::create(view.bytes(), placement, dtypeBytes(view.dtype)));
  if (view.bytes() > 0)
    std::memcpy(buffer.data(), view.data, size_t(view.bytes()));
  return buffer;
}

// Sizes of one launch, evaluated.
struct LaunchSizes {
  int64_t grid = 0, scratch = 0;
};

Result<LaunchSizes> evaluate(const KernelInterface::Launch &launch, const SymbolValues &symbols) {
  LaunchSizes out;
  KILN_ASSIGN(out.grid, launch.grid.evaluate(symbols));
  KILN_ASSIGN(out.scratch, launch.scratchBytes.evaluate(symbols));
  return out;
}

std::vector<int64_t> sizesOf(const KernelInterface &interface, const SymbolValues &symbols) {
  std::vector<int64_t> sizes;
  for (const std::string &name : interface.symbols)
    sizes.push_back(symbols.at(name));
  return sizes;
}

std::vector<int64_t> orderOf(int64_t grid, GridOrder order) {
  std::vector<int64_t> ids(static_cast<size_t>(grid));
  std::iota(ids.begin(), ids.end(), 0);
  if (order == GridOrder::Reverse)
    std::reverse(ids.begin(), ids.end());
  if (order == GridOrder::Shuffled)
    std::shuffle(ids.begin(), ids.end(), std::mt19937_64(7));
  return ids;
}

Result<std::vector<GuardedBuffer>> makePacked(const KernelInterface &interface, std::span<const TensorView> inputs,
                                              BufferPlacement placement) {
  std::vector<GuardedBuffer> buffers;
  for (const KernelInterface::Packed &p : interface.packed) {
    KILN_ASSIGN(Tensor tensor, applyRecipe(inputs[p.input], p.recipe));
    // Packed constants are 64-byte aligned in an artifact, so kernels may rely on it.
    KILN_ASSIGN(GuardedBuffer buffer, GuardedBuffer::create(tensor.bytes(), placement, bufferAlignment));
    std::memcpy(buffer.data(), tensor.data(), size_t(tensor.bytes()));
    buffers.push_back(std::move(buffer));
  }
  return buffers;
}

} // namespace

Result<std::vector<Tensor>> CompiledProblem::run(std::span<const TensorView> inputs, BufferPlacement placement,
                                                 GridOrder order, std::optional<Problem::InPlace> shared) const {
  const State &s = *state_;
  KILN_ASSIGN(SymbolValues symbols, bindSymbols(s.problem, inputs));
  CallBuffers buffers;
  buffers.shared = shared;
  for (const TensorView &view : inputs) {
    KILN_ASSIGN(GuardedBuffer buffer, guardedCopy(view, placement));
    buffers.inputs.push_back(std::move(buffer));
  }
  KILN_ASSIGN(buffers.packed, makePacked(s.interface, inputs, placement));
  std::vector<Tensor> outputs;
  for (Problem::ValueId id : s.problem.outputs) {
    KILN_ASSIGN(std::vector<int64_t> dims, valueDims(s.problem, id, symbols));
    DType dtype = s.problem.value(id).dtype;
    KILN_ASSIGN(Tensor tensor, Tensor::create(dtype, dims));
    KILN_ASSIGN(GuardedBuffer buffer, GuardedBuffer::create(tensor.bytes(), placement, dtypeBytes(dtype)));
    buffers.outputs.push_back(std::move(buffer));
    outputs.push_back(std::move(tensor));
  }
  KILN_ASSIGN(int64_t workspace, s.interface.workspaceBytes.evaluate(symbols));
  KILN_ASSIGN(buffers.workspace, GuardedBuffer::create(workspace, placement, bufferAlignment));
  int32_t status = 0;
  std::vector<int64_t> values = sizesOf(s.interface, symbols);
  for (size_t l = 0; l < s.interface.launches.size(); ++l) {
    const KernelInterface::Launch &launch = s.interface.launches[l];
    KILN_ASSIGN(LaunchSizes sizes, evaluate(launch, symbols));
    KILN_ASSIGN(GuardedBuffer scratch, GuardedBuffer::create(sizes.scratch, placement, bufferAlignment));
    std::vector<void *> table;
    for (const KernelOperand &operand : launch.operands)
      table.push_back(buffers.at(operand).data());
    kiln_kernel_args_v1 args{table.data(), values.data(), scratch.data(), buffers.workspace.data(), &status};
    {
      KernelFloatMode mode; // as the runtime calls kernels
      for (int64_t id : orderOf(sizes.grid, order))
        s.entry(l)(&args, id, sizes.grid);
    }
    if (!scratch.intact())
      return makeError(ErrorCode::E0901, "launch ", l, " wrote outside its scratch memory");
  }
  if (status != 0)
    return makeError(ErrorCode::E0901, "the kernel set status ", status);
  if (!buffers.workspace.intact())
    return makeError(ErrorCode::E0901, "the kernel wrote outside its workspace");
  for (size_t i = 0; i < inputs.size(); ++i)
    if (!buffers.inputs[i].intact() ||
        (inputs[i].bytes() > 0 && !(shared && shared->input == int(i)) &&
         std::memcmp(buffers.inputs[i].data(), inputs[i].data, size_t(inputs[i].bytes())) != 0))
      return makeError(ErrorCode::E0901, "the kernel wrote to input ", i);
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (!buffers.outputs[i].intact())
      return makeError(ErrorCode::E0901, "the kernel wrote outside output ", i);
    if (outputs[i].bytes() > 0)
      std::memcpy(outputs[i].data(), buffers.at(KernelOperand::output(i)).data(), size_t(outputs[i].bytes()));
  }
  return outputs;
}

Result<double> CompiledProblem::time(std::span<const TensorView> inputs, int repeats) const {
  const State &s = *state_;
  KILN_ASSIGN(SymbolValues symbols, bindSymbols(s.problem, inputs));
  std::vector<Tensor> outputs, packed;
  for (Problem::ValueId id : s.problem.outputs) {
    KILN_ASSIGN(std::vector<int64_t> dims, valueDims(s.problem, id, symbols));
    KILN_ASSIGN(Tensor tensor, Tensor::zeros(s.problem.value(id).dtype, dims));
    outputs.push_back(std::move(tensor));
  }
  for (const KernelInterface::Packed &p : s.interface.packed) {
    KILN_ASSIGN(Tensor tensor, applyRecipe(inputs[p.input], p.recipe));
    packed.push_back(std::move(tensor));
  }
  KILN_ASSIGN(int64_t workspaceBytes, s.interface.workspaceBytes.evaluate(symbols));
  KILN_ASSIGN(Tensor workspace, Tensor::create(DType::U8, {std::max<int64_t>(workspaceBytes, 1)}));
  struct Call {
    LaunchSizes sizes;
    std::vector<void *> table;
    Tensor scratch;
  };
  std::vector<Call> calls;
  for (const KernelInterface::Launch &launch : s.interface.launches) {
    Call call;
    KILN_ASSIGN(call.sizes, evaluate(launch, symbols));
    KILN_ASSIGN(call.scratch, Tensor::create(DType::U8, {std::max<int64_t>(call.sizes.scratch, 1)}));
    for (const KernelOperand &operand : launch.operands)
      switch (operand.kind) {
      case KernelOperand::Kind::Input: call.table.push_back(inputs[operand.index].data); break;
      case KernelOperand::Kind::Packed: call.table.push_back(packed[operand.index].data()); break;
      case KernelOperand::Kind::Output: call.table.push_back(outputs[operand.index].data()); break;
      case KernelOperand::Kind::Workspace: call.table.push_back(workspace.data()); break;
      }
    calls.push_back(std::move(call));
  }
  int32_t status = 0;
  std::vector<int64_t> values = sizesOf(s.interface, symbols);
  double best = 1e30;
  KernelFloatMode mode;
  for (int r = 0; r <= repeats; ++r) {
    auto begin = Clock::now();
    for (size_t l = 0; l < calls.size(); ++l) {
      kiln_kernel_args_v1 args{calls[l].table.data(), values.data(), calls[l].scratch.data(), workspace.data(),
                               &status};
      for (int64_t id = 0; id < calls[l].sizes.grid; ++id)
        s.entry(l)(&args, id, calls[l].sizes.grid);
    }
    if (r > 0)
      best = std::min(best, std::chrono::duration<double>(Clock::now() - begin).count());
  }
  return best;
}

} // namespace kiln
