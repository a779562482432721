#include "runtime/api/RunValues.h"
#include "runtime/api/Strides.h"

#include <algorithm>
#include <map>

namespace kiln::api {

// ---- inputs

static std::string nameInput(const PortValue &value) { return "input \"" + value.name + "\""; }

static std::string nameItem(size_t item, const PortValue &value) {
  return "item " + std::to_string(item) + " of " + nameInput(value);
}

/// The view of a tensor that is an input, whose elements may have strides.
static Result<TensorView> inputView(const kiln_value &value, const std::string &what) {
  KILN_ASSIGN(TensorView view, viewOf(value, what));
  const kiln_tensor &t = value.u.tensor;
  if (t.flags & KILN_HAS_CAPACITY)
    return makeError(ErrorCode::E0704, what, " has a capacity, which is for outputs");
  if (isDense(t))
    return view;
  if (!t.data)
    return makeError(ErrorCode::E0502, what, " has no data");
  KILN_TRY(checkStrides(t, what));
  return view;
}

Status RunInputs::take(const Function &function, const StateSet *states, std::span<const kiln_model::ValueText> inputs,
                       std::span<const kiln_value> values) {
  if (values.size() != inputs.size())
    return makeError(ErrorCode::E0502, "the model has ", inputs.size(), " inputs, ", values.size(), " were given");
  for (size_t i = 0; i < values.size(); ++i) {
    const PortValue &as = inputs[i].value;
    if (as.kind == PortValue::Kind::Tensor) {
      KILN_ASSIGN(tensors.emplace_back(), takeTensor(values[i], nameInput(as)));
      continue;
    }
    const View &port = function.views[function.inputs[inputs[i].firstPort].view];
    if (as.kind != PortValue::Kind::Sequence && values[i].kind == KILN_NONE)
      KILN_TRY(takeNothing(as, port));
    else if (as.kind == PortValue::Kind::Optional)
      KILN_TRY(takeOptional(values[i], as, port));
    else
      KILN_TRY(takeSequence(values[i], as, port));
  }
  if (!unsized.empty())
    sizeUnsized(function, states);
  return Status();
}

Result<TensorView> RunInputs::takeTensor(const kiln_value &value, const std::string &what) {
  KILN_ASSIGN(TensorView view, inputView(value, what));
  if (isDense(value.u.tensor))
    return view;
  KILN_ASSIGN(TensorView copy, copyTo(view.dtype, view.dims));
  toDense(value.u.tensor, dtypeBytes(view.dtype), copy.data);
  return copy;
}

/// Memory for a copy.
Result<TensorView> RunInputs::copyTo(DType dtype, std::span<const int64_t> dims) {
  bytes = checkedAdd(bytes, byteCount(dtype, dims).value_or(INT64_MAX)).value_or(INT64_MAX);
  KILN_TRY(context.setCallerBytes(bytes));
  KILN_ASSIGN(Tensor copy, Tensor::create(dtype, dims));
  return copies.emplace_back(std::move(copy)).view();
}

/// Whether an item has the type of those that a stacked port takes, as far as that does not depend on sizes.
static Status checkItem(const TensorView &item, const PortValue &as, const View &port, const std::string &what) {
  std::span<const SizeExpr> expected = std::span(port.dims).subspan(as.leadingDims());
  auto refuse = [&](ErrorCode code) {
    return makeError(code, what, ": expected ", dtypeName(port.dtype), printSizes({expected.begin(), expected.end()}),
                     ", got ", printTensorType(item.dtype, item.dims));
  };
  if (item.dtype != port.dtype)
    return refuse(ErrorCode::E0503);
  if (item.dims.size() != expected.size())
    return refuse(ErrorCode::E0504);
  for (size_t d = 0; d < expected.size(); ++d)
    if (item.dims[d] < 0 || (expected[d].isConstant() && expected[d].constant() != item.dims[d]))
      return refuse(ErrorCode::E0505);
  if (!item.data && elementCount(item.dims) != 0)
    return makeError(ErrorCode::E0502, what, " has no data");
  return Status();
}

Status RunInputs::takeSequence(const kiln_value &value, const PortValue &as, const View &port) {
  if (value.kind == KILN_NONE)
    return makeError(ErrorCode::E0502, nameInput(as), " is missing");
  if (value.kind != KILN_SEQUENCE)
    return makeError(ErrorCode::E0511, nameInput(as), " is a sequence, and is given something else");
  std::span<const kiln_value> items{value.u.sequence.items, value.u.sequence.count};
  if (!items.data() && !items.empty())
    return makeError(ErrorCode::E0704, nameInput(as), " has no items");
  if (as.items == 0)
    return stack(items, as, port);
  if (items.size() != as.items)
    return makeError(ErrorCode::E0505, nameInput(as), " has ", items.size(), " items; the model was compiled for ",
                     as.items);
  for (size_t i = 0; i < items.size(); ++i) {
    KILN_ASSIGN(tensors.emplace_back(), takeTensor(items[i], nameItem(i, as)));
  }
  return Status();
}

/// Items beside each other.
Status RunInputs::stack(std::span<const kiln_value> items, const PortValue &as, const View &port) {
  std::vector<int64_t> dims(as.leadingDims(), 1);
  dims.back() = int64_t(items.size());
  if (items.empty()) {
    unsized.push_back({tensors.size(), std::move(dims)});
    tensors.push_back({nullptr, port.dtype, {}});
    return Status();
  }
  KILN_ASSIGN(TensorView first, inputView(items[0], nameItem(0, as)));
  KILN_TRY(checkItem(first, as, port, nameItem(0, as)));
  dims.insert(dims.end(), first.dims.begin(), first.dims.end());
  KILN_ASSIGN(TensorView whole, copyTo(port.dtype, dims));
  char *to = whole.as<char>();
  for (size_t i = 0; i < items.size(); ++i) {
    KILN_ASSIGN(TensorView item, inputView(items[i], nameItem(i, as)));
    KILN_TRY(checkItem(item, as, port, nameItem(i, as)));
    if (!std::ranges::equal(item.dims, first.dims))
      return makeError(ErrorCode::E0204, nameInput(as), ": item 0 is ", printTensorType(first.dtype, first.dims),
                       " and item ", i, " is ", printTensorType(item.dtype, item.dims),
                       "; where the number of items is not known when compiling, they must have equal dims");
    if (!isDense(items[i].u.tensor))
      toDense(items[i].u.tensor, dtypeBytes(item.dtype), to);
    else if (item.bytes() > 0)
      std::memcpy(to, item.data, size_t(item.bytes()));
    to += item.bytes();
  }
  tensors.push_back(whole);
  return Status();
}

Status RunInputs::takeOptional(const kiln_value &value, const PortValue &as, const View &port) {
  KILN_ASSIGN(TensorView view, takeTensor(value, nameInput(as)));
  KILN_TRY(checkItem(view, as, port, nameInput(as)));
  std::vector<int64_t> &dims = stackedDims.emplace_back(std::vector<int64_t>{1});
  dims.insert(dims.end(), view.dims.begin(), view.dims.end());
  tensors.push_back({view.data, view.dtype, dims});
  return Status();
}

/// For an optional.
Status RunInputs::takeNothing(const PortValue &as, const View &port) {
  if (port.dims[0].isConstant(1))
    return makeError(ErrorCode::E0502, nameInput(as), " is absent; the model always takes its value");
  unsized.push_back({tensors.size(), std::vector<int64_t>(as.leadingDims(), 0)});
  tensors.push_back({nullptr, port.dtype, {}});
  return Status();
}

/// Of a port without items no dim matters but the leading ones: others are what sizes of other inputs and of states
/// say, else the least.
void RunInputs::sizeUnsized(const Function &function, const StateSet *states) {
  auto dimsOf = [&](size_t input) -> const std::vector<SizeExpr> & {
    return function.views[function.inputs[input].view].dims;
  };
  std::map<std::string, int64_t> sizes;
  auto bind = [&](const std::vector<SizeExpr> &dims, std::span<const int64_t> given) {
    for (size_t d = 0; d < std::min(dims.size(), given.size()); ++d) // an unsized one has none yet
      if (std::optional<std::string> name = dims[d].asSymbol())
        sizes.emplace(*name, given[d]);
  };
  for (size_t i = 0; i < tensors.size(); ++i)
    bind(dimsOf(i), tensors[i].dims);
  if (states)
    for (const StatePort &port : function.states)
      bind(function.views[port.view].dims, states->dims(port.state));
  for (const ProgramSymbol &symbol : function.symbols) {
    Result<int64_t> value = symbol.isBound() ? symbol.low : symbol.value.evaluate(sizes);
    sizes.emplace(symbol.name, value.ok() ? *value : 0);
  }
  for (Unsized &each : unsized) {
    const std::vector<SizeExpr> &port = dimsOf(each.tensor);
    std::vector<int64_t> &dims = stackedDims.emplace_back(std::move(each.leading));
    for (size_t d = dims.size(); d < port.size(); ++d) {
      Result<int64_t> value = port[d].evaluate(sizes);
      dims.push_back(value.ok() ? *value : 0);
    }
    tensors[each.tensor].dims = dims;
  }
}

// ---- outputs

/// Where a run writes an output that the caller has memory for: there, or in a dense tensor of its own.
static Status bindOutput(const kiln_value &value, const std::string &what, OutputSlot &slot) {
  KILN_ASSIGN(slot.bound, viewOf(value, what));
  const kiln_tensor &t = value.u.tensor;
  if (!t.data)
    return makeError(ErrorCode::E0509, what, " has no buffer");
  if (t.flags & KILN_HAS_CAPACITY) {
    if (t.flags & KILN_HAS_STRIDES)
      return makeError(ErrorCode::E0704, what, " has a capacity and strides");
    slot.capacity = int64_t(std::min<size_t>(t.capacity, INT64_MAX));
  } else if (!isDense(t)) {
    KILN_TRY(checkStrides(t, what));
    slot.bound.data = nullptr;
    slot.mustMatch = true;
  }
  return Status();
}

/// Hands a tensor over as the caller asked for it.
static void giveOutput(kiln_value &value, OutputSlot &slot) {
  if (value.kind == KILN_NONE) {
    value = giveTensor(std::move(slot.allocated));
  } else if (slot.capacity) {
    std::ranges::copy(slot.bound.dims, const_cast<int64_t *>(value.u.tensor.dims)); // an array of the caller's
  } else if (slot.mustMatch) {
    fromDense(slot.allocated.data(), dtypeBytes(slot.allocated.dtype()), value.u.tensor);
  }
}

Status RunOutputs::bind(const Function &function, std::span<const kiln_model::ValueText> outputs,
                        std::span<const kiln_value> values) {
  kinds = outputs;
  if (values.size() != kinds.size())
    return makeError(ErrorCode::E0704, "the model has ", kinds.size(), " outputs, ", values.size(), " were given");
  ports = std::vector<OutputSlot>(function.outputs.size());
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i].kind == KILN_NONE)
      continue;
    const PortValue &value = kinds[i].value;
    std::string what = "output \"" + value.name + "\"";
    if (value.kind != PortValue::Kind::Tensor)
      return makeError(ErrorCode::E0704, what, " is no tensor, so it is allocated; pass KILN_NONE for it");
    KILN_TRY(bindOutput(values[i], what, ports[kinds[i].firstPort]));
  }
  return Status();
}

void RunOutputs::give(std::span<kiln_value> values) {
  for (size_t i = 0; i < values.size(); ++i) {
    const PortValue &as = kinds[i].value;
    std::span<OutputSlot> own = std::span(ports).subspan(kinds[i].firstPort, as.portCount());
    if (as.kind == PortValue::Kind::Tensor) {
      giveOutput(values[i], own[0]);
    } else if (!as.isStacked()) {
      std::vector<Tensor> items;
      for (OutputSlot &slot : own)
        items.push_back(std::move(slot.allocated));
      values[i] = giveSequence(std::move(items));
    } else if (as.kind != PortValue::Kind::Sequence && own[0].allocated.dims()[0] == 0) {
      continue; // absent
    } else if (as.kind == PortValue::Kind::Optional) {
      values[i] = giveItem(std::move(own[0].allocated));
    } else {
      values[i] = giveStacked(std::move(own[0].allocated), as.leadingDims());
    }
  }
}

} // namespace kiln::api
