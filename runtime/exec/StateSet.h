// The states of a model: tensors that outlive runs, shared by the contexts that are given them. One run, or one look at
// them, at a time: what comes meanwhile is refused, since the order of two updates would decide their result.
//
// A state that grows (State::growing) has a length, which is 0 at first, and memory for a number of elements along its
// growing axis, its capacity. It gets more when a run or a caller needs it, at least twice as much, so that what is
// copied then is little beside what was added.
#pragma once

#include "runtime/exec/LoadedModel.h"

#include <atomic>
#include <map>

namespace kiln {

class StateSet {
public:
  /// All zero; those that grow are of length 0, and have room for as much as all entries allow where that is limited.
  /// `sizes`: values of the sizes that the states' dims name, each of them and no others (E0523, E0704).
  static Result<std::shared_ptr<StateSet>> create(std::shared_ptr<const LoadedModel> model,
                                                  const std::map<std::string, int64_t> &sizes);

  const LoadedModel &model() const { return *theModel; }

  /// The right to read and write the states, until it is destroyed. States are numbered as in Program::states.
  class Use {
  public:
    explicit Use(StateSet *set) : set(set) {}
    Use(Use &&from) noexcept : set(std::exchange(from.set, nullptr)) {}
    Use &operator=(Use &&) = delete;
    ~Use() {
      if (set)
        set->busy.store(false, std::memory_order_release);
    }

    /// The value as it is stored.
    TensorView view(size_t state) const { return set->values[state].view(); }
    bool isPoisoned(size_t state) const { return set->values[state].poisoned; }
    void setPoisoned(size_t state, bool poisoned) { set->values[state].poisoned = poisoned; }
    /// An error (E0521) if the state's value is not valid.
    Status check(size_t state) const;

    Result<std::shared_ptr<StateSet>> copy() const;
    /// The dims of the value in the model's order of axes.
    std::vector<int64_t> modelDims(size_t state) const;
    /// Copies the value to a tensor, which must have its type, these dims, and data (E0509).
    Status read(size_t state, const TensorView &to) const;
    /// The value becomes that of a tensor of the state's type and dims (E0509); that along which it grows is any.
    Status assign(size_t state, const TensorView &value);
    /// Zero; one that grows is of length 0.
    void reset(size_t state);

    /// Room for so many elements along the growing axis; gives the bytes of the value that were moved for it.
    Result<int64_t> reserve(size_t state, int64_t length);
    /// Elements along the growing axis, for which there is room; what is new is whatever lies there.
    void setLength(size_t state, int64_t length) { set->values[state].dims[0] = length; }
    /// The same by a caller: what is new is zero, and room is made. An error (E0704) for a state that does not grow.
    Status resize(size_t state, int64_t length);
    /// Room by a caller, with the same error.
    Status reserveFor(size_t state, int64_t length);

  private:
    const State &description(size_t state) const { return set->theModel->program().states[state]; }
    Status checkType(size_t state, const TensorView &tensor, bool anyLength) const;
    Status checkGrows(size_t state, int64_t length) const;

    StateSet *set;
  };
  /// E0522 while another use lasts.
  Result<Use> use();
  /// The dims of a state as it is stored; of one that grows the first one changes.
  std::span<const int64_t> dims(size_t state) const { return values[state].dims; }
  /// Of a state by its name (E0501).
  Result<size_t> find(std::string_view name) const;

private:
  struct Value {
    Tensor memory; // with the capacity where the length would be
    std::vector<int64_t> dims;
    bool poisoned = false; ///< a run that may have written it failed

    TensorView view() const { return {memory.data(), memory.dtype(), dims}; }
    int64_t capacity() const { return memory.dims()[0]; }
  };
  explicit StateSet(std::shared_ptr<const LoadedModel> model) : theModel(std::move(model)) {}

  std::shared_ptr<const LoadedModel> theModel;
  std::vector<Value> values;
  std::atomic<bool> busy{false};
};

} // namespace kiln
