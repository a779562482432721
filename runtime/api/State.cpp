#include "runtime/api/Handles.h"

using namespace kiln;
using namespace kiln::api;

/// Runs the body of a function about one state, which no run uses meanwhile.
template <typename F> static int ofState(kiln_state *state, const char *name, kiln_status *status, F &&body) {
  return guarded(status, [&]() -> Status {
    if (!state || !name)
      return nullArgument(state ? "name" : "state");
    KILN_ASSIGN(size_t index, state->set->find(name));
    KILN_ASSIGN(StateSet::Use use, state->set->use());
    return body(use, index);
  });
}

/// The same of a state that grows, or with a null name of all that do.
template <typename F> static int ofGrowing(kiln_state *state, const char *name, kiln_status *status, F &&body) {
  if (name)
    return ofState(state, name, status, body);
  return guarded(status, [&]() -> Status {
    if (!state)
      return nullArgument("state");
    KILN_ASSIGN(StateSet::Use use, state->set->use());
    const std::vector<State> &states = state->set->model().program().states;
    for (size_t i = 0; i < states.size(); ++i)
      if (states[i].growing)
        KILN_TRY(body(use, i));
    return Status();
  });
}

extern "C" {

int kiln_state_create(kiln_model *model, const kiln_size *sizes, size_t size_count, kiln_state **state,
                      kiln_status *status) {
  return guarded(status, [&]() -> Status {
    if (!model || !state || (!sizes && size_count > 0))
      return nullArgument(!model ? "model" : !state ? "state" : "sizes");
    *state = nullptr;
    std::map<std::string, int64_t> values;
    for (size_t i = 0; i < size_count; ++i) {
      if (!sizes[i].name)
        return nullArgument("sizes");
      values[sizes[i].name] = sizes[i].value;
    }
    KILN_ASSIGN(std::shared_ptr<StateSet> set, StateSet::create(model->model, values));
    *state = new kiln_state{std::move(set)};
    return Status();
  });
}

void kiln_state_release(kiln_state *state) { delete state; }

int kiln_state_copy(kiln_state *state, kiln_state **copy, kiln_status *status) {
  return guarded(status, [&]() -> Status {
    if (!state || !copy)
      return nullArgument(state ? "copy" : "state");
    *copy = nullptr;
    KILN_ASSIGN(StateSet::Use use, state->set->use());
    KILN_ASSIGN(std::shared_ptr<StateSet> set, use.copy());
    *copy = new kiln_state{std::move(set)};
    return Status();
  });
}

int kiln_state_get(kiln_state *state, const char *name, kiln_value *value, kiln_status *status) {
  return ofState(state, name, status, [&](StateSet::Use &use, size_t index) -> Status {
    if (!value)
      return nullArgument("value");
    KILN_TRY(use.check(index));
    if (value->kind == KILN_NONE) {
      KILN_ASSIGN(Tensor copy, Tensor::create(use.view(index).dtype, use.modelDims(index)));
      KILN_TRY(use.read(index, copy.view()));
      *value = giveTensor(std::move(copy));
      return Status();
    }
    KILN_ASSIGN(TensorView target, denseViewOf(*value, "the tensor for state \"" + std::string(name) + "\""));
    return use.read(index, target);
  });
}

int kiln_state_set(kiln_state *state, const char *name, const kiln_value *value, kiln_status *status) {
  return ofState(state, name, status, [&](StateSet::Use &use, size_t index) -> Status {
    if (!value)
      return nullArgument("value");
    KILN_ASSIGN(TensorView source, denseViewOf(*value, "the value of state \"" + std::string(name) + "\""));
    return use.assign(index, source);
  });
}

int kiln_state_reserve(kiln_state *state, const char *name, int64_t capacity, kiln_status *status) {
  return ofGrowing(state, name, status,
                   [&](StateSet::Use &use, size_t index) { return use.reserveFor(index, capacity); });
}

int kiln_state_resize(kiln_state *state, const char *name, int64_t length, kiln_status *status) {
  return ofGrowing(state, name, status, [&](StateSet::Use &use, size_t index) { return use.resize(index, length); });
}

int kiln_state_reset(kiln_state *state, const char *name, kiln_status *status) {
  return guarded(status, [&]() -> Status {
    if (!state)
      return nullArgument("state");
    size_t first = 0, end = state->set->model().program().states.size();
    if (name) {
      KILN_ASSIGN(first, state->set->find(name));
      end = first + 1;
    }
    KILN_ASSIGN(StateSet::Use use, state->set->use());
    for (size_t i = first; i < end; ++i)
      use.reset(i);
    return Status();
  });
}

int kiln_state_is_valid(kiln_state *state, const char *name, int *valid, kiln_status *status) {
  return ofState(state, name, status, [&](StateSet::Use &use, size_t index) -> Status {
    if (!valid)
      return nullArgument("valid");
    *valid = !use.isPoisoned(index);
    return Status();
  });
}

} // extern "C"
