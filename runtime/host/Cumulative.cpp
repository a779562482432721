// cumsum and cumprod: each element joined with those before it.
#include "runtime/host/Kernels.h"
#include "runtime/reference/Element.h"

#include <algorithm>
#include <vector>

namespace kiln::host {

using ref::OpCall;

namespace {

/// Walked side by side where the axis is not the last: whole pages, but fewer where threads share the work.
constexpr int64_t mostColumns = 1024, leastColumns = 64;

/// [outer, count, inner] along the middle; results are rounded once each, sums are wide.
template <bool Exclusive, typename C, typename T, typename Join>
void cumulate(const OpCall &call, int64_t outer, int64_t count, int64_t inner, C start, Join join) {
  const bool reverse = call.attributes.getBool("reverse");
  const T *x = call.inputs[0].as<T>();
  T *out = call.outputs[0].as<T>();
  const int64_t share = inner / (int64_t{4} * std::max(call.threads, 1));
  const int64_t columns = call.threads > 1 ? std::clamp(share, leastColumns, mostColumns) : mostColumns;
  const int64_t parts = (inner + columns - 1) / columns;
  parallelFor(call, outer * parts, 32768 / (count * std::min(inner, columns)) + 1, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) {
      const int64_t first = part / parts * count * inner + part % parts * columns;
      const int64_t width = std::min(columns, inner - part % parts * columns);
      C joined[mostColumns];
      std::fill_n(joined, width, start);
      for (int64_t k = 0; k < count; ++k) {
        const int64_t row = first + (reverse ? count - 1 - k : k) * inner;
        const T *from = x + row;
        T *__restrict to = out + row;
        for (int64_t i = 0; i < width; ++i) {
          const C next = join(joined[i], convert<C>(from[i]));
          to[i] = convert<T>(Exclusive ? joined[i] : next);
          joined[i] = next;
        }
      }
    }
  });
}

template <typename Join> Status cumulateAny(std::string_view op, const OpCall &call, int start, Join join) {
  if (call.inputs.empty() || call.inputs.size() > 2 || call.outputs.size() != 1 || call.inputs[0].dtype == DType::Bool)
    return reference(op, call);
  const TensorView &x = call.inputs[0];
  int64_t axis = call.attributes.getInt("axis");
  if (const TensorView along = ref::operand(call, 1); along.present()) {
    if (along.size() != 1 || along.rank() > 1 || (along.dtype != DType::I64 && along.dtype != DType::I32))
      return reference(op, call);
    axis = along.dtype == DType::I64 ? *along.as<int64_t>() : *along.as<int32_t>();
  }
  axis += axis < 0 ? x.rank() : 0;
  if (axis < 0 || axis >= x.rank())
    return reference(op, call);
  KILN_TRY(ref::checkOutput(op, call, x.dtype, x.dims));
  if (x.size() == 0)
    return {};
  const int64_t count = x.dims[axis], outer = product(x.dims.first(axis)), inner = x.size() / outer / count;
  return dispatch(x.dtype, [&]<typename T>() -> Status {
    using C = std::conditional_t<std::is_integral_v<T>, uint64_t, double>; // integers wrap
    if constexpr (!std::is_same_v<T, Bool>)
      call.attributes.getBool("exclusive") ? cumulate<true, C, T>(call, outer, count, inner, C(start), join)
                                           : cumulate<false, C, T>(call, outer, count, inner, C(start), join);
    return {};
  });
}

} // namespace

Status cumsum(const OpCall &call) {
  return cumulateAny("cumsum", call, 0, [](auto a, auto b) { return a + b; });
}
Status cumprod(const OpCall &call) {
  return cumulateAny("cumprod", call, 1, [](auto a, auto b) { return a * b; });
}

} // namespace kiln::host
