// The size that estimates take for one that is unknown at compile time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

namespace kiln {

/// A middling size, clamped to what is known of it; ends that are unknown are absent.
inline int64_t nominalSize(std::optional<int64_t> low = std::nullopt, std::optional<int64_t> high = std::nullopt) {
  int64_t size = 128;
  if (high)
    size = std::min(size, *high);
  if (low)
    size = std::max(size, *low);
  return size;
}

} // namespace kiln
