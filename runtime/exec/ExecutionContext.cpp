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
    if (!std::ranges::equal(inputs[i].dims, instance.takenDims[i]))
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

ExecutionContext::ExecutionContext(std::shared_ptr<const LoadedModel> model, int threads)
    : theModel(std::move(model)), frames(cpuDevice()), deviceFrames(theModel->device()), scratch(theModel->device()),
      queue(theModel->device().makeQueue()) {
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

Status ExecutionContext::checkData(const Function &p, std::span<const TensorView> inputs) const {
  if (inputs.size() != p.inputs.size())
    return makeError(ErrorCode::E0502, "the model has ", p.inputs.size(), " inputs, ", inputs.size(), " were given");
  for (size_t i = 0; i < inputs.size(); ++i) {
    const TensorView &v = inputs[i];
    if (!v.data && !(elementCount(v.dims) == 0))
      return makeError(ErrorCode::E0502, "input \"", p.inputs[i].name, "\" is missing");
    if (v.size() > 0 && reinterpret_cast<uintptr_t>(v.data) % uintptr_t(dtypeBytes(v.dtype)) != 0)
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
    sameTypes &= inputs[i].dtype == p.views[p.takenView(i)].dtype;
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
  if (instance.scratchBytes > 0) {
    // A line between workers' scratch, so that they do not share one. It only grows: functions below go on using
    // theirs.
    auto workers = size_t(theModel->device().workers(threadCount));
    int64_t stride = std::max(instance.scratchBytes + bufferAlignment, scratchStride);
    std::optional<int64_t> total = checkedMul(stride, int64_t(workers));
    if (!total)
      return makeError(ErrorCode::E0510, "out of memory for the kernels' scratch");
    if (stride != scratchStride || workers != workerScratch.size()) {
      KILN_TRY(wait()); // for launches that use it as it is
      workerScratch.clear();
      KILN_TRY(scratch.reserve(*total));
      scratchStride = stride;
      for (size_t i = 0; i < workers; ++i)
        workerScratch.push_back(scratch.data() + int64_t(i) * stride);
    }
  }
  return checkMemory();
}

Status ExecutionContext::wait() {
  crossing = false;
  Status status = queue->wait();
  failedLate |= !status.ok();
  return status;
}

Status ExecutionContext::checkMemory() const {
  int64_t held = arenaBytes() + scratch.size() + valueBytes + callerBytes;
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

/// Whether a result is what a caller bound memory for.
static Status checkResultType(const Port &port, const OutputSlot &slot, DType dtype, std::span<const int64_t> dims) {
  const TensorView &bound = slot.bound;
  bool fits = bound.dtype == dtype && (slot.capacity ? bound.rank() == int64_t(dims.size()) &&
                                                           TensorView{nullptr, dtype, dims}.bytes() <= *slot.capacity
                                                     : std::ranges::equal(bound.dims, dims));
  if (fits)
    return Status();
  std::string result = "output \"" + port.name + "\": the result is " + printTensorType(dtype, dims);
  if (!slot.capacity)
    return makeError(ErrorCode::E0509, result, ", the given buffer ", printTensorType(bound.dtype, bound.dims));
  if (bound.dtype != dtype || bound.rank() != int64_t(dims.size()))
    return makeError(ErrorCode::E0509, result, ", the given buffer is for ", dtypeName(bound.dtype), " of rank ",
                     bound.rank());
  return makeError(ErrorCode::E0509, result, " of ", TensorView{nullptr, dtype, dims}.bytes(),
                   " bytes, the given buffer holds ", *slot.capacity);
}

Status ExecutionContext::placeOutput(const Port &port, DType dtype, std::span<const int64_t> dims, OutputSlot &slot) {
  if (slot.bound.data || slot.mustMatch)
    KILN_TRY(checkResultType(port, slot, dtype, dims));
  if (!slot.bound.data) {
    if (slot.spare.valid() && slot.spare.dtype() == dtype && std::ranges::equal(slot.spare.dims(), dims)) {
      slot.allocated = std::move(slot.spare);
    } else {
      KILN_ASSIGN(slot.allocated, allocate(dtype, dims));
    }
    return Status();
  }
  slot.allocated = Tensor();
  if (slot.capacity) {
    slot.dims.assign(dims.begin(), dims.end());
    slot.bound.dims = slot.dims;
  }
  if (slot.bound.size() > 0 && reinterpret_cast<uintptr_t>(slot.bound.data) % uintptr_t(dtypeBytes(dtype)) != 0)
    return makeError(ErrorCode::E0515, "output \"", port.name, "\": its data is not aligned to ", dtypeBytes(dtype),
                     " bytes");
  return Status();
}

Status ExecutionContext::call(FunctionId function, std::span<const TensorView> inputs, std::span<const int64_t> sizes,
                              std::span<OutputSlot> outputs, const Places &places) {
  KILN_ASSIGN(std::shared_ptr<const Instance> instance, bind(function, inputs, sizes));
  if (!places.host.occupied) // the entry
    last = instance;
  int64_t before = valueBytes;
  KILN_TRY(bindOutputs(*instance, outputs));
  KILN_TRY(prepareScratch(*instance));
  KILN_TRY(FunctionCall(*this, *instance, inputs, outputs).run(places));
  // What the function made for itself is gone with its frame.
  valueBytes = before;
  for (const OutputSlot &output : outputs)
    valueBytes += output.allocated.valid() ? output.allocated.bytes() : 0;
  return Status();
}

Status ExecutionContext::run(size_t entry, std::span<const TensorView> inputs, std::span<OutputSlot> outputs,
                             StateSet *given) {
  const Program &p = theModel->program();
  if (entry >= p.entries.size())
    return makeError(ErrorCode::E0704, "there is no entry number ", entry);
  const Function &function = p.entry(entry);
  if (outputs.size() != function.outputs.size())
    return makeError(ErrorCode::E0704, "the model has ", function.outputs.size(), " outputs, ", outputs.size(),
                     " were given");
  KILN_TRY(checkData(function, inputs));
  struct Scope { // later constants are for later runs
    ExecutionContext &context;
    ~Scope() { context.constants.reset(); }
  } scope{*this};
  constants = theModel->constants();
  if (constants)
    KILN_TRY(constants->checkBound());
  if (guardPages && !theModel->device().isHost())
    return makeError(ErrorCode::E0704, "guard pages are for the CPU, not for device \"", p.device, "\"");
  cancelled.store(false, std::memory_order_relaxed);
  valueBytes = 0;
  stateCopies = toDevice = toHost = 0;
  loops = 0;
  failedLate = false;
  KILN_TRY(frames.reset());
  KILN_TRY(deviceFrames.reset());
  if (profiling)
    profiles.assign(firstSteps.back() + p.functions.back().steps.size(), {});
  RunScope running(threadCount > 1 ? &ThreadPool::process() : nullptr, threadCount, stepUnderWay);
  if (function.states.empty())
    return call(p.entries[entry].function, inputs, {}, outputs, {});
  return runWithStates(entry, inputs, outputs, given);
}

Status ExecutionContext::runWithStates(size_t entry, std::span<const TensorView> inputs, std::span<OutputSlot> outputs,
                                       StateSet *given) {
  const Function &function = theModel->program().entry(entry);
  if (!given) {
    std::string names;
    for (const StatePort &port : function.states)
      names += (names.empty() ? "\"" : ", \"") + theModel->program().states[port.state].name + "\"";
    return makeError(ErrorCode::E0523, "entry \"", theModel->program().entries[entry].name, "\" works on states (",
                     names, "), and the run is given none");
  }
  if (&given->model() != theModel.get())
    return makeError(ErrorCode::E0704, "the states are those of another model");
  KILN_ASSIGN(StateSet::Use use, given->use());
  std::vector<TensorView> taken(inputs.begin(), inputs.end());
  for (const StatePort &port : function.states)
    if (port.read)
      KILN_TRY(use.check(port.state));
  std::vector<std::vector<int64_t>> emptied; // dims of values that do not count
  emptied.reserve(function.states.size());
  auto viewOf = [&](const StatePort &port) {
    TensorView view = use.view(port.state);
    if (port.grown != noView && !port.read) {
      emptied.emplace_back(view.dims.begin(), view.dims.end())[0] = 0;
      view.dims = emptied.back();
    }
    return view;
  };
  for (const StatePort &port : function.states)
    taken.push_back(viewOf(port));
  std::shared_ptr<const Instance> grown; // where states grow, the sizes say by how much
  if (std::ranges::any_of(function.states, [](const StatePort &port) { return port.grown != noView; })) {
    KILN_ASSIGN(grown, bind(theModel->program().entries[entry].function, taken, {}));
    for (size_t i = 0; i < function.states.size(); ++i) {
      if (grown->grownDims[i].empty())
        continue;
      KILN_ASSIGN(int64_t moved, use.reserve(function.states[i].state, grown->grownDims[i][0]));
      stateCopies += moved;
      taken[inputs.size() + i].data = use.view(function.states[i].state).data;
    }
  }
  struct Scope { // whatever ends the run
    ExecutionContext &context;
    ~Scope() { context.states = {}; }
  } scope{*this};
  states = std::span(taken).subspan(inputs.size());
  stepsBegun = 0;
  // Poisoned until the run has ended well, however it ends.
  std::vector<bool> before;
  for (const StatePort &port : function.states) {
    before.push_back(use.isPoisoned(port.state));
    if (port.written)
      use.setPoisoned(port.state, true);
  }
  Status status = call(theModel->program().entries[entry].function, taken, {}, outputs, {});
  for (size_t i = 0; i < function.states.size(); ++i)
    if (const StatePort &port = function.states[i]; port.written)
      use.setPoisoned(port.state, !status.ok() && (before[i] || mayHaveWritten(function, i)));
  for (size_t i = 0; grown && status.ok() && i < function.states.size(); ++i)
    if (!grown->grownDims[i].empty())
      use.setLength(function.states[i].state, grown->grownDims[i][0]);
  return status;
}

/// Whether one of the steps that were begun writes a state.
bool ExecutionContext::mayHaveWritten(const Function &function, size_t state) const {
  for (size_t i = 0; i < std::min(stepsBegun, function.steps.size()); ++i) {
    bool writes = false;
    function.steps[i].forEachView([&](ViewId view, bool written) {
      if (view == noView || !written)
        return;
      const Buffer &buffer = function.buffers[function.views[view].buffer];
      writes |= buffer.place == Buffer::Place::State && buffer.index == state;
    });
    if (writes)
      return true;
  }
  return false;
}

void ExecutionContext::countStateCopy(const void *data, int64_t bytes) {
  auto at = reinterpret_cast<uintptr_t>(data);
  for (const TensorView &state : states)
    if (auto begin = reinterpret_cast<uintptr_t>(state.data); at >= begin && at < begin + uintptr_t(state.bytes())) {
      stateCopies += bytes;
      return;
    }
}

Result<std::vector<Tensor>> ExecutionContext::run(std::span<const TensorView> inputs, size_t entry, StateSet *given) {
  if (entry >= theModel->program().entries.size())
    return makeError(ErrorCode::E0704, "there is no entry number ", entry);
  std::vector<OutputSlot> slots(theModel->program().entry(entry).outputs.size());
  KILN_TRY(run(entry, inputs, slots, given));
  std::vector<Tensor> results;
  for (OutputSlot &slot : slots)
    results.push_back(std::move(slot.allocated));
  return results;
}

} // namespace kiln
