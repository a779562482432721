// Boxes of non-maximum suppression, as the op spells them: corners, or centre and size.
#pragma once

#include <algorithm>

namespace kiln::ref {

/// Corners of a box, low before high.
struct Box {
  float y1, x1, y2, x2;
  float area() const { return (y2 - y1) * (x2 - x1); }
};

/// Of four coordinates: y1, x1, y2, x2 in any order of the corners; x, y, width, height of a box about its centre.
inline Box boxAt(const float *p, bool center) {
  if (center) {
    const float halfWidth = p[2] / 2, halfHeight = p[3] / 2;
    return {p[1] - halfHeight, p[0] - halfWidth, p[1] + halfHeight, p[0] + halfWidth};
  }
  return {std::min(p[0], p[2]), std::min(p[1], p[3]), std::max(p[0], p[2]), std::max(p[1], p[3])};
}

} // namespace kiln::ref
