#include "runtime/exec/ExecutionContext.h"

#include "runtime/device/HostCpu.h"
#include "runtime/exec/FunctionCall.h"

#include <algorithm>
#include <atomic>

namespace kiln {
namespace {

/// Instances of a function that a context remembers by the dims of inputs.
constexpr size_t keptInstances = 16;

bool sameSizes(std::span<const TensorView> inputs, std::span<const int64_t> sizes, const Instance &instance) {
  for (size_t i = 0; i < inputs.size(); ++i)
    if (!std::ranges::equal(inputs[i].dims, instance.inputDims[i]))
      return false;
  return std::ranges::equal(sizes, instance.parameters);
}

struct RunScope {
  ThreadPool *pool;
  std::atomic<int64_t> &step;
  RunScope(ThreadPool *pool, int threads, std::atomic<int64_t> &step) : pool(pool), step(step) {
    if (pool)
      pool->beginRun(threads);
  }
  ~RunScope() {
    if (pool)
      pool->endRun();
    step.store(-1, std::memory_order_relaxed);
  }
};

} // namespace

ExecutionContext::ExecutionContext(std::shared_ptr<const LoadedModel> model, int threads) : theModel(std::move(model)) {
  setThreads(threads);
  const Program &p = theModel->program();
  recent.resize(p.functions.size());
  size_t first = 0;
  for (const Function &function : p.functions) {
    firstSteps.push_back(first);
    first += function.steps.size();
  }
}

void ExecutionContext::setThreads(int threads) {
  threadCount = std::clamp(threads > 0 ? threads : availableCpus(), 1, maxThreads);
}

Status ExecutionContext::checkData(std::span<const TensorView> inputs) const {
  const Function &p = theModel->program().entry();
  if (inputs.size() != p.inputs.size())
    return makeError(ErrorCode::E0502, "the model has ", p.inputs.size(), " inputs, ", inputs.size(), " were given");
  for (size_t i = 0; i < inputs.size(); ++i) {
    const TensorView &v = inputs[i];
    if (!v.data && !(elementCount(v.dims) == 0))
      return makeError(ErrorCode::E0502, "input \"", p.inputs[i].name, "\" is missing");
    if (reinterpret_cast<uintptr_t>(v.data) % uintptr_t(dtypeBytes(v.dtype)) != 0)
      return makeError(ErrorCode::E0515, "input \"", p.inputs[i].name, "\": its data is not aligned to ",
                       dtypeBytes(v.dtype), " bytes");
  }
  return Status();
}

Result<std::shared_ptr<const Instance>> ExecutionContext::bind(FunctionId function, std::span<const TensorView> inputs,
                                                               std::span<const int64_t> sizes) {
  const Function &p = theModel->program().functions[function];
  std::vector<std::shared_ptr<const Instance>> &known = recent[function];
  bool sameTypes = true;
  for (size_t i = 0; i < inputs.size(); ++i)
    sameTypes &= inputs[i].dtype == p.views[p.inputs[i].view].dtype;
  if (sameTypes)
    for (size_t i = known.size(); i-- > 0;)
      if (sameSizes(inputs, sizes, *known[i])) {
        if (i + 1 < known.size())
          std::rotate(known.begin() + int64_t(i), known.begin() + int64_t(i) + 1, known.end());
        return known.back();
      }

  std::vector<InputShape> shapes;
  for (const TensorView &v : inputs)
    shapes.push_back({v.dtype, v.dims});
  // What varies in a loop is the context's own business.
  KILN_ASSIGN(std::shared_ptr<const Instance> instance, theModel->bind(function, shapes, sizes, loops == 0));
  if (known.size() >= keptInstances)
    known.erase(known.begin());
  known.push_back(instance);
  return instance;
}

Status ExecutionContext::prepareScratch(const Instance &instance) {
  // A line between workers' scratch, so that they do not share one. It only grows: functions below go on using theirs.
  int64_t stride = std::max(instance.scratchBytes + bufferAlignment, scratchStride);
  std::optional<int64_t> total = checkedMul(stride, threadCount);
  if (!total)
    return makeError(ErrorCode::E0510, "out of memory for the kernels' scratch");
  if (instance.scratchBytes > 0)
    KILN_TRY(scratch.reserve(*total));
  scratchStride = stride;
  return checkMemory();
}

Status ExecutionContext::checkMemory() const {
  int64_t held = frames.size() + scratch.size() + valueBytes;
  if (memoryLimit > 0 && held > memoryLimit)
    return makeError(ErrorCode::E0510, "out of memory: the run needs more than its limit of ", memoryLimit, " bytes");
  return Status();
}

Result<Tensor> ExecutionContext::allocate(DType dtype, std::span<const int64_t> dims) {
  std::optional<int64_t> bytes = byteCount(dtype, dims), total = checkedAdd(valueBytes, bytes.value_or(0));
  valueBytes = total.value_or(INT64_MAX);
  KILN_TRY(checkMemory());
  return Tensor::create(dtype, dims);
}

Status ExecutionContext::bindOutputs(const Instance &instance, std::span<OutputSlot> outputs) {
  const Function &p = theModel->program().functions[instance.function];
  for (size_t i = 0; i < outputs.size(); ++i) {
    const View &view = p.views[p.outputs[i].view];
    if (!view.open) // whoever makes an open one knows its dims
      KILN_TRY(placeOutput(p.outputs[i], view.dtype, instance.outputDims[i], outputs[i]));
  }
  return Status();
}

Status ExecutionContext::placeOutput(const Port &port, DType dtype, std::span<const int64_t> dims, OutputSlot &slot) {
  if (!slot.bound.data) {
    if (slot.spare.valid() && slot.spare.dtype() == dtype && std::ranges::equal(slot.spare.dims(), dims)) {
      slot.allocated = std::move(slot.spare);
    } else {
      KILN_ASSIGN(slot.allocated, allocate(dtype, dims));
    }
    return Status();
  }
  slot.allocated = Tensor();
  if (slot.bound.dtype != dtype || !std::ranges::equal(slot.bound.dims, dims))
    return makeError(ErrorCode::E0509, "output \"", port.name, "\": the result is ", printTensorType(dtype, dims),
                     ", the given buffer ", printTensorType(slot.bound.dtype, slot.bound.dims));
  if (reinterpret_cast<uintptr_t>(slot.bound.data) % uintptr_t(dtypeBytes(dtype)) != 0)
    return makeError(ErrorCode::E0515, "output \"", port.name, "\": its data is not aligned to ", dtypeBytes(dtype),
                     " bytes");
  return Status();
}

Status ExecutionContext::call(FunctionId function, std::span<const TensorView> inputs, std::span<const int64_t> sizes,
                              std::span<OutputSlot> outputs, FrameStack::Place place) {
  KILN_ASSIGN(std::shared_ptr<const Instance> instance, bind(function, inputs, sizes));
  if (place.segment == 0 && place.offset == 0)
    last = instance;
  int64_t before = valueBytes;
  KILN_TRY(bindOutputs(*instance, outputs));
  KILN_TRY(prepareScratch(*instance));
  KILN_TRY(FunctionCall(*this, *instance, inputs, outputs).run(place));
  // What the function made for itself is gone with its frame.
  valueBytes = before;
  for (const OutputSlot &output : outputs)
    valueBytes += output.allocated.valid() ? output.allocated.bytes() : 0;
  return Status();
}

Status ExecutionContext::run(std::span<const TensorView> inputs, std::span<OutputSlot> outputs) {
  const Program &p = theModel->program();
  if (outputs.size() != p.entry().outputs.size())
    return makeError(ErrorCode::E0704, "the model has ", p.entry().outputs.size(), " outputs, ", outputs.size(),
                     " were given");
  KILN_TRY(checkData(inputs));
  cancelled.store(false, std::memory_order_relaxed);
  valueBytes = 0;
  loops = 0;
  KILN_TRY(frames.reset());
  if (profiling)
    profiles.assign(firstSteps.back() + p.functions.back().steps.size(), {});
  RunScope scope(threadCount > 1 ? &ThreadPool::process() : nullptr, threadCount, stepUnderWay);
  return call(p.entries[0].function, inputs, {}, outputs, {});
}

Result<std::vector<Tensor>> ExecutionContext::run(std::span<const TensorView> inputs) {
  std::vector<OutputSlot> slots(theModel->program().entry().outputs.size());
  KILN_TRY(run(inputs, slots));
  std::vector<Tensor> results;
  for (OutputSlot &slot : slots)
    results.push_back(std::move(slot.allocated));
  return results;
}

} // namespace kiln
