// slice by positions that are data: mostly of few elements, so nothing is allocated on the way.
#include "runtime/host/Kernels.h"

#include <algorithm>
#include <array>

namespace kiln::host {

using ref::OpCall;

namespace {

constexpr int64_t maxRank = 8;

/// A list of integers, from an operand or an attribute.
struct Ints {
  const TensorView *view = nullptr;
  std::span<const int64_t> values;

  Ints(const OpCall &call, size_t operand, std::string_view attribute) {
    if (operand < call.inputs.size() && call.inputs[operand].present())
      view = &call.inputs[operand];
    else if (const std::vector<int64_t> *given = call.attributes.findInts(attribute))
      values = *given;
  }
  bool isValid() const {
    return !view || (view->rank() <= 1 && (view->dtype == DType::I64 || view->dtype == DType::I32));
  }
  int64_t size() const { return view ? view->size() : static_cast<int64_t>(values.size()); }
  int64_t operator[](int64_t i) const {
    if (!view)
      return values[static_cast<size_t>(i)];
    return view->dtype == DType::I64 ? view->as<int64_t>()[i] : view->as<int32_t>()[i];
  }
};

struct Box {
  std::array<int64_t, maxRank> dims, strides; ///< strides of x, in elements
  int64_t rank = 0;
};

template <int64_t Bytes> void copyBox(const Box &box, const char *from, char *&to, int64_t axis) {
  const int64_t n = box.dims[static_cast<size_t>(axis)], stride = box.strides[static_cast<size_t>(axis)] * Bytes;
  if (axis + 1 < box.rank) {
    for (int64_t i = 0; i < n; ++i)
      copyBox<Bytes>(box, from + i * stride, to, axis + 1);
    return;
  }
  if (stride == Bytes)
    std::memcpy(to, from, static_cast<size_t>(n * Bytes));
  else
    for (int64_t i = 0; i < n; ++i)
      std::memcpy(to + i * Bytes, from + i * stride, Bytes);
  to += n * Bytes;
}

} // namespace

Status slice(const OpCall &call) {
  if (call.inputs.empty() || call.inputs.size() > 5 || call.outputs.size() != 1)
    return reference("slice", call);
  const TensorView &x = call.inputs[0], &out = call.outputs[0];
  const Ints starts(call, 1, "starts"), ends(call, 2, "ends"), axes(call, 3, "axes"), steps(call, 4, "steps");
  const int64_t count = starts.size(), rank = x.rank();
  if (rank == 0 || rank > maxRank || !starts.isValid() || !ends.isValid() || !axes.isValid() || !steps.isValid() ||
      ends.size() != count || (axes.size() != count && axes.size() != 0) ||
      (steps.size() != count && steps.size() != 0) || out.dtype != x.dtype)
    return reference("slice", call);
  Box box;
  box.rank = rank;
  int64_t stride = 1, offset = 0;
  for (int64_t axis = rank; axis-- > 0; stride *= x.dims[static_cast<size_t>(axis)]) {
    box.dims[static_cast<size_t>(axis)] = x.dims[static_cast<size_t>(axis)];
    box.strides[static_cast<size_t>(axis)] = stride;
  }
  uint32_t seen = 0;
  for (int64_t i = 0; i < count; ++i) {
    int64_t axis = axes.size() ? axes[i] : i;
    axis += axis < 0 ? rank : 0;
    const int64_t step = steps.size() ? steps[i] : 1;
    if (axis < 0 || axis >= rank || seen >> axis & 1 || step == 0 || step < -INT32_MAX || step > INT32_MAX)
      return reference("slice", call);
    seen |= 1u << axis;
    const int64_t size = x.dims[static_cast<size_t>(axis)];
    const auto clamp = [&](int64_t at) {
      if (at < 0)
        at = std::max(at, -size - 1) + size;
      return step > 0 ? std::clamp<int64_t>(at, 0, size) : std::clamp<int64_t>(at, -1, size - 1);
    };
    const int64_t start = clamp(starts[i]), end = clamp(ends[i]), span = step > 0 ? end - start : start - end;
    const int64_t n = span <= 0 ? 0 : (span - 1) / std::abs(step) + 1;
    box.dims[static_cast<size_t>(axis)] = n;
    if (n > 0)
      offset += start * box.strides[static_cast<size_t>(axis)];
    box.strides[static_cast<size_t>(axis)] *= step;
  }
  const std::span<const int64_t> dims(box.dims.data(), static_cast<size_t>(rank));
  KILN_TRY(ref::checkOutput("slice", call, x.dtype, dims));
  if (product(dims) == 0)
    return {};
  const int64_t bytes = dtypeBytes(x.dtype);
  const char *from = x.as<char>() + offset * bytes;
  char *to = out.as<char>();
  switch (bytes) {
  case 1: copyBox<1>(box, from, to, 0); break;
  case 2: copyBox<2>(box, from, to, 0); break;
  case 4: copyBox<4>(box, from, to, 0); break;
  default: copyBox<8>(box, from, to, 0); break;
  }
  return {};
}

} // namespace kiln::host
