// Winograd's minimal filtering F(m, 3): m outputs of a three-tap correlation from m + 2 products, nested for two dims.
//   y = A^T ((G g) . (B^T d)),   points 0, +-p ..., infinity
// The points are those with the smallest rounding errors at the operation count of 0, +-1, +-2: 0, +-1 for m = 2;
// 0, +-1/sqrt(2), +-sqrt(2) for m = 4. The filter's side is here; kernels emit the other two from the same points.
#pragma once

#include <cstdint>
#include <vector>

namespace kiln {

inline constexpr int64_t winogradTaps = 3;
inline constexpr double winogradInnerPoint = 0.70710678118654752440; // of m = 4
inline constexpr double winogradOuterPoint = 1.41421356237309504880;

constexpr bool isWinogradSize(int64_t outputs) { return outputs == 2 || outputs == 4; }

/// G of F(outputs, 3): (outputs + 2) rows of three, row-major.
inline std::vector<double> winogradFilterMatrix(int64_t outputs) {
  std::vector<double> points{0, 1, -1};
  if (outputs == 4)
    points = {0, winogradInnerPoint, -winogradInnerPoint, winogradOuterPoint, -winogradOuterPoint};
  std::vector<double> matrix;
  for (double point : points) {
    double scale = 1;
    for (double other : points)
      if (other != point)
        scale *= point - other;
    matrix.insert(matrix.end(), {1 / scale, point / scale, point * point / scale});
  }
  matrix.insert(matrix.end(), {0, 0, 1});
  return matrix;
}

} // namespace kiln
