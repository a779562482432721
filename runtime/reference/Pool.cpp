// max_pool, max_pool_indices, avg_pool and lp_pool. Global pools are reductions.
#include "runtime/reference/Element.h"
#include "runtime/reference/Kernels.h"
#include "runtime/reference/Window.h"

namespace kiln::ref {
namespace {

Result<Window> poolWindow(std::string_view op, const OpCall &call, size_t results = 1) {
  KILN_TRY(checkCounts(op, call, 1, 1, results));
  const TensorView &x = call.inputs[0];
  const Dims *kernel = call.attributes.findInts("kernel");
  if (!kernel)
    return makeError(ErrorCode::E0401, op, ": attribute kernel is missing");
  int64_t taps = 1;
  for (int64_t k : *kernel) // so that a window's positions can be listed
    if (k < 1 || __builtin_mul_overflow(taps, k, &taps) || taps > int64_t{1} << 24)
      return makeError(ErrorCode::E0411, op, ": kernel ", printDims(*kernel), " is not possible");
  KILN_ASSIGN(Window window, makeWindow(op, call, *kernel));
  KILN_TRY(checkOutput(op, call, x.dtype, window.tensorDims(x.dims[0], x.dims[window.channelAxis()], window.out)));
  return window;
}

/// result = f(plane of the operand, sources of the window's taps) for every result element.
template <typename C, typename F> Status pool(const OpCall &call, const Window &window, F f) {
  const TensorView &x = call.inputs[0], &out = call.outputs[0];
  if (out.size() == 0)
    return {};
  const int64_t batch = x.dims[0], channels = x.dims[window.channelAxis()];
  const int64_t positions = window.positions(), taps = window.taps();
  const int64_t plane = x.size() / batch / channels;
  const Load<C> load = loadOf<C>(x.dtype);
  const Store<C> store = storeOf<C>(out.dtype);
  std::vector<C> values(plane), results(channels);
  std::vector<C> image(channels * plane);
  std::vector<int64_t> sources(taps);
  for (int64_t n = 0; n < batch; ++n) {
    const int64_t first = n * channels * plane;
    for (int64_t c = 0; c < channels; ++c)
      load(x.data, window.channelsLast ? first + c : first + c * plane, window.channelsLast ? channels : 1, plane,
           image.data() + c * plane);
    for (int64_t p = 0; p < positions; ++p) {
      for (int64_t t = 0; t < taps; ++t)
        sources[t] = window.source(p, t);
      for (int64_t c = 0; c < channels; ++c)
        results[c] = f(image.data() + c * plane, sources);
      if (window.channelsLast)
        store(results.data(), channels, out.data, (n * positions + p) * channels, 1);
      else
        store(results.data(), channels, out.data, n * channels * positions + p, positions);
    }
  }
  return {};
}

/// The least value of a dtype: the result of a window that lies in the pads alone.
template <typename C> C lowest(DType dtype) {
  if constexpr (std::is_floating_point_v<C>)
    return -std::numeric_limits<C>::infinity();
  else
    return isSignedInt(dtype) ? static_cast<C>(std::numeric_limits<int64_t>::min() >> (64 - dtypeBits(dtype))) : C(0);
}

} // namespace

Status op_max_pool(const OpCall &call) {
  KILN_ASSIGN(const Window window, poolWindow("max_pool", call));
  const DType dtype = call.inputs[0].dtype;
  return withCompute(dtype, call.accumulate, [&]<typename C>() {
    return pool<C>(call, window, [&](const C *plane, const std::vector<int64_t> &sources) {
      C top = lowest<C>(dtype);
      for (int64_t at : sources)
        if (at >= 0 && (plane[at] > top || plane[at] != plane[at])) // NaN wins and stays
          top = plane[at];
      return top;
    });
  });
}

Status op_max_pool_indices(const OpCall &call) {
  KILN_ASSIGN(const Window window, poolWindow("max_pool_indices", call, 2));
  const TensorView &x = call.inputs[0], &out = call.outputs[0], &indices = call.outputs[1];
  if (window.channelsLast)
    return makeError(ErrorCode::E0411, "max_pool_indices has no layout");
  KILN_TRY(checkOutput("max_pool_indices", call, DType::I64, out.dims, 1));
  if (out.size() == 0)
    return {};
  const bool columnMajor = call.attributes.getBool("column_major");
  const int64_t positions = window.positions(), taps = window.taps(), channels = x.dims[0] * x.dims[1];
  const int64_t plane = x.size() / channels;
  // The position in a plane of an element that is `at` in memory.
  const auto position = [&](int64_t at) {
    if (!columnMajor)
      return at;
    int64_t result = 0, step = plane;
    for (int64_t i = window.rank; i-- > 0;) {
      step /= window.in[i];
      result += at % window.in[i] * step;
      at /= window.in[i];
    }
    return result;
  };
  return withCompute(x.dtype, call.accumulate, [&]<typename C>() {
    std::vector<C> values(plane), tops(positions);
    std::vector<int64_t> places(positions);
    for (int64_t c = 0; c < channels; ++c) {
      loadOf<C>(x.dtype)(x.data, c * plane, 1, plane, values.data());
      for (int64_t p = 0; p < positions; ++p) {
        int64_t best = -1;
        for (int64_t t = 0; t < taps; ++t) {
          const int64_t at = window.source(p, t);
          if (at < 0)
            continue;
          const bool first = best < 0, isNan = !first && values[best] != values[best];
          if (first || (!isNan && (values[at] > values[best] || values[at] != values[at]))) // the first NaN wins
            best = at;
        }
        tops[p] = best < 0 ? lowest<C>(x.dtype) : values[best];
        places[p] = best < 0 ? -1 : c * plane + position(best);
      }
      storeOf<C>(x.dtype)(tops.data(), positions, out.data, c * positions, 1);
      storeOf<int64_t>(DType::I64)(places.data(), positions, indices.data, c * positions, 1);
    }
    return Status();
  });
}

Status op_avg_pool(const OpCall &call) {
  KILN_ASSIGN(const Window window, poolWindow("avg_pool", call));
  const bool includePad = call.attributes.getBool("count_include_pad");
  return withFloat("avg_pool", call.inputs[0].dtype, call.accumulate, [&]<typename C>() {
    return pool<C>(call, window, [&](const C *plane, const std::vector<int64_t> &sources) {
      C sum = 0;
      int64_t count = 0;
      for (int64_t at : sources) {
        if (at >= 0)
          sum += plane[at];
        count += at >= 0 || (includePad && at == Window::inPads);
      }
      return count ? sum / static_cast<C>(count) : C(0); // 0 where the window lies in the pads alone
    });
  });
}

Status op_lp_pool(const OpCall &call) {
  KILN_ASSIGN(const Window window, poolWindow("lp_pool", call));
  const double p = call.attributes.getFloat("p", 2);
  if (!(p > 0 && std::isfinite(p)))
    return makeError(ErrorCode::E0411, "lp_pool: p is ", p, ", expected a positive number");
  return withFloat("lp_pool", call.inputs[0].dtype, call.accumulate, [&]<typename C>() {
    return pool<C>(call, window, [&](const C *plane, const std::vector<int64_t> &sources) {
      C sum = 0;
      for (int64_t at : sources)
        if (at >= 0)
          sum += p == 2 ? plane[at] * plane[at] : std::pow(std::abs(plane[at]), static_cast<C>(p));
      return p == 2 ? std::sqrt(sum) : std::pow(sum, static_cast<C>(1 / p));
    });
  });
}

} // namespace kiln::ref
