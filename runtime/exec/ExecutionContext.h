// What one run at a time needs: arena, scratch and addresses. Cheap to make; not for use from
// several threads at once. Runs in different contexts of one model may overlap.
#pragma once

#include "runtime/exec/GuardedMemory.h"
#include "runtime/exec/ThreadPool.h"

#include <atomic>
#include <memory>
#include <span>
#include <vector>

namespace kiln {

/// 64-byte aligned memory that grows, on huge pages where it is large; contents are lost when it
/// grows.
class GrowingMemory {
public:
  GrowingMemory() = default;
  ~GrowingMemory();
  GrowingMemory(const GrowingMemory &) = delete;
  GrowingMemory &operator=(const GrowingMemory &) = delete;
  Status reserve(int64_t bytes);
  char *data() const { return base; }
  int64_t size() const { return bytes; }

private:
  void release();
  char *base = nullptr;
  int64_t bytes = 0;
  bool mapped = false;
};

/// An output of a run. With `bound.data` set the result is written there (type and dims must be the
/// result's); else it is allocated.
struct OutputSlot {
  TensorView bound;
  Tensor allocated;
  TensorView result() const { return allocated.valid() ? allocated.view() : bound; }
};

class ExecutionContext {
public:
  /// `threads` 0: the CPUs this process may use. Results do not depend on it.
  explicit ExecutionContext(std::shared_ptr<const LoadedModel> model, int threads = 0);

  const LoadedModel &model() const { return *theModel; }
  int threads() const { return threadCount; }
  void setThreads(int threads);

  /// Runs the model. Inputs in the signature's order, read in place: dense, row-major, aligned to
  /// their elements, unchanged during the run. Bound outputs must not overlap inputs or each other.
  /// After an error the outputs are undefined.
  Status run(std::span<const TensorView> inputs, std::span<OutputSlot> outputs);
  /// The same with all outputs allocated.
  Result<std::vector<Tensor>> run(std::span<const TensorView> inputs);

  /// Whether every buffer of a run gets memory of its own between inaccessible pages, filled with NaN: what steps
  /// touch outside their buffers is a fault or an error that names the step, and what nobody wrote shows. Slow.
  void setGuardPages(bool on) { guardPages = on; }
  /// The step that a run is in; -1 outside of runs. For signal handlers too.
  int64_t currentStep() const { return stepUnderWay.load(std::memory_order_relaxed); }

  /// With profiling on, each run measures its steps.
  void setProfiling(bool on) { profiling = on; }
  /// Nanoseconds of each step of the last profiled run.
  std::span<const int64_t> stepTimes() const { return times; }
  /// The sizes of the last run; null before.
  std::shared_ptr<const Instance> lastInstance() const { return current ? current->instance : nullptr; }
  /// Bytes held now.
  int64_t arenaBytes() const { return arena.size(); }
  int64_t scratchBytes() const { return scratch.size(); }

private:
  /// An instance with addresses. Those of inputs and outputs are set at every run.
  struct Bound {
    struct Patch {
      void **where;
      uint32_t port;
      bool isOutput;
      int64_t offset;
    };
    std::shared_ptr<const Instance> instance;
    const char *arenaBase = nullptr;
    std::vector<void *> pointers;  // one per operand
    std::vector<TensorView> views; // one per operand; their data follows `pointers`
    std::vector<Patch> patches;
  };

  Status checkData(std::span<const TensorView> inputs) const;
  Result<Bound *> bind(std::span<const TensorView> inputs);
  Status bindOutputs(const Instance &instance, std::span<OutputSlot> outputs) const;
  Status prepareMemory(Bound &bound);
  Status runGuarded(Bound &bound, std::span<const TensorView> inputs, std::span<OutputSlot> outputs);
  Status execute(Bound &bound);
  Status launch(const Bound &bound, const ResolvedStep &step, ThreadPool *pool);
  Status launch(const Bound &bound, const ResolvedLaunch &launch, const int64_t *sizes, ThreadPool *pool);
  Status stepError(size_t step, const Status &status) const;
  static void connect(Bound &bound, const char *weights, char *arena);

  std::shared_ptr<const LoadedModel> theModel;
  int threadCount = 1;
  bool profiling = false, guardPages = false;
  std::unique_ptr<GuardedMemory> guarded; // of the run under way
  std::atomic<int64_t> stepUnderWay{-1};
  GrowingMemory arena, scratch;
  int64_t scratchStride = 0;
  std::vector<int64_t> times;
  std::vector<std::unique_ptr<Bound>> bounds; // most recently used last
  Bound *current = nullptr;
};

} // namespace kiln
