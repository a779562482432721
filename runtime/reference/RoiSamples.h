// roi_align: where the samples of a region lie, and the four elements around each.
#pragma once

#include "runtime/reference/Element.h"

#include <algorithm>
#include <array>

namespace kiln::ref::roi {

/// The four elements around a position of a plane, and their weights; the weights of a position outside are 0.
template <typename C> struct Corners {
  std::array<int64_t, 4> at{};
  std::array<C, 4> weight{};
};

template <typename C> Corners<C> cornersOf(C y, C x, int64_t height, int64_t width) {
  Corners<C> corners;
  if (!(y >= -1 && y <= static_cast<C>(height) && x >= -1 && x <= static_cast<C>(width)))
    return corners;
  const auto split = [](C &position, int64_t size) {
    position = std::max(position, C(0));
    const int64_t low = std::min(static_cast<int64_t>(position), size - 1);
    position = low == size - 1 ? C(0) : position - static_cast<C>(low);
    return std::array{low, std::min(low + 1, size - 1)};
  };
  const auto rows = split(y, height), columns = split(x, width); // y and x are now parts of a step
  for (int i = 0; i < 4; ++i) {
    corners.at[i] = rows[i / 2] * width + columns[i % 2];
    corners.weight[i] = (i / 2 ? y : 1 - y) * (i % 2 ? x : 1 - x);
  }
  return corners;
}

/// The positions of all samples, and how many belong to each element of the result; P is the type of positions.
template <typename P> struct Samples {
  int64_t rows = 0, columns = 0;
  P startY = 0, startX = 0, binY = 0, binX = 0;

  P y(int64_t bin, int64_t i) const { return startY + bin * binY + (i + P(0.5)) * binY / rows; }
  P x(int64_t bin, int64_t i) const { return startX + bin * binX + (i + P(0.5)) * binX / columns; }
};

template <typename P> Result<Samples<P>> samplesOf(const OpCall &call, int64_t roi, int64_t height, int64_t width) {
  const TensorView &rois = call.inputs[1];
  std::array<P, 4> edges{}; // x, y, x, y
  loadOf<P>(rois.dtype)(rois.data, roi * 4, 1, 4, edges.data());
  const bool halfPixel = call.attributes.getBool("half_pixel", true);
  const P scale = static_cast<P>(call.attributes.getFloat("spatial_scale", 1)), offset = halfPixel ? P(0.5) : P(0);
  for (P &edge : edges)
    edge = edge * scale - offset;
  P roiX = edges[2] - edges[0], roiY = edges[3] - edges[1];
  if (!halfPixel)
    roiX = std::max(roiX, P(1)), roiY = std::max(roiY, P(1));
  Samples<P> s;
  s.startX = edges[0], s.startY = edges[1];
  s.binX = roiX / width, s.binY = roiY / height;
  const int64_t ratio = call.attributes.getInt("sampling_ratio");
  constexpr int64_t most = 1 << 12; // samples of an element along an axis
  if (!(std::fabs(s.binX) <= most && std::fabs(s.binY) <= most) || ratio > most)
    return makeError(ErrorCode::E0513, "roi_align: region ", roi, " is too large, or no region");
  s.columns = ratio > 0 ? ratio : static_cast<int64_t>(std::ceil(s.binX));
  s.rows = ratio > 0 ? ratio : static_cast<int64_t>(std::ceil(s.binY));
  return s;
}

} // namespace kiln::ref::roi
