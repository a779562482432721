// argmax and argmin: along the last axis by leaving out what holds nothing better, along others in columns side by
// side.
#include "runtime/base/Convert.h"
#include "runtime/host/Kernels.h"

#include <algorithm>
#include <array>

namespace kiln::host {

using ref::OpCall;

namespace {

/// Whether b, behind a, takes its place. NaN is the extreme of all.
template <bool Max, bool Last, typename C> bool takes(C a, C b) {
  if constexpr (std::is_floating_point_v<C>) {
    const bool level = Max ? (Last ? !(b < a) : !(b <= a)) : (Last ? !(b > a) : !(b >= a)); // or one is NaN
    return level & ((a == a) | (Last & (b != b)));
  } else {
    return Max ? (Last ? b >= a : b > a) : (Last ? b <= a : b < a);
  }
}

template <bool Max, bool Last, typename C, typename T> int64_t alongRow(const T *x, int64_t count) {
  constexpr int64_t chunk = 32;
  C best = convert<C>(x[0]);
  int64_t at = 0, k = 1;
  const auto visit = [&](int64_t end) {
    for (; k < end; ++k)
      if (const C value = convert<C>(x[k]); takes<Max, Last>(best, value)) {
        best = value;
        at = k;
      }
  };
  while (k + chunk <= count) {
    int any = 0;
    for (int64_t i = 0; i < chunk; ++i)
      any |= takes<Max, Last>(best, convert<C>(x[k + i]));
    if (any)
      visit(k + chunk);
    else
      k += chunk;
  }
  visit(count);
  return at;
}

constexpr int64_t columns = 256;

/// Positions of the extremes of `width` columns.
template <bool Max, bool Last, typename C, typename T>
void alongColumns(const T *x, int64_t count, int64_t inner, int64_t width, int64_t *out) {
  using Index = std::conditional_t<sizeof(C) == 8, int64_t, int32_t>; // as wide as what it is chosen by
  std::array<C, columns> best;
  std::array<Index, columns> at{};
  for (int64_t i = 0; i < width; ++i)
    best[i] = convert<C>(x[i]);
  for (int64_t k = 1; k < count; ++k)
    for (int64_t i = 0; i < width; ++i) {
      const C value = convert<C>(x[k * inner + i]);
      const bool take = takes<Max, Last>(best[i], value);
      best[i] = take ? value : best[i];
      at[i] = take ? static_cast<Index>(k) : at[i];
    }
  std::copy_n(at.begin(), width, out);
}

template <bool Max, bool Last> Status extreme(const OpCall &call, int64_t outer, int64_t count, int64_t inner) {
  const TensorView &x = call.inputs[0];
  int64_t *out = call.outputs[0].as<int64_t>();
  return dispatch(x.dtype, [&]<typename T>() -> Status {
    using C =
        std::conditional_t<std::is_arithmetic_v<T>, T, std::conditional_t<std::is_same_v<T, Bool>, uint8_t, float>>;
    const T *data = x.as<T>();
    if (inner == 1) {
      parallelFor(call, outer, 65536 / count + 1, [&](int64_t begin, int64_t end) {
        for (int64_t o = begin; o < end; ++o)
          out[o] = alongRow<Max, Last, C>(data + o * count, count);
      });
      return {};
    }
    const int64_t parts = (inner + columns - 1) / columns;
    parallelFor(call, outer * parts, 65536 / (count * std::min(inner, columns)) + 1, [&](int64_t begin, int64_t end) {
      for (int64_t part = begin; part < end; ++part) {
        const int64_t o = part / parts, first = part % parts * columns;
        alongColumns<Max, Last, C>(data + o * count * inner + first, count, inner, std::min(columns, inner - first),
                                   out + o * inner + first);
      }
    });
    return {};
  });
}

template <bool Max> Status argExtreme(std::string_view op, const OpCall &call) {
  if (call.inputs.size() != 1 || call.outputs.size() != 1 || call.inputs[0].rank() == 0)
    return reference(op, call);
  const TensorView &x = call.inputs[0];
  int64_t axis = call.attributes.getInt("axis");
  axis += axis < 0 ? x.rank() : 0;
  if (axis < 0 || axis >= x.rank() || x.dims[axis] < 1 || x.dims[axis] > INT32_MAX)
    return reference(op, call);
  ref::Dims dims(x.dims.begin(), x.dims.end());
  if (call.attributes.getBool("keepdims", true))
    dims[axis] = 1;
  else
    dims.erase(dims.begin() + axis);
  KILN_TRY(ref::checkOutput(op, call, DType::I64, dims));
  if (x.size() == 0)
    return {};
  const int64_t outer = product(x.dims.first(axis)), inner = product(x.dims.subspan(axis + 1));
  return call.attributes.getBool("select_last") ? extreme<Max, true>(call, outer, x.dims[axis], inner)
                                                : extreme<Max, false>(call, outer, x.dims[axis], inner);
}

} // namespace

Status argmax(const OpCall &call) { return argExtreme<true>("argmax", call); }
Status argmin(const OpCall &call) { return argExtreme<false>("argmin", call); }

} // namespace kiln::host
