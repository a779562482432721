// What one run at a time needs: arena and scratch. Cheap to make; not for use from
// several threads at once. Runs in different contexts of one model may overlap.
#pragma once

#include "runtime/device/GuardedBuffer.h"
#include "runtime/device/ThreadPool.h"
#include "runtime/exec/FrameStack.h"
#include "runtime/exec/LoadedModel.h"
#include "runtime/exec/StateSet.h"

#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace kiln {

/// An output of a function. With `bound.data` set the result is written there (type and dims must be the
/// result's); else it is allocated.
struct OutputSlot {
  TensorView bound;
  /// Bytes at bound.data, where only the rank of `bound` counts: its dims become those of the result, which are kept in
  /// `dims`.
  std::optional<int64_t> capacity{};
  std::vector<int64_t> dims{};
  /// Without bound.data: whether the result must be of bound's type and dims all the same.
  bool mustMatch = false;
  Tensor allocated;
  Tensor spare; ///< memory for `allocated`, if its type and dims fit
  TensorView result() const { return allocated.valid() ? allocated.view() : bound; }
};

/// What profiled runs measured of one step, and how often it ran.
struct StepProfile {
  int64_t nanoseconds = 0, calls = 0;
};

class ExecutionContext {
public:
  /// `threads` 0: the CPUs this process may use. Results do not depend on it.
  explicit ExecutionContext(std::shared_ptr<const LoadedModel> model, int threads = 0);

  const LoadedModel &model() const { return *theModel; }
  int threads() const { return threadCount; }
  void setThreads(int threads);

  /// Runs an entry of the model. Inputs in the signature's order, read in place: dense, row-major, aligned to
  /// their elements, unchanged during the run. Bound outputs must not overlap inputs or each other.
  /// After an error the outputs are undefined. `states`: those that it works on; null where the entry
  /// has none.
  Status run(size_t entry, std::span<const TensorView> inputs, std::span<OutputSlot> outputs,
             StateSet *states = nullptr);
  Status run(std::span<const TensorView> inputs, std::span<OutputSlot> outputs) { return run(0, inputs, outputs); }
  /// The same with all outputs allocated.
  Result<std::vector<Tensor>> run(std::span<const TensorView> inputs, size_t entry = 0, StateSet *states = nullptr);

  /// Bytes that copies moved out of or into states in the last run: by copy steps, and by updates of a part that could
  /// not be done in place.
  int64_t stateBytesCopied() const { return stateCopies; }
  /// Bytes that the last run copied to and from a device with memory of its own.
  int64_t bytesToDevice() const { return toDevice; }
  int64_t bytesToHost() const { return toHost; }

  /// Whether every buffer of a run gets memory of its own between inaccessible pages, filled with NaN: what steps
  /// touch outside their buffers is a fault or an error that names the step, and what nobody wrote shows. Slow. Of the
  /// CPU only (E0704).
  void setGuardPages(bool on, BufferPlacement placement = BufferPlacement::AtEnd) {
    guardPages = on ? std::optional(placement) : std::nullopt;
  }
  /// The most bytes that a run may hold: arena, scratch, and values that it allocates. 0: no limit.
  void setMemoryLimit(int64_t bytes) { memoryLimit = bytes; }
  /// Bytes that the caller holds for the next runs besides, which count towards the limit: an error when they are more
  /// (E0510).
  Status setCallerBytes(int64_t bytes) {
    callerBytes = bytes;
    return checkMemory();
  }
  /// Ends the run under way, if any, before its next step (E0518). From any thread, and from signal handlers.
  void cancel() { cancelled.store(true, std::memory_order_relaxed); }

  /// The step that a run is in, counted over all functions (Program::firstStep); -1 outside of runs. For signal
  /// handlers too.
  int64_t currentStep() const { return stepUnderWay.load(std::memory_order_relaxed); }

  /// With profiling on, each run measures its steps.
  void setProfiling(bool on) { profiling = on; }
  /// Of the last profiled run: one for each step of all functions.
  std::span<const StepProfile> stepProfiles() const { return profiles; }
  /// The sizes of the last run; null before.
  std::shared_ptr<const Instance> lastInstance() const { return last; }
  /// Bytes held now.
  int64_t arenaBytes() const { return frames.size() + deviceFrames.size(); }
  int64_t scratchBytes() const { return scratch.size(); }

private:
  friend class FunctionCall;

  /// Where the frames of a function begin: in the host's stack, and in the device's.
  struct Places {
    FrameStack::Place host, device;
  };
  /// A function with what it is called with. `places`: above what its caller uses.
  Status call(FunctionId function, std::span<const TensorView> inputs, std::span<const int64_t> sizes,
              std::span<OutputSlot> outputs, const Places &places);
  Status runWithStates(size_t entry, std::span<const TensorView> inputs, std::span<OutputSlot> outputs,
                       StateSet *states);
  bool mayHaveWritten(const Function &function, size_t state) const;
  /// Adds to what the run says of copies, where `data` lies in a state.
  void countStateCopy(const void *data, int64_t bytes);
  Status checkData(const Function &function, std::span<const TensorView> inputs) const;
  Result<std::shared_ptr<const Instance>> bind(FunctionId function, std::span<const TensorView> inputs,
                                               std::span<const int64_t> sizes);
  Status bindOutputs(const Instance &instance, std::span<OutputSlot> outputs);
  /// Memory for an output whose dims are known: that which is bound, which must be of them, or a new tensor.
  Status placeOutput(const Port &port, DType dtype, std::span<const int64_t> dims, OutputSlot &slot);
  Status prepareScratch(const Instance &instance);
  /// A tensor that counts towards the memory limit.
  Result<Tensor> allocate(DType dtype, std::span<const int64_t> dims);
  Status checkMemory() const;
  /// Until the device has done all that it was given. The error names the node of a launch that failed.
  Status wait();

  std::shared_ptr<const LoadedModel> theModel;
  int threadCount = 1;
  bool profiling = false;
  std::optional<BufferPlacement> guardPages;
  int64_t memoryLimit = 0, callerBytes = 0;
  int64_t valueBytes = 0;                       // that the run under way allocated
  int loops = 0;                                // under way
  std::span<const TensorView> states;           // of the run under way
  std::shared_ptr<const ConstantSet> constants; // of the run under way
  int64_t stateCopies = 0;                      // bytes, by the last run
  size_t stepsBegun = 0;                        // in the function that failed, the entry's own last
  std::atomic<int64_t> stepUnderWay{-1};
  std::atomic<bool> cancelled{false};
  std::vector<size_t> firstSteps;  // of each function
  FrameStack frames, deviceFrames; // the device's stays empty where its memory is the host's
  GrowingMemory scratch;           // the device's
  int64_t scratchStride = 0;
  std::vector<void *> workerScratch; // parts of it
  std::unique_ptr<Queue> queue;
  bool failedLate = false;          // whether wait() told an error, which names its node and ends the run
  bool crossing = false;            // whether the queue may be reading or writing host memory
  int64_t toDevice = 0, toHost = 0; // bytes, by the last run
  std::vector<StepProfile> profiles;
  std::vector<std::vector<std::shared_ptr<const Instance>>> recent; // by function; most recently used last
  std::shared_ptr<const Instance> last;
};

} // namespace kiln
