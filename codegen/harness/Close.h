// When a computed number may stand for the expected one: the comparison behind every check of results.
#pragma once

#include <cmath>

namespace kiln {

/// Finite numbers within `slack` of each other; NaN stands for NaN and an infinity for itself alone.
inline bool isClose(double got, double want, double slack) {
  if (std::isnan(want) || std::isnan(got))
    return std::isnan(want) && std::isnan(got);
  if (std::isinf(want) || std::isinf(got))
    return got == want;
  return std::fabs(got - want) <= slack;
}

} // namespace kiln
