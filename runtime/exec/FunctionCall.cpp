#include "runtime/exec/FunctionCall.h"

#include "runtime/exec/ScanBuffer.h"
#include "runtime/exec/WaitScope.h"

#include <algorithm>
#include <chrono>
#include <cstring>

namespace kiln {
namespace {

alignas(bufferAlignment) char nothing[bufferAlignment];

/// Only a tensor without elements may have no address; null would mean an absent operand.
char *dataOf(const TensorView &view) { return view.data ? static_cast<char *>(view.data) : nothing; }

template <typename T> T scalar(const void *p) {
  T value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

int64_t integer(const TensorView &view, int64_t element) {
  return view.dtype == DType::I32 ? int64_t(view.as<int32_t>()[element]) : view.as<int64_t>()[element];
}

void copyTo(const TensorView &from, const TensorView &to) {
  if (from.bytes() > 0 && from.data != to.data)
    std::memmove(to.data, from.data, size_t(from.bytes()));
}

} // namespace

FunctionCall::FunctionCall(ExecutionContext &context, const Instance &instance, std::span<const TensorView> inputs,
                           std::span<OutputSlot> outputs)
    : context(context), instance(instance), function(context.model().program().functions[instance.function]),
      inputs(inputs), outputs(outputs) {}

Status FunctionCall::prepare(const ExecutionContext::Places &places) {
  if (context.guardPages) {
    KILN_ASSIGN(guarded,
                GuardedMemory::create(context.model(), context.constants.get(), instance, inputs, *context.guardPages));
  }
  KILN_ASSIGN(frame, context.frames.push(places.host, guarded ? 0 : instance.arenaBytes));
  if (!context.model().device().isHost()) {
    KILN_ASSIGN(deviceFrame, context.deviceFrames.push(places.device, instance.deviceArenaBytes));
  }
  KILN_TRY(context.checkMemory());
  const auto &constants = context.model().compiledFunction(instance.function).outsideConstants;
  size_t values = function.returnedCount();
  returned.resize(values);
  bases.reserve(Address::FirstPort + inputs.size() + outputs.size() + values + constants.size());
  bases = {nullptr, frame.data, deviceFrame.data,
           reinterpret_cast<char *>(const_cast<std::byte *>(context.model().artifact().weights().data())),
           context.model().deviceConstants()};
  for (const TensorView &input : inputs)
    bases.push_back(dataOf(input));
  for (const OutputSlot &output : outputs)
    bases.push_back(dataOf(output.result()));
  bases.resize(bases.size() + values, nullptr);
  for (const auto &[constant, space] : constants)
    bases.push_back(context.constants->data(constant, space));
  return Status();
}

Status FunctionCall::run(const ExecutionContext::Places &places) {
  KILN_TRY(prepare(places));
  if (context.model().device().isHost())
    return runSteps();
  WaitScope scope(*context.queue); // what is under way uses the function's memory
  Status status = runSteps();
  // A launch that failed came before a step that did.
  Status late = context.wait();
  if (late.ok())
    return status;
  context.stepsBegun = instance.steps.size();
  return late;
}

Status FunctionCall::runSteps() {
  using Clock = std::chrono::steady_clock;
  Clock::time_point last;
  if (context.profiling)
    last = Clock::now();
  size_t first = context.firstSteps[instance.function];
  for (size_t i = 0; i < instance.steps.size(); ++i) {
    const ResolvedStep &step = instance.steps[i];
    if (step.kind == ResolvedStep::Kind::Skipped)
      continue;
    context.stepUnderWay.store(int64_t(first + i), std::memory_order_relaxed);
    if (context.cancelled.load(std::memory_order_relaxed)) {
      context.stepsBegun = i;
      return makeError(ErrorCode::E0518, "the run was cancelled");
    }
    if (context.crossing && step.isHosts()) {
      context.stepsBegun = i;
      KILN_TRY(context.wait());
    }
    Status status = execute(step);
    if (guarded && status.ok())
      status = guarded->check(instance, step);
    if (context.profiling) {
      if (status.ok())
        status = context.wait();
      Clock::time_point now = Clock::now();
      StepProfile &profile = context.profiles[first + i];
      profile.nanoseconds += std::chrono::duration_cast<std::chrono::nanoseconds>(now - last).count();
      ++profile.calls;
      last = now;
    }
    if (!status.ok()) {
      context.stepsBegun = i + 1;
      const std::string &node = function.steps[i].node; // what goes on with a size from data has none
      return context.failedLate || node.empty() ? status : status.withContext("node \"" + node + "\": ");
    }
  }
  if (guarded) {
    std::vector<TensorView> results;
    for (const OutputSlot &output : outputs)
      results.push_back(output.result());
    guarded->copyOutputs(results);
    guarded->copyStates(inputs);
  }
  return Status();
}

Status FunctionCall::execute(const ResolvedStep &step) {
  switch (step.kind) {
  case ResolvedStep::Kind::Launch: return launch(step);
  case ResolvedStep::Kind::HostCall: return hostCall(step);
  case ResolvedStep::Kind::Copy: return copy(step);
  case ResolvedStep::Kind::Call: return callStep(step);
  case ResolvedStep::Kind::If: return branch(step);
  case ResolvedStep::Kind::Loop: return loop(step);
  case ResolvedStep::Kind::Skipped: break;
  }
  return Status();
}

Status FunctionCall::launch(const ResolvedStep &step) {
  pointers.resize(step.operandCount);
  for (uint32_t i = 0; i < step.operandCount; ++i)
    pointers[i] = address(operand(step, i));
  KernelLaunch launch;
  launch.sizes = instance.sizes.data() + step.firstSize;
  launch.node = &function.steps[size_t(&step - instance.steps.data())].node;
  for (uint32_t i = 0; i < step.launchCount; ++i) {
    const ResolvedLaunch &own = instance.launches[step.first + i];
    launch.kernel = own.kernel;
    launch.buffers = std::span(pointers).subspan(own.firstOperand - step.firstOperand);
    launch.workspace = own.workspace == ResolvedLaunch::none ? nullptr : pointers[own.workspace - step.firstOperand];
    launch.grid = own.grid;
    launch.threads = own.parallel ? context.threadCount : 1;
    launch.scratch = own.scratch > 0 ? std::span<void *const>(context.workerScratch) : std::span<void *const>();
    if (guarded) {
      KILN_TRY(guarded->makeScratch(own.scratch, context.threadCount));
      launch.scratch = guarded->scratch();
    }
    KILN_TRY(context.queue->launch(launch));
  }
  return Status();
}

Status FunctionCall::copy(const ResolvedStep &step) {
  if (step.bytes == 0)
    return Status();
  void *from = address(operand(step, 0)), *to = address(operand(step, 1));
  if (!context.states.empty()) {
    context.countStateCopy(from, step.bytes);
    context.countStateCopy(to, step.bytes);
  }
  switch (step.direction) {
  case Direction::OnHost: std::memmove(to, from, size_t(step.bytes)); break;
  case Direction::ToDevice:
    context.crossing = true;
    context.toDevice += step.bytes;
    return context.queue->copyToDevice(to, from, step.bytes);
  case Direction::ToHost:
    context.crossing = true;
    context.toHost += step.bytes;
    return context.queue->copyToHost(to, from, step.bytes);
  case Direction::OnDevice: return context.queue->copyOnDevice(to, from, step.bytes);
  }
  return Status();
}

/// Makes the open outputs of a host call.
class FunctionCall::Maker final : public ref::OutputMaker {
public:
  Maker(FunctionCall &call, const ResolvedStep &step) : call(call), step(step) {}

  Result<TensorView> make(size_t index, std::span<const int64_t> dims) override {
    const ResolvedOperand &output = call.operand(step, uint32_t(step.inputCount + index));
    std::span<const int64_t> known = call.instance.dimsOf(output);
    bool fits = dims.size() == known.size();
    for (size_t i = 0; fits && i < dims.size(); ++i)
      fits = known[i] < 0 || known[i] == dims[i];
    if (!fits)
      return makeError(ErrorCode::E0517, "result ", index, " is ", printTensorType(output.dtype, dims),
                       ", which the model excludes");
    return call.makeOpen(output, dims);
  }

private:
  FunctionCall &call;
  const ResolvedStep &step;
};

Status FunctionCall::hostCall(const ResolvedStep &step) {
  views.clear();
  for (uint32_t i = 0; i < step.inputCount; ++i)
    views.push_back(viewOf(operand(step, i)));
  for (uint32_t i = step.inputCount; i < step.operandCount; ++i) {
    const ResolvedOperand &output = operand(step, i);
    views.push_back(output.open ? TensorView{nullptr, output.dtype, {}} : viewOf(output));
  }
  std::span<TensorView> all = views;
  Maker maker(*this, step);
  if (step.updates && !context.states.empty() && views[0].data != views[step.inputCount].data)
    context.countStateCopy(views[0].data, views[0].bytes());
  return step.hostKernel({*step.attributes, all.first(step.inputCount), all.subspan(step.inputCount),
                          ref::Accumulate::Wide, &maker, context.threadCount});
}

Result<TensorView> FunctionCall::makeOpen(const ResolvedOperand &operand, std::span<const int64_t> dims) {
  if (outputIndex(operand) >= outputs.size()) {
    Tensor &value = returned[returnedIndex(operand)];
    KILN_ASSIGN(value, context.allocate(operand.dtype, dims));
    return value.view();
  }
  size_t index = outputIndex(operand);
  KILN_TRY(context.placeOutput(function.outputs[index], operand.dtype, dims, outputs[index]));
  return outputs[index].result();
}

size_t FunctionCall::returnedIndex(const ResolvedOperand &operand) const {
  return operand.address.base - Address::FirstPort - inputs.size() - outputs.size();
}

size_t FunctionCall::outputIndex(const ResolvedOperand &operand) const {
  return operand.address.base - Address::FirstPort - inputs.size();
}

TensorView FunctionCall::viewOf(const ResolvedOperand &operand) const {
  if (!operand.open)
    return {address(operand), operand.dtype, instance.dimsOf(operand)};
  return outputIndex(operand) < outputs.size() ? outputs[outputIndex(operand)].result()
                                               : returned[returnedIndex(operand)].view();
}

Status FunctionCall::call(const ResolvedStep &step, const ResolvedCall &called, std::span<const TensorView> leading,
                          std::span<OutputSlot> slots) {
  std::vector<TensorView> values(leading.begin(), leading.end());
  for (uint32_t i = 0; i < called.inputCount; ++i)
    values.push_back(viewOf(instance.operands[called.firstInput + i]));
  std::vector<int64_t> sizes;
  for (uint32_t i = 0; i < called.sizeCount; ++i) {
    const ResolvedSize &size = instance.callSizes[called.firstSize + i];
    if (size.operand == ResolvedSize::none) {
      sizes.push_back(size.value);
      continue;
    }
    TensorView view = viewOf(instance.operands[size.operand]);
    if (size.element >= view.size())
      return makeError(ErrorCode::E0517, "element ", size.element, " of ", printTensorType(view.dtype, view.dims),
                       " was to be a size");
    sizes.push_back(integer(view, size.element));
  }
  ExecutionContext::Places places{guarded ? frame.end : frame.begin, deviceFrame.begin};
  if (!guarded)
    places.host.offset += step.frameTop;
  places.device.offset += step.deviceFrameTop;
  return context.call(called.function, values, sizes, slots, places);
}

std::vector<OutputSlot> FunctionCall::slotsOf(const ResolvedStep &step) {
  std::vector<OutputSlot> slots(step.operandCount - step.inputCount);
  for (size_t i = 0; i < slots.size(); ++i) {
    const ResolvedOperand &o = operand(step, uint32_t(step.inputCount + i));
    if (!o.open)
      slots[i].bound = viewOf(o);
    else if (outputIndex(o) < outputs.size())
      slots[i] = std::move(outputs[outputIndex(o)]);
  }
  return slots;
}

void FunctionCall::keep(const ResolvedStep &step, std::vector<OutputSlot> slots) {
  for (size_t i = 0; i < slots.size(); ++i) {
    const ResolvedOperand &o = operand(step, uint32_t(step.inputCount + i));
    if (!o.open)
      continue;
    if (outputIndex(o) < outputs.size())
      outputs[outputIndex(o)] = std::move(slots[i]);
    else
      returned[returnedIndex(o)] = std::move(slots[i].allocated);
  }
}

Status FunctionCall::callStep(const ResolvedStep &step) {
  std::vector<OutputSlot> slots = slotsOf(step);
  Status status = call(step, instance.calls[step.first], {}, slots);
  keep(step, std::move(slots));
  return status;
}

Status FunctionCall::branch(const ResolvedStep &step) {
  bool condition = scalar<uint8_t>(address(operand(step, 0))) != 0;
  std::vector<OutputSlot> slots = slotsOf(step);
  Status status = call(step, instance.calls[step.first + (condition ? 0 : 1)], {}, slots);
  keep(step, std::move(slots));
  return status;
}

Status FunctionCall::loop(const ResolvedStep &step) {
  const ResolvedCall &body = instance.calls[step.first];
  const Function &bodyFunction = context.model().program().functions[body.function];
  const ResolvedOperand &count = operand(step, 0), &first = operand(step, 1);
  int64_t limit = count.address.base == Address::Null ? INT64_MAX : scalar<int64_t>(address(count));
  uint8_t condition = first.address.base == Address::Null ? 1 : scalar<uint8_t>(address(first));
  size_t carried = step.inputCount - 2;

  Allocate allocate = [&](DType dtype, std::span<const int64_t> dims) { return context.allocate(dtype, dims); };

  // Carried values go to and fro between two buffers each.
  std::vector<TensorView> values;
  for (size_t i = 0; i < carried; ++i)
    values.push_back(viewOf(operand(step, uint32_t(2 + i))));
  std::vector<Tensor> owners(carried);
  std::vector<ScanBuffer> scans(step.operandCount - step.inputCount - carried);
  std::vector<OutputSlot> slots(1 + carried + scans.size());
  uint8_t next = 1;
  slots[0].bound = {&next, DType::Bool, {}};
  struct LoopScope {
    int &loops;
    explicit LoopScope(int &loops) : loops(loops) { ++loops; }
    ~LoopScope() { --loops; }
  } scope(context.loops);
  int64_t before = context.valueBytes;
  for (int64_t iteration = 0; iteration < limit && condition; ++iteration) {
    if (context.cancelled.load(std::memory_order_relaxed))
      return makeError(ErrorCode::E0518, "the run was cancelled");
    std::vector<TensorView> leading{{&iteration, DType::I64, {}}, {&condition, DType::Bool, {}}};
    leading.insert(leading.end(), values.begin(), values.end());
    KILN_TRY(call(step, body, leading, slots));
    condition = next;
    for (size_t i = 0; i < carried; ++i) {
      OutputSlot &slot = slots[1 + i];
      slot.spare = std::move(owners[i]);
      owners[i] = std::move(slot.allocated);
      values[i] = owners[i].view();
    }
    for (size_t i = 0; i < scans.size(); ++i)
      KILN_TRY(scans[i].append(slots[1 + carried + i].result(), allocate));
    for (size_t i = 0; i < scans.size(); ++i)
      slots[1 + carried + i].spare = std::move(slots[1 + carried + i].allocated);
    // Of what iterations made, this is left.
    auto bytesOf = [](const Tensor &t) { return t.valid() ? t.bytes() : 0; };
    context.valueBytes = before;
    for (const Tensor &owner : owners)
      context.valueBytes += bytesOf(owner);
    for (const OutputSlot &slot : slots)
      context.valueBytes += bytesOf(slot.spare);
    for (const ScanBuffer &scan : scans)
      context.valueBytes += scan.bytes();
  }

  std::vector<OutputSlot> results = slotsOf(step);
  for (size_t i = 0; i < results.size(); ++i) {
    OutputSlot &result = results[i];
    Tensor value;
    if (i >= carried) {
      const View &port = bodyFunction.views[bodyFunction.outputs[1 + i].view];
      std::span<const int64_t> known = instance.dimsOf(operand(step, uint32_t(step.inputCount + i))).subspan(1);
      KILN_ASSIGN(value, std::move(scans[i - carried]).finish(port.dtype, known, allocate));
    } else if (owners[i].valid()) {
      value = std::move(owners[i]);
    } else if (!result.bound.data) { // no iteration: the initial value
      KILN_ASSIGN(value, context.allocate(values[i].dtype, values[i].dims));
      copyTo(values[i], value.view());
    }
    TensorView view = value.valid() ? value.view() : values[i];
    const ResolvedOperand &o = operand(step, uint32_t(step.inputCount + i));
    if (o.open && (result.bound.data || result.mustMatch)) {
      KILN_TRY(context.placeOutput(function.outputs[outputIndex(o)], view.dtype, view.dims, result));
      copyTo(view, result.result());
      continue;
    }
    if (!result.bound.data) {
      result.allocated = std::move(value);
      continue;
    }
    if (!std::ranges::equal(view.dims, result.bound.dims))
      return makeError(ErrorCode::E0517, "the loop's result ", i, " is ", printTensorType(view.dtype, view.dims),
                       ", not ", printTensorType(result.bound.dtype, result.bound.dims));
    copyTo(view, result.bound);
  }
  keep(step, std::move(results));
  return Status();
}

} // namespace kiln
