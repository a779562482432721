#include "runtime/reference/Element.h"
#include "runtime/reference/Indices.h"
#include "runtime/reference/Kernels.h"

#include <algorithm>

namespace kiln::ref {
namespace {

enum class Mode { Nearest, Linear, Cubic };
enum class Padding { Zeros, Border, Reflection };

struct Manner {
  Mode mode;
  Padding padding;
  bool alignCorners;
};

Result<Manner> readManner(const OpCall &call) {
  const std::string mode = call.attributes.getString("mode", "linear");
  const std::string padding = call.attributes.getString("padding", "zeros");
  if (mode != "nearest" && mode != "linear" && mode != "cubic")
    return makeError(ErrorCode::E0411, "grid_sample: unknown mode \"", mode, "\"");
  if (padding != "zeros" && padding != "border" && padding != "reflection")
    return makeError(ErrorCode::E0411, "grid_sample: unknown padding \"", padding, "\"");
  return Manner{mode == "nearest"  ? Mode::Nearest
                : mode == "linear" ? Mode::Linear
                                   : Mode::Cubic,
                padding == "zeros"    ? Padding::Zeros
                : padding == "border" ? Padding::Border
                                      : Padding::Reflection,
                call.attributes.getBool("align_corners")};
}

/// A position brought between two ends by reflection at them.
template <typename G> G reflected(G at, G low, G high) {
  const G range = high - low, distance = at < low ? low - at : at - high;
  if (at >= low && at <= high)
    return at;
  if (!(range > 0) || !std::isfinite(distance))
    return low;
  const G times = std::floor(distance / range), rest = distance - times * range;
  const bool fromLow = (at < low) == (std::fmod(times, G(2)) == 0);
  return std::clamp(fromLow ? low + rest : high - rest, low, high);
}

struct Tap {
  int64_t index; ///< -1: reads 0
  double weight;
};

/// What a coordinate of the grid reads along an axis of `size` elements. Positions are computed in the grid's type (f32
/// at least), so that nearest ones do not depend on how exactly the rest is.
template <typename G> void tapsAt(const Manner &m, G coordinate, int64_t size, std::vector<Tap> &taps) {
  const G length = static_cast<G>(size), low = m.alignCorners ? G(0) : G(-0.5),
          high = low + length - (m.alignCorners ? 1 : 0);
  G at = m.alignCorners ? (coordinate + 1) / 2 * (length - 1) : ((coordinate + 1) * length - 1) / 2;
  if (std::isnan(at))
    at = -std::numeric_limits<G>::infinity();
  if (m.mode == Mode::Nearest)
    at = std::nearbyint(at);
  if (at < low || at > high) {
    if (m.padding == Padding::Border)
      at = std::clamp(at, G(0), length - 1);
    else if (m.padding == Padding::Reflection)
      at = reflected(at, low, high);
  }
  at = std::clamp(at, G(-0x1p40), G(0x1p40)); // as far outside
  const auto add = [&](G position, double weight) {
    int64_t index = static_cast<int64_t>(position);
    if (index < 0 || index >= size) {
      if (m.padding == Padding::Zeros)
        index = -1;
      else if (m.padding == Padding::Border)
        index = std::clamp<int64_t>(index, 0, size - 1);
      else
        index = std::clamp<int64_t>(static_cast<int64_t>(reflected(position, low, high)), 0, size - 1);
    }
    if (weight != 0)
      taps.push_back({index, weight});
  };
  taps.clear();
  if (m.mode == Mode::Nearest)
    return add(at, 1);
  const G left = std::floor(at);
  const double x = at - left, a = -0.75;
  if (m.mode == Mode::Linear) {
    add(left, 1 - x);
    add(left + 1, x);
    return;
  }
  const auto near = [&](double d) { return ((a + 2) * d - (a + 3)) * d * d + 1; };
  const auto far = [&](double d) { return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a; };
  add(left - 1, far(x + 1));
  add(left, near(x));
  add(left + 1, near(1 - x));
  add(left + 2, far(2 - x));
}

/// The weighted sum of a plane's elements at all combinations of the axes' taps.
template <typename C>
C sampled(const C *plane, std::span<const std::vector<Tap>> taps, std::span<const int64_t> strides) {
  if (taps.empty())
    return *plane;
  C sum = 0;
  for (const Tap &tap : taps[0])
    if (tap.index >= 0)
      sum += static_cast<C>(tap.weight) * sampled(plane + tap.index * strides[0], taps.subspan(1), strides.subspan(1));
  return sum;
}

template <typename C, typename G> Status sample(const OpCall &call, const Manner &manner) {
  const TensorView &x = call.inputs[0], &grid = call.inputs[1], &out = call.outputs[0];
  const int64_t batch = x.dims[0], channels = x.dims[1], rank = x.rank() - 2;
  const int64_t plane = x.size() / batch / channels, positions = out.size() / batch / channels;
  const Dims strides = denseStrides(x.dims.subspan(2));
  std::vector<C> image(channels * plane), results(channels);
  std::vector<G> coordinates(rank);
  std::vector<std::vector<Tap>> taps(rank);
  for (int64_t n = 0; n < batch; ++n) {
    loadOf<C>(x.dtype)(x.data, n * channels * plane, 1, channels * plane, image.data());
    for (int64_t p = 0; p < positions; ++p) {
      loadOf<G>(grid.dtype)(grid.data, (n * positions + p) * rank, 1, rank, coordinates.data());
      for (int64_t i = 0; i < rank; ++i) // the grid names the last axis first
        tapsAt(manner, coordinates[rank - 1 - i], x.dims[2 + i], taps[i]);
      for (int64_t c = 0; c < channels; ++c)
        results[c] = sampled<C>(image.data() + c * plane, taps, strides);
      storeOf<C>(out.dtype)(results.data(), channels, out.data, n * channels * positions + p, positions);
    }
  }
  return {};
}

} // namespace

Status op_grid_sample(const OpCall &call) {
  KILN_TRY(checkCounts("grid_sample", call, 2, 2));
  const TensorView &x = call.inputs[0], &grid = call.inputs[1], &out = call.outputs[0];
  KILN_ASSIGN(const Manner manner, readManner(call));
  if (x.rank() < 3 || grid.rank() != x.rank() || grid.dims[0] != x.dims[0] || grid.dims.back() != x.rank() - 2)
    return makeError(ErrorCode::E0304, "grid_sample: a grid of dims ", printDims(grid.dims), " does not fit ",
                     printDims(x.dims));
  if (!isFloat(grid.dtype) || (manner.mode != Mode::Nearest && !isFloat(x.dtype)))
    return makeError(ErrorCode::E0305, "grid_sample: an operand of ", dtypeName(x.dtype), " and a grid of ",
                     dtypeName(grid.dtype), " do not fit the mode");
  Dims dims{x.dims[0], x.dims[1]};
  dims.insert(dims.end(), grid.dims.begin() + 1, grid.dims.end() - 1);
  KILN_TRY(checkOutput("grid_sample", call, x.dtype, dims));
  if (out.size() == 0)
    return {};
  if (x.size() == 0)
    return makeError(ErrorCode::E0513, "grid_sample: dims ", printDims(x.dims), " have no elements to sample");
  return withCompute(x.dtype, call.accumulate, [&]<typename C>() {
    return grid.dtype == DType::F64 ? sample<C, double>(call, manner) : sample<C, float>(call, manner);
  });
}

} // namespace kiln::ref
