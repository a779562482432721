#include "runtime/reference/Operands.h"

#include <algorithm>

namespace kiln::ref {

Status checkCounts(std::string_view op, const OpCall &call, size_t required, size_t allowed, size_t results) {
  size_t present = 0;
  while (present < call.inputs.size() && call.inputs[present].present())
    ++present;
  if (present < required || call.inputs.size() > allowed)
    return makeError(ErrorCode::E0306, op, " takes ", required,
                     required == allowed ? "" : " to " + std::to_string(allowed), " operands, got ",
                     call.inputs.size());
  if (call.outputs.size() != results)
    return makeError(ErrorCode::E0306, op, " has ", results == 1 ? "one result" : std::to_string(results) + " results",
                     ", got ", call.outputs.size());
  return {};
}

Status checkType(std::string_view op, std::string_view what, const TensorView &view, DType want) {
  if (view.dtype == want)
    return {};
  return makeError(ErrorCode::E0305, op, ": ", what, " is ", dtypeName(view.dtype), ", expected ", dtypeName(want));
}

Status checkRank(std::string_view op, std::string_view what, const TensorView &view, int64_t want) {
  if (view.rank() == want)
    return {};
  return makeError(ErrorCode::E0304, op, ": ", what, " has rank ", view.rank(), ", expected ", want);
}

Status checkDims(std::string_view op, std::string_view what, const TensorView &view, std::span<const int64_t> want) {
  if (std::ranges::equal(view.dims, want))
    return {};
  return makeError(ErrorCode::E0304, op, ": ", what, " has dims ", printDims(view.dims), ", expected ",
                   printDims(want));
}

Status checkOutput(std::string_view op, const OpCall &call, DType dtype, std::span<const int64_t> dims, size_t index) {
  const std::string what = call.outputs.size() == 1 ? "the result" : "result " + std::to_string(index);
  TensorView &out = call.outputs[index];
  KILN_TRY(checkType(op, what, out, dtype));
  if (out.present() || !call.maker)
    return checkDims(op, what, out, dims);
  KILN_ASSIGN(out, call.maker->make(index, dims));
  return {};
}

std::string printDims(std::span<const int64_t> dims) {
  std::string text = "[";
  for (size_t i = 0; i < dims.size(); ++i)
    text += (i ? "," : "") + std::to_string(dims[i]);
  return text + "]";
}

Result<int64_t> normalizeAxis(std::string_view op, int64_t axis, int64_t rank) {
  if (axis < -rank || axis >= rank)
    return makeError(ErrorCode::E0412, op, ": axis ", axis, " is out of range for rank ", rank);
  return axis < 0 ? axis + rank : axis;
}

Result<Dims> readInts(std::string_view op, std::string_view what, const TensorView &view) {
  if (view.rank() > 1)
    return makeError(ErrorCode::E0304, op, ": ", what, " has rank ", view.rank(), ", expected 1");
  Dims values(view.size());
  if (view.dtype == DType::I64)
    std::copy_n(view.as<int64_t>(), values.size(), values.begin());
  else if (view.dtype == DType::I32)
    std::copy_n(view.as<int32_t>(), values.size(), values.begin());
  else
    return makeError(ErrorCode::E0305, op, ": ", what, " is ", dtypeName(view.dtype), ", expected i64");
  return values;
}

Result<IntList> intsOf(std::string_view op, const OpCall &call, size_t index, std::string_view attribute) {
  IntList list;
  if (TensorView view = operand(call, index); view.present()) {
    KILN_ASSIGN(list.values, readInts(op, attribute, view));
    list.found = true;
  } else if (const Attribute *value = call.attributes.find(attribute)) {
    const auto *ints = std::get_if<Dims>(value);
    if (!ints)
      return makeError(ErrorCode::E0402, op, ": attribute ", attribute, " must be a list of integers");
    list.values = *ints;
    list.found = true;
  }
  return list;
}

Result<Dims> broadcastDims(std::string_view op, std::span<const TensorView> views) {
  size_t rank = 0;
  for (const TensorView &view : views)
    rank = std::max(rank, view.dims.size());
  Dims result(rank, 1);
  for (const TensorView &view : views) {
    const size_t shift = rank - view.dims.size();
    for (size_t i = 0; i < view.dims.size(); ++i) {
      int64_t &dim = result[shift + i];
      if (view.dims[i] == dim || view.dims[i] == 1)
        continue;
      if (dim != 1)
        return makeError(ErrorCode::E0304, op, ": dims ", printDims(views[0].dims), " and ", printDims(view.dims),
                         " do not broadcast");
      dim = view.dims[i];
    }
  }
  return result;
}

} // namespace kiln::ref
