// The states of a model: tensors that outlive runs, shared by the contexts that are given them. One run, or one look at
// them, at a time: what comes meanwhile is refused, since the order of two updates would decide their result.
#pragma once

#include "runtime/exec/LoadedModel.h"

#include <atomic>
#include <map>

namespace kiln {

class StateSet {
public:
  /// All zero. `sizes`: values of the sizes that the states' dims name, each of them and no others (E0523, E0704).
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

    TensorView view(size_t state) const { return set->values[state].tensor.view(); }
    bool isPoisoned(size_t state) const { return set->values[state].poisoned; }
    void setPoisoned(size_t state, bool poisoned) { set->values[state].poisoned = poisoned; }
    /// An error (E0521) if the state's value is not valid.
    Status check(size_t state) const;
    /// An error (E0509) unless a tensor has the state's type and dims, and data.
    Status checkType(size_t state, const TensorView &tensor) const;

    Result<std::shared_ptr<StateSet>> copy() const;
    /// The value becomes that of a tensor that checkType allows.
    Status assign(size_t state, const TensorView &value);
    void reset(size_t state);

  private:
    StateSet *set;
  };
  /// E0522 while another use lasts.
  Result<Use> use();
  /// The dims of a state, which never change.
  std::span<const int64_t> dims(size_t state) const { return values[state].tensor.view().dims; }
  /// Of a state by its name (E0501).
  Result<size_t> find(std::string_view name) const;

private:
  struct Value {
    Tensor tensor;
    bool poisoned = false; ///< a run that may have written it failed
  };
  explicit StateSet(std::shared_ptr<const LoadedModel> model) : theModel(std::move(model)) {}

  std::shared_ptr<const LoadedModel> theModel;
  std::vector<Value> values;
  std::atomic<bool> busy{false};
};

} // namespace kiln
