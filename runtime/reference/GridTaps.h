// grid_sample: which elements a coordinate of the grid reads, and with which weights.
#pragma once

#include "runtime/reference/Reference.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace kiln::ref::grid {

enum class Mode { Nearest, Linear, Cubic };
enum class Padding { Zeros, Border, Reflection };

struct Manner {
  Mode mode;
  Padding padding;
  bool alignCorners;
};

inline Result<Manner> readManner(const OpCall &call) {
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

} // namespace kiln::ref::grid
