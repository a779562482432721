// Offset packing of arena buffers: given sizes and live intervals, offsets such that buffers that
// live at the same time do not overlap, in little total space. One pure, deterministic function,
// used at compile time for static sizes and at run time once per distinct bound sizes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace kiln {

/// A buffer that is in use during the steps [first, last], both inclusive.
struct PackInterval {
  int64_t bytes = 0;
  int64_t first = 0, last = 0;
};

struct Packing {
  std::vector<int64_t> offsets; ///< one per interval, multiples of the alignment
  int64_t total = 0;            ///< bytes of the arena
};

/// How much searching packOffsets may do where simple orders stay above the lower bound, in steps
/// of a few nanoseconds. The search is rarely needed for the programs of models, so the compiler
/// can afford much and a run little.
inline constexpr int64_t packThoroughly = 100'000'000, packQuickly = 1'000'000;

/// Sizes are rounded up to `alignment` (a power of two); intervals without bytes get offset 0.
/// Totals that would overflow give an empty result with total -1.
Packing packOffsets(std::span<const PackInterval> intervals, int64_t alignment = 64, int64_t effort = packThoroughly);

/// The most bytes (rounded up) that live at one time: no packing needs less.
int64_t packingLowerBound(std::span<const PackInterval> intervals, int64_t alignment = 64);

} // namespace kiln
