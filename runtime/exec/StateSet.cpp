#include "runtime/exec/StateSet.h"

#include <cstring>

namespace kiln {

Result<std::shared_ptr<StateSet>> StateSet::create(std::shared_ptr<const LoadedModel> model,
                                                   const std::map<std::string, int64_t> &sizes) {
  const Program &p = model->program();
  std::set<std::string> used;
  for (const State &state : p.states)
    for (const SizeExpr &dim : state.dims)
      dim.collectSymbols(used);
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
    std::string type = std::string(dtypeName(state.dtype)) + printSizes(state.dims);
    std::vector<int64_t> dims;
    for (const SizeExpr &dim : state.dims) {
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
    set->values.push_back({*std::move(tensor)});
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
    KILN_ASSIGN(Tensor tensor, Tensor::copyOf(value.tensor.view()));
    copy->values.push_back({std::move(tensor), value.poisoned});
  }
  return copy;
}

Status StateSet::Use::checkType(size_t state, const TensorView &tensor) const {
  const TensorView own = view(state);
  const std::string &name = set->model().program().states[state].name;
  if (tensor.dtype != own.dtype || !std::ranges::equal(tensor.dims, own.dims))
    return makeError(ErrorCode::E0509, "state \"", name, "\" is ", printTensorType(own.dtype, own.dims),
                     ", the given tensor ", printTensorType(tensor.dtype, tensor.dims));
  if (!tensor.data && own.bytes() > 0)
    return makeError(ErrorCode::E0509, "state \"", name, "\": the given tensor has no data");
  return Status();
}

Status StateSet::Use::assign(size_t state, const TensorView &value) {
  KILN_TRY(checkType(state, value));
  Value &own = set->values[state];
  const TensorView view = own.tensor.view();
  if (view.bytes() > 0)
    std::memmove(view.data, value.data, size_t(view.bytes()));
  own.poisoned = false;
  return Status();
}

void StateSet::Use::reset(size_t state) {
  Value &own = set->values[state];
  std::memset(own.tensor.data(), 0, size_t(own.tensor.bytes()));
  own.poisoned = false;
}

} // namespace kiln
