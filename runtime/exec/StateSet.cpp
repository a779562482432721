#include "runtime/exec/StateSet.h"

#include "runtime/plan/ProgramStates.h"

#include <algorithm>
#include <cstring>

namespace kiln {
namespace {

/// Copies between a tensor in the model's order of axes and one in stored order: that axis first.
void reorder(const TensorView &stored, size_t axis, void *model, bool toModel) {
  int64_t outer = 1, inner = dtypeBytes(stored.dtype), length = stored.dims[0];
  for (size_t d = 1; d < stored.dims.size(); ++d)
    (d <= axis ? outer : inner) *= stored.dims[d];
  if (inner == 0)
    return;
  for (int64_t i = 0; i < length; ++i)
    for (int64_t o = 0; o < outer; ++o) {
      char *here = static_cast<char *>(stored.data) + (i * outer + o) * inner;
      char *there = static_cast<char *>(model) + (o * length + i) * inner;
      std::memmove(toModel ? there : here, toModel ? here : there, size_t(inner));
    }
}

} // namespace

Result<std::shared_ptr<StateSet>> StateSet::create(std::shared_ptr<const LoadedModel> model,
                                                   const std::map<std::string, int64_t> &sizes) {
  const Program &p = model->program();
  std::set<std::string> used;
  for (const State &state : p.states)
    for (size_t d = state.growing ? 1 : 0; d < state.dims.size(); ++d)
      state.dims[d].collectSymbols(used);
  std::map<std::string, int64_t> values;
  for (const auto &[name, value] : sizes) {
    std::string stored = SizeExpr::symbol(name).print();
    if (!used.count(stored))
      return makeError(ErrorCode::E0704, "no state has a size \"", name, "\"");
    if (value < 0)
      return makeError(ErrorCode::E0704, "size ", name, " of a state is ", value);
    values.emplace(stored, value);
  }
  std::shared_ptr<StateSet> set(new StateSet(std::move(model)));
  for (const State &state : p.states) {
    std::string type =
        std::string(dtypeName(state.dtype)) + printSizes(state.inModelOrder(std::span<const SizeExpr>(state.dims)));
    std::vector<int64_t> dims;
    for (const SizeExpr &dim : state.dims) {
      if (state.growing && dims.empty()) {
        dims.push_back(firstCapacity(p, uint32_t(&state - p.states.data())));
        continue;
      }
      std::set<std::string> names;
      dim.collectSymbols(names);
      for (const std::string &name : names)
        if (!values.count(name))
          return makeError(ErrorCode::E0523, "state \"", state.name, "\" is ", type, ": no value is given for ", name);
      Result<int64_t> value = dim.evaluate(values);
      if (!value.ok() || *value < 0)
        return makeError(ErrorCode::E0308, "state \"", state.name, "\" is ", type,
                         ": a size of it is negative or overflows");
      dims.push_back(*value);
    }
    Result<Tensor> tensor = Tensor::zeros(state.dtype, dims);
    if (!tensor.ok())
      return tensor.status().withContext("state \"" + state.name + "\": ");
    Value &value = set->values.emplace_back(*std::move(tensor), dims);
    if (state.growing)
      value.dims[0] = 0;
  }
  return set;
}

Result<StateSet::Use> StateSet::use() {
  if (busy.exchange(true, std::memory_order_acquire))
    return makeError(ErrorCode::E0522, "the states are in use by a run");
  return Use(this);
}

Result<size_t> StateSet::find(std::string_view name) const {
  const std::vector<State> &states = theModel->program().states;
  for (size_t i = 0; i < states.size(); ++i)
    if (states[i].name == name)
      return i;
  return makeError(ErrorCode::E0501, "the model has no state \"", name, "\"");
}

Status StateSet::Use::check(size_t state) const {
  if (!isPoisoned(state))
    return Status();
  return makeError(ErrorCode::E0521, "state \"", set->model().program().states[state].name,
                   "\" is not valid: a run that wrote it failed; reset or set it");
}

Result<std::shared_ptr<StateSet>> StateSet::Use::copy() const {
  std::shared_ptr<StateSet> copy(new StateSet(set->theModel));
  for (const Value &value : set->values) {
    KILN_ASSIGN(Tensor memory, Tensor::create(value.memory.dtype(), value.memory.dims()));
    if (const TensorView view = value.view(); view.bytes() > 0)
      std::memcpy(memory.data(), view.data, size_t(view.bytes()));
    copy->values.emplace_back(std::move(memory), value.dims, value.poisoned);
  }
  return copy;
}

std::vector<int64_t> StateSet::Use::modelDims(size_t state) const {
  return description(state).inModelOrder(std::span<const int64_t>(view(state).dims));
}

Status StateSet::Use::checkType(size_t state, const TensorView &tensor, bool anyLength) const {
  const State &own = description(state);
  std::vector<int64_t> dims = modelDims(state);
  bool fits = tensor.dtype == own.dtype && tensor.dims.size() == dims.size();
  for (size_t d = 0; fits && d < dims.size(); ++d)
    fits = tensor.dims[d] == dims[d] || (anyLength && own.growing == d);
  if (!fits) {
    std::vector<SizeExpr> shown(dims.begin(), dims.end());
    if (anyLength && own.growing)
      shown[*own.growing] = own.dims[0];
    return makeError(ErrorCode::E0509, "state \"", own.name, "\" is ", dtypeName(own.dtype), printSizes(shown),
                     ", the given tensor ", printTensorType(tensor.dtype, tensor.dims));
  }
  if (!tensor.data && tensor.bytes() > 0)
    return makeError(ErrorCode::E0509, "state \"", own.name, "\": the given tensor has no data");
  return Status();
}

Status StateSet::Use::read(size_t state, const TensorView &to) const {
  KILN_TRY(checkType(state, to, false));
  const TensorView own = view(state);
  if (std::optional<uint32_t> axis = description(state).growing)
    reorder(own, *axis, to.data, true);
  else if (own.bytes() > 0)
    std::memcpy(to.data, own.data, size_t(own.bytes()));
  return Status();
}

Status StateSet::Use::assign(size_t state, const TensorView &value) {
  KILN_TRY(checkType(state, value, true));
  Value &own = set->values[state];
  if (std::optional<uint32_t> axis = description(state).growing) {
    own.dims[0] = 0; // nothing of the old value has to be kept
    KILN_TRY(reserve(state, value.dims[*axis]).status());
    own.dims[0] = value.dims[*axis];
    reorder(own.view(), *axis, value.data, false);
  } else if (value.bytes() > 0) {
    std::memmove(own.memory.data(), value.data, size_t(value.bytes()));
  }
  own.poisoned = false;
  return Status();
}

void StateSet::Use::reset(size_t state) {
  Value &own = set->values[state];
  if (description(state).growing)
    own.dims[0] = 0;
  else
    std::memset(own.memory.data(), 0, size_t(own.memory.bytes()));
  own.poisoned = false;
}

Result<int64_t> StateSet::Use::reserve(size_t state, int64_t length) {
  Value &own = set->values[state];
  if (length <= own.capacity())
    return int64_t(0);
  std::vector<int64_t> dims = own.dims;
  dims[0] = std::max(length, checkedMul(own.capacity(), 2).value_or(length));
  Result<Tensor> memory = Tensor::create(own.memory.dtype(), dims);
  if (!memory.ok() && dims[0] > length) {
    dims[0] = length;
    memory = Tensor::create(own.memory.dtype(), dims);
  }
  if (!memory.ok())
    return memory.status().withContext("state \"" + description(state).name + "\" grows to " + std::to_string(length) +
                                       ": ");
  int64_t bytes = own.view().bytes();
  if (bytes > 0)
    std::memcpy(memory->data(), own.memory.data(), size_t(bytes));
  own.memory = *std::move(memory);
  return bytes;
}

Status StateSet::Use::checkGrows(size_t state, int64_t length) const {
  const State &own = description(state);
  if (!own.growing)
    return makeError(ErrorCode::E0704, "state \"", own.name, "\" is ", printTensorType(own.dtype, view(state).dims),
                     ", and does not grow");
  if (length < 0)
    return makeError(ErrorCode::E0704, "state \"", own.name, "\" cannot have ", length, " elements along an axis");
  return Status();
}

Status StateSet::Use::resize(size_t state, int64_t length) {
  KILN_TRY(checkGrows(state, length));
  KILN_TRY(reserve(state, length).status());
  int64_t before = view(state).bytes();
  setLength(state, length);
  const TensorView after = view(state);
  if (after.bytes() > before)
    std::memset(static_cast<char *>(after.data) + before, 0, size_t(after.bytes() - before));
  return Status();
}

Status StateSet::Use::reserveFor(size_t state, int64_t length) {
  KILN_TRY(checkGrows(state, length));
  return reserve(state, length).status();
}

} // namespace kiln
