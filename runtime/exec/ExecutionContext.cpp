#include "runtime/exec/ExecutionContext.h"

#include "runtime/device/FloatMode.h"
#include "runtime/device/HostCpu.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <sys/mman.h>

namespace kiln {
namespace {

/// From this size on memory is mapped on its own and asks for huge pages.
constexpr int64_t hugePage = 2 << 20;
/// Sizes whose addresses a context keeps.
constexpr size_t keptBounds = 16;

bool sameDims(std::span<const TensorView> inputs, const Instance &instance) {
  for (size_t i = 0; i < inputs.size(); ++i)
    if (!std::ranges::equal(inputs[i].dims, instance.inputDims[i]))
      return false;
  return true;
}

alignas(bufferAlignment) char nothing[bufferAlignment];

struct RunScope {
  ThreadPool *pool;
  RunScope(ThreadPool *pool, int threads) : pool(pool) {
    if (pool)
      pool->beginRun(threads);
  }
  ~RunScope() {
    if (pool)
      pool->endRun();
  }
};

} // namespace

GrowingMemory::~GrowingMemory() { release(); }

void GrowingMemory::release() {
  if (mapped)
    ::munmap(base, size_t(bytes));
  else
    freeAligned(base);
  base = nullptr;
  bytes = 0;
  mapped = false;
}

Status GrowingMemory::reserve(int64_t wanted) {
  if (wanted <= bytes && (base || wanted == 0))
    return Status();
  release();
  if (wanted > (int64_t(1) << 46))
    return makeError(ErrorCode::E0510, "out of memory: ", wanted, " bytes");
  if (wanted >= hugePage) {
    int64_t rounded = alignUp(wanted, hugePage);
    // One huge page more, to begin at a boundary.
    void *p = ::mmap(nullptr, size_t(rounded + hugePage), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
      return makeError(ErrorCode::E0510, "out of memory: ", wanted, " bytes");
    char *start = static_cast<char *>(p);
    char *aligned = reinterpret_cast<char *>(alignUp(int64_t(reinterpret_cast<uintptr_t>(p)), hugePage));
    if (aligned > start)
      ::munmap(start, size_t(aligned - start));
    if (int64_t tail = start + rounded + hugePage - (aligned + rounded); tail > 0)
      ::munmap(aligned + rounded, size_t(tail));
    ::madvise(aligned, size_t(rounded), MADV_HUGEPAGE);
    base = aligned;
    bytes = rounded;
    mapped = true;
    return Status();
  }
  base = static_cast<char *>(allocateAligned(wanted));
  if (!base)
    return makeError(ErrorCode::E0510, "out of memory: ", wanted, " bytes");
  bytes = wanted;
  return Status();
}

ExecutionContext::ExecutionContext(std::shared_ptr<const LoadedModel> model, int threads) : theModel(std::move(model)) {
  setThreads(threads);
}

void ExecutionContext::setThreads(int threads) {
  threadCount = std::clamp(threads > 0 ? threads : availableCpus(), 1, maxThreads);
}

Status ExecutionContext::checkData(std::span<const TensorView> inputs) const {
  const Program &p = theModel->program();
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

Result<ExecutionContext::Bound *> ExecutionContext::bind(std::span<const TensorView> inputs) {
  const Program &p = theModel->program();
  bool sameTypes = true;
  for (size_t i = 0; i < inputs.size(); ++i)
    sameTypes &= inputs[i].dtype == p.views[p.inputs[i].view].dtype;
  if (sameTypes)
    for (size_t i = bounds.size(); i-- > 0;)
      if (sameDims(inputs, *bounds[i]->instance)) {
        std::rotate(bounds.begin() + int64_t(i), bounds.begin() + int64_t(i) + 1, bounds.end());
        return bounds.back().get();
      }

  std::vector<InputShape> shapes;
  for (const TensorView &v : inputs)
    shapes.push_back({v.dtype, v.dims});
  auto bound = std::make_unique<Bound>();
  KILN_ASSIGN(bound->instance, theModel->bind(shapes));
  if (bounds.size() >= keptBounds) {
    if (current == bounds.front().get())
      current = nullptr;
    bounds.erase(bounds.begin());
  }
  bounds.push_back(std::move(bound));
  return bounds.back().get();
}

void ExecutionContext::connect(Bound &bound, const char *weights, char *arena) {
  const Instance &instance = *bound.instance;
  size_t n = instance.operands.size();
  bound.pointers.assign(n, nullptr);
  bound.views.assign(n, {});
  bound.patches.clear();
  for (size_t i = 0; i < n; ++i) {
    const ResolvedOperand &o = instance.operands[i];
    switch (o.address.base) {
    case Address::Base::Null: break;
    case Address::Base::Arena: bound.pointers[i] = arena + o.address.offset; break;
    case Address::Base::Constant: bound.pointers[i] = const_cast<char *>(weights) + o.address.offset; break;
    case Address::Base::Input:
    case Address::Base::Output:
      bound.patches.push_back(
          {&bound.pointers[i], o.address.port, o.address.base == Address::Base::Output, o.address.offset});
      break;
    }
    bound.views[i] = {bound.pointers[i], o.dtype, instance.dimsOf(o)};
  }
  bound.arenaBase = arena;
}

Status ExecutionContext::prepareMemory(Bound &bound) {
  const Instance &instance = *bound.instance;
  KILN_TRY(arena.reserve(std::max<int64_t>(instance.arenaBytes, 64)));
  if (instance.scratchBytes > 0) {
    // A line between workers' scratch, so that they do not share one.
    int64_t stride = instance.scratchBytes + bufferAlignment;
    std::optional<int64_t> total = checkedMul(stride, threadCount);
    if (!total)
      return makeError(ErrorCode::E0510, "out of memory for the kernels' scratch");
    KILN_TRY(scratch.reserve(*total));
    scratchStride = stride;
  }
  if (bound.arenaBase != arena.data())
    connect(bound, reinterpret_cast<const char *>(theModel->artifact().weights().data()), arena.data());
  return Status();
}

Status ExecutionContext::bindOutputs(const Instance &instance, std::span<OutputSlot> outputs) const {
  const Program &p = theModel->program();
  if (outputs.size() != p.outputs.size())
    return makeError(ErrorCode::E0704, "the model has ", p.outputs.size(), " outputs, ", outputs.size(), " were given");
  for (size_t i = 0; i < outputs.size(); ++i) {
    DType dtype = p.views[p.outputs[i].view].dtype;
    std::span<const int64_t> dims = instance.outputDims[i];
    const TensorView &bound = outputs[i].bound;
    if (!bound.data) {
      KILN_ASSIGN(outputs[i].allocated, Tensor::create(dtype, dims));
      continue;
    }
    outputs[i].allocated = Tensor();
    if (bound.dtype != dtype || !std::ranges::equal(bound.dims, dims))
      return makeError(ErrorCode::E0509, "output \"", p.outputs[i].name, "\": the result is ",
                       printTensorType(dtype, dims), ", the given buffer ", printTensorType(bound.dtype, bound.dims));
    if (reinterpret_cast<uintptr_t>(bound.data) % uintptr_t(dtypeBytes(dtype)) != 0)
      return makeError(ErrorCode::E0515, "output \"", p.outputs[i].name, "\": its data is not aligned to ",
                       dtypeBytes(dtype), " bytes");
  }
  return Status();
}

Status ExecutionContext::run(std::span<const TensorView> inputs, std::span<OutputSlot> outputs) {
  KILN_TRY(checkData(inputs));
  KILN_ASSIGN(Bound * bound, bind(inputs));
  KILN_TRY(bindOutputs(*bound->instance, outputs));
  if (guardPages)
    return runGuarded(*bound, inputs, outputs);
  KILN_TRY(prepareMemory(*bound));
  for (const Bound::Patch &patch : bound->patches) {
    void *base = patch.isOutput ? outputs[patch.port].result().data : inputs[patch.port].data;
    // Only an input without elements may have no address; null would mean an absent operand.
    *patch.where = base ? static_cast<char *>(base) + patch.offset : nothing;
    bound->views[size_t(patch.where - bound->pointers.data())].data = *patch.where;
  }
  current = bound;
  return execute(*bound);
}

Status ExecutionContext::runGuarded(Bound &bound, std::span<const TensorView> inputs, std::span<OutputSlot> outputs) {
  const Instance &instance = *bound.instance;
  KILN_ASSIGN(guarded, GuardedMemory::create(*theModel, instance, inputs));
  bound.arenaBase = nullptr; // addresses are those of this run
  bound.pointers.clear();
  bound.views.clear();
  for (const ResolvedOperand &o : instance.operands) {
    bound.pointers.push_back(guarded->address(o));
    bound.views.push_back({bound.pointers.back(), o.dtype, instance.dimsOf(o)});
  }
  current = &bound;
  Status status = execute(bound);
  if (status.ok()) {
    std::vector<TensorView> results;
    for (const OutputSlot &output : outputs)
      results.push_back(output.result());
    guarded->copyOutputs(results);
  }
  guarded.reset();
  return status;
}

Result<std::vector<Tensor>> ExecutionContext::run(std::span<const TensorView> inputs) {
  std::vector<OutputSlot> slots(theModel->program().outputs.size());
  KILN_TRY(run(inputs, slots));
  std::vector<Tensor> results;
  for (OutputSlot &slot : slots)
    results.push_back(std::move(slot.allocated));
  return results;
}

Status ExecutionContext::stepError(size_t step, const Status &status) const {
  return status.withContext("node \"" + theModel->program().steps[step].node + "\": ");
}

Status ExecutionContext::launch(const Bound &bound, const ResolvedStep &step, ThreadPool *pool) {
  for (uint32_t i = 0; i < step.launchCount; ++i)
    KILN_TRY(launch(bound, bound.instance->launches[step.firstLaunch + i],
                    bound.instance->sizes.data() + step.firstSize, pool));
  return Status();
}

Status ExecutionContext::launch(const Bound &bound, const ResolvedLaunch &launch, const int64_t *sizes,
                                ThreadPool *pool) {
  alignas(64) int32_t status = KILN_KERNEL_OK;
  kiln_kernel_args_v1 args = {};
  args.buffers = bound.pointers.data() + launch.firstOperand;
  args.sizes = sizes;
  args.workspace = launch.workspace == ResolvedLaunch::none ? nullptr : bound.pointers[launch.workspace];
  args.status = &status;
  char *scratchBase = bound.instance->scratchBytes > 0 ? scratch.data() : nullptr;

  if (guarded)
    KILN_TRY(guarded->makeScratch(launch.scratch, threadCount));

  auto body = [&](int64_t begin, int64_t end, int worker) {
    kiln_kernel_args_v1 own = args;
    own.scratch = guarded ? guarded->scratch(worker) : scratchBase ? scratchBase + worker * scratchStride : nullptr;
    KernelFloatMode mode;
    for (int64_t i = begin; i < end; ++i)
      launch.kernel(&own, i, launch.grid);
  };
  if (pool && launch.parallel)
    pool->parallelFor(launch.grid, threadCount, body);
  else
    body(0, launch.grid, 0);

  if (status == KILN_KERNEL_OK)
    return Status();
  if (status == KILN_KERNEL_INDEX_OUT_OF_RANGE)
    return makeError(ErrorCode::E0513, "an index is out of range");
  return makeError(ErrorCode::E0512, "the kernel reported error ", status);
}

Status ExecutionContext::execute(Bound &bound) {
  const Instance &instance = *bound.instance;
  ThreadPool *pool = threadCount > 1 ? &ThreadPool::process() : nullptr;
  RunScope scope(pool, threadCount);
  struct StepScope {
    std::atomic<int64_t> &step;
    ~StepScope() { step.store(-1, std::memory_order_relaxed); }
  } stepScope{stepUnderWay};
  using Clock = std::chrono::steady_clock;
  Clock::time_point last;
  if (profiling) {
    times.assign(instance.steps.size(), 0);
    last = Clock::now();
  }
  for (size_t i = 0; i < instance.steps.size(); ++i) {
    const ResolvedStep &step = instance.steps[i];
    stepUnderWay.store(int64_t(i), std::memory_order_relaxed);
    Status status;
    switch (step.kind) {
    case ResolvedStep::Kind::Skipped: continue;
    case ResolvedStep::Kind::Launch: status = launch(bound, step, pool); break;
    case ResolvedStep::Kind::HostCall: {
      const TensorView *views = bound.views.data() + step.firstOperand;
      ref::OpCall call{*step.attributes,
                       {views, step.inputCount},
                       {views + step.inputCount, step.operandCount - step.inputCount},
                       ref::Accumulate::Wide};
      status = step.hostKernel(call);
      break;
    }
    case ResolvedStep::Kind::Copy:
      if (step.bytes > 0)
        std::memmove(bound.pointers[step.firstOperand + 1], bound.pointers[step.firstOperand], size_t(step.bytes));
      break;
    }
    if (guarded && status.ok())
      status = guarded->check(instance, step);
    if (profiling) {
      Clock::time_point now = Clock::now();
      times[i] = std::chrono::duration_cast<std::chrono::nanoseconds>(now - last).count();
      last = now;
    }
    if (!status.ok())
      return stepError(i, status);
  }
  return Status();
}

} // namespace kiln
