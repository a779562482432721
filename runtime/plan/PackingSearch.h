// A bounded depth-first search for an offset packing within a given capacity, for instances where
// greedy orders stay above the lower bound. Deterministic: the budget counts work, not time.
#pragma once

#include "runtime/plan/Packing.h"

#include <optional>

namespace kiln {

/// Offsets that fit `capacity`, or nullopt when the search proves that there are none or its budget
/// ends. `budget` is what is left of it, in steps of about a nanosecond. All intervals have bytes >
/// 0; every bytes value is rounded up.
std::optional<std::vector<int64_t>> searchPacking(std::span<const PackInterval> intervals, int64_t capacity,
                                                  int priority, int64_t &budget);

/// Budget that a search without wrong turns takes.
int64_t packingDescentCost(std::span<const PackInterval> intervals);

/// How many different priorities searchPacking knows.
inline constexpr int packingPriorities = 3;

} // namespace kiln
