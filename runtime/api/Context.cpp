#include "runtime/api/Handles.h"
#include "runtime/api/RunValues.h"

#include <algorithm>
#include <cstddef>

using namespace kiln;
using namespace kiln::api;

namespace {

Status runContext(kiln_context *context, const kiln_run_options &options, std::span<const kiln_value> inputs,
                  std::span<kiln_value> outputs) {
  const Program &program = context->context->model().program();
  KILN_TRY(checkEntry(program, options.entry));
  const Function &p = program.entry(options.entry);
  RunInputs taken(*context->context);
  RunOutputs given;
  const kiln_model::EntryText &signature = context->model->entries[options.entry];
  const StateSet *states = options.state ? options.state->set.get() : nullptr;
  KILN_TRY(taken.take(p, states, signature.inputs, inputs));
  KILN_TRY(given.bind(p, signature.outputs, outputs));
  KILN_TRY(context->context->run(options.entry, taken.views(), given.slots(),
                                 options.state ? options.state->set.get() : nullptr));
  given.give(outputs);
  return Status();
}

/// The host's pool behind our interface.
class HostPool final : public ThreadPool {
public:
  explicit HostPool(const kiln_thread_pool &pool) : pool(pool) {}
  void parallelFor(int64_t n, int threads, Body body, void *argument) override {
    if (n <= 0)
      return;
    threads = int(std::min<int64_t>({int64_t(threads), n, int64_t(maxThreads)}));
    if (threads <= 1)
      return body(argument, 0, n, 0);
    pool.parallel_for(pool.context, n, threads, body, argument);
  }

private:
  kiln_thread_pool pool;
};

} // namespace

extern "C" {

int kiln_context_create(kiln_model *model, const kiln_context_options *options, kiln_context **context,
                        kiln_status *status) {
  return guarded(status, [&]() -> Status {
    if (!model || !context)
      return nullArgument(model ? "context" : "model");
    *context = nullptr;
    kiln_context_options full = KILN_CONTEXT_OPTIONS_INIT;
    KILN_TRY(takeSized(options, full, offsetof(kiln_context_options, unused)));
    if (full.threads < 0)
      return makeError(ErrorCode::E0704, "the number of threads is negative");
    auto handle = std::make_unique<kiln_context>();
    handle->context = std::make_unique<ExecutionContext>(model->model, full.threads);
    handle->context->setGuardPages(full.guard_pages != 0);
    if (full.memory_limit < 0)
      return makeError(ErrorCode::E0704, "the memory limit is negative");
    handle->context->setMemoryLimit(full.memory_limit);
    handle->model = model;
    kiln_model_retain(model);
    *context = handle.release();
    return Status();
  });
}

void kiln_context_release(kiln_context *context) {
  if (!context)
    return;
  kiln_model *model = context->model;
  delete context;
  kiln_model_release(model);
}

void kiln_context_cancel(kiln_context *context) {
  if (context)
    context->context->cancel();
}

int64_t kiln_context_current_step(const kiln_context *context) {
  return context ? context->context->currentStep() : -1;
}

int kiln_context_run(kiln_context *context, const kiln_value *inputs, size_t input_count, kiln_value *outputs,
                     size_t output_count, const kiln_run_options *options, kiln_status *status) {
  return guarded(status, [&]() -> Status {
    kiln_run_options full = KILN_RUN_OPTIONS_INIT;
    KILN_TRY(takeSized(options, full, offsetof(kiln_run_options, entry)));
    if (full.stream)
      return makeError(ErrorCode::E0704, "a stream is given; runs on the host have none");
    if (!context || (!inputs && input_count > 0) || (!outputs && output_count > 0))
      return nullArgument(!context ? "context" : !inputs ? "inputs" : "outputs");
    return runContext(context, full, {inputs, input_count}, {outputs, output_count});
  });
}

int kiln_context_set_profiling(kiln_context *context, int on, kiln_status *status) {
  return guarded(status, [&]() -> Status {
    if (!context)
      return nullArgument("context");
    context->context->setProfiling(on != 0);
    return Status();
  });
}

int kiln_context_get_profile(const kiln_context *context, kiln_step_profile *steps, size_t count, kiln_status *status) {
  return guarded(status, [&]() -> Status {
    if (!context || (!steps && count > 0))
      return nullArgument(context ? "steps" : "context");
    std::shared_ptr<const Instance> instance = context->context->lastInstance();
    if (!instance)
      return makeError(ErrorCode::E0704, "there was no run yet");
    const Program &p = context->context->model().program();
    if (size_t all = p.firstStep(FunctionId(p.functions.size())); count != all)
      return makeError(ErrorCode::E0704, "the model has ", all, " steps, not ", count);
    std::span<const StepProfile> profiles = context->context->stepProfiles();
    for (size_t i = 0; i < count; ++i)
      steps[i] = {i < profiles.size() ? profiles[i].nanoseconds : 0, 0, 0, 0};
    size_t first = p.firstStep(instance->function);
    for (size_t i = 0; i < instance->steps.size(); ++i) {
      const ResolvedStep &step = instance->steps[i];
      kiln_step_profile &out = steps[first + i];
      out.flops = instance->flops[i];
      out.bytes = instance->bytes[i];
      for (uint32_t l = 0; l < step.launchCount; ++l)
        out.grid += instance->launches[step.first + l].grid;
    }
    return Status();
  });
}

int kiln_context_get_info(const kiln_context *context, kiln_context_info *info, kiln_status *status) {
  return guarded(status, [&]() -> Status {
    if (!context)
      return nullArgument("context");
    const ExecutionContext &c = *context->context;
    std::shared_ptr<const Instance> instance = c.lastInstance();
    if (!instance)
      return makeError(ErrorCode::E0704, "there was no run yet");
    kiln_context_info full = KILN_CONTEXT_INFO_INIT;
    full.threads = c.threads();
    full.arena_bytes = instance->arenaBytes;
    full.scratch_bytes = instance->scratchBytes * c.threads();
    for (size_t i = 0; i < instance->steps.size(); ++i) {
      full.flops += instance->flops[i];
      if (instance->steps[i].kind != ResolvedStep::Kind::HostCall)
        full.generated_flops += instance->flops[i];
    }
    full.state_bytes_copied = c.stateBytesCopied();
    return giveSized(info, full, offsetof(kiln_context_info, state_bytes_copied));
  });
}

int kiln_set_thread_pool(const kiln_thread_pool *pool, kiln_status *status) {
  return guarded(status, [&]() -> Status {
    if (!pool) {
      ThreadPool::replace(nullptr);
      return Status();
    }
    kiln_thread_pool full = KILN_THREAD_POOL_INIT;
    KILN_TRY(takeSized(pool, full, sizeof full));
    if (!full.parallel_for)
      return nullArgument("parallel_for");
    // Runs may be under way in it for as long as the process lives, so it is kept for ever.
    static std::mutex mutex;
    static auto *kept = new std::vector<std::unique_ptr<HostPool>>;
    std::lock_guard lock(mutex);
    kept->push_back(std::make_unique<HostPool>(full));
    ThreadPool::replace(kept->back().get());
    return Status();
  });
}

} // extern "C"
