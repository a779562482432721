// The geometry of convolutions and pools: strides, pads, dilations and layout over any number of
// spatial axes.
#pragma once

#include "runtime/reference/Operands.h"

namespace kiln::ref {

struct Window {
  int64_t rank = 0; ///< spatial axes
  bool channelsLast = false;
  Dims kernel, strides, dilations, padBegin, padEnd;
  Dims in, out; ///< spatial dims of operand and result

  int64_t channelAxis() const { return channelsLast ? rank + 1 : 1; }
  int64_t spatialAxis() const { return channelsLast ? 1 : 2; }

  /// Dims of a tensor in this layout.
  Dims tensorDims(int64_t batch, int64_t channels, std::span<const int64_t> spatial) const;

  int64_t positions() const { return product(out); } ///< of the result
  int64_t taps() const { return product(kernel); }

  /// Where tap `tap` of the window at position `position` (both flat, row-major) reads: an offset
  /// into a channel's dense plane, or inPads or beyond.
  int64_t source(int64_t position, int64_t tap) const;
  static constexpr int64_t inPads = -1;
  static constexpr int64_t beyond = -2; ///< past the end pad, where only ceil_mode reaches

private:
  static int64_t product(const Dims &dims) {
    int64_t result = 1;
    for (int64_t d : dims)
      result *= d;
    return result;
  }
};

/// Larger sizes, strides and pads than this are refused, so that no index sum overflows.
inline constexpr int64_t windowLimit = int64_t{1} << 40;

/// An attribute of one value per spatial axis (or `count` of them): `fallback` where it is absent or empty, an error
/// below `least`.
Result<Dims> perAxis(std::string_view op, const OpCall &call, std::string_view name, size_t count, int64_t fallback,
                     int64_t least);

/// Reads the attributes strides, pads, dilations, auto_pad, ceil_mode and layout for an operand and
/// kernel dims, computes the result's spatial dims. Everything is checked, sums that would overflow
/// included.
Result<Window> makeWindow(std::string_view op, const OpCall &call, std::span<const int64_t> kernel);

} // namespace kiln::ref
