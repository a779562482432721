#include "runtime/plan/Packing.h"

#include "runtime/base/Tensor.h"
#include "runtime/plan/PackingSearch.h"

#include <algorithm>
#include <numeric>

namespace kiln {
namespace {

/// Comparisons of two intervals that the simple orders may cost; the first order always runs.
constexpr int64_t orderBudget = 20'000'000;
/// Beyond this many the search is not worth its recursion.
constexpr size_t searchableIntervals = 2000;

bool overlap(const PackInterval &a, const PackInterval &b) { return a.first <= b.last && b.first <= a.last; }

/// Places intervals one by one, each into the smallest (or the lowest) gap between those placed
/// that live at the same time.
class Placer {
public:
  Placer(std::span<const PackInterval> intervals) : intervals(intervals) {}

  Packing place(const std::vector<uint32_t> &order, bool bestFit) {
    Packing packing{std::vector<int64_t>(intervals.size(), 0), 0};
    placed.clear();
    for (uint32_t i : order) {
      int64_t offset = findGap(packing, i, bestFit), end = offset + intervals[i].bytes;
      packing.offsets[i] = offset;
      packing.total = std::max(packing.total, end);
      auto at = std::upper_bound(placed.begin(), placed.end(), offset,
                                 [&](int64_t o, uint32_t j) { return o < packing.offsets[j]; });
      placed.insert(at, i);
    }
    return packing;
  }

  int64_t work = 0;

private:
  int64_t findGap(const Packing &packing, uint32_t i, bool bestFit) {
    const PackInterval &wanted = intervals[i];
    int64_t end = 0, best = -1, bestSize = INT64_MAX;
    work += int64_t(placed.size());
    for (uint32_t j : placed) { // by offset
      if (!overlap(wanted, intervals[j]))
        continue;
      int64_t gap = packing.offsets[j] - end;
      if (gap >= wanted.bytes && gap < bestSize) {
        best = end, bestSize = gap;
        if (!bestFit)
          return best;
      }
      end = std::max(end, packing.offsets[j] + intervals[j].bytes);
    }
    // A gap below the top costs nothing; growing the arena may.
    return best >= 0 ? best : end;
  }

  std::span<const PackInterval> intervals;
  std::vector<uint32_t> placed;
};

/// Groups of intervals that never live at the same time as those of another group: each is packed
/// on its own.
std::vector<std::vector<uint32_t>> timeGroups(std::span<const PackInterval> intervals, std::vector<uint32_t> ids) {
  std::sort(ids.begin(), ids.end(), [&](uint32_t a, uint32_t b) {
    return std::pair(intervals[a].first, a) < std::pair(intervals[b].first, b);
  });
  std::vector<std::vector<uint32_t>> groups;
  int64_t last = 0;
  for (uint32_t i : ids) {
    if (groups.empty() || intervals[i].first > last) {
      groups.emplace_back();
      last = intervals[i].last;
    }
    groups.back().push_back(i);
    last = std::max(last, intervals[i].last);
  }
  return groups;
}

/// Moves every group that exceeds `capacity` below it; false where the search does not manage that
/// with `share` steps per group and priority.
bool fitGroups(std::span<const PackInterval> intervals, const std::vector<std::vector<uint32_t>> &groups,
               int64_t capacity, int64_t share, int64_t &effort, std::vector<int64_t> &offsets) {
  for (const std::vector<uint32_t> &group : groups) {
    if (std::all_of(group.begin(), group.end(),
                    [&](uint32_t i) { return offsets[i] + intervals[i].bytes <= capacity; }))
      continue;
    std::vector<PackInterval> members;
    for (uint32_t i : group)
      members.push_back(intervals[i]);
    std::optional<std::vector<int64_t>> found;
    for (int priority = 0; priority < packingPriorities && !found; ++priority) {
      int64_t left = share;
      found = searchPacking(members, capacity, priority, left);
      effort -= share - left;
    }
    if (!found)
      return false;
    for (size_t k = 0; k < group.size(); ++k)
      offsets[group[k]] = (*found)[k];
  }
  return true;
}

/// Looks for a packing closer to the bound, by bisection of the capacity. A search that succeeds
/// mostly does so with few wrong turns, so each gets the effort of a few descents, and the
/// bisection starts again with more when it ends above the bound.
void improve(std::span<const PackInterval> intervals, const std::vector<uint32_t> &ids, int64_t bound, int64_t effort,
             Packing &best) {
  std::vector<std::vector<uint32_t>> groups = timeGroups(intervals, ids);
  int64_t descent = 0;
  for (const std::vector<uint32_t> &group : groups) {
    std::vector<PackInterval> members;
    for (uint32_t i : group)
      members.push_back(intervals[i]);
    descent = std::max(descent, packingDescentCost(members));
  }
  for (int64_t patience = 2; best.total > bound && effort > patience * descent; patience *= 4) {
    // The bound itself is tried first: it is often met. Then (low, best.total) is halved down to a
    // hundredth of the bound.
    int64_t low = bound, capacity = bound;
    while (effort > patience * descent) {
      std::vector<int64_t> offsets = best.offsets;
      if (fitGroups(intervals, groups, capacity, patience * descent, effort, offsets)) {
        best.offsets = std::move(offsets);
        best.total = 0;
        for (uint32_t i : ids)
          best.total = std::max(best.total, best.offsets[i] + intervals[i].bytes);
      } else {
        low = capacity;
      }
      if (best.total - low <= bound / 100)
        break;
      capacity = low + (best.total - low) / 2;
    }
  }
}

} // namespace

int64_t packingLowerBound(std::span<const PackInterval> intervals, int64_t alignment) {
  struct Event {
    int64_t step, bytes;
  };
  std::vector<Event> events;
  for (const PackInterval &i : intervals) {
    if (i.bytes <= 0)
      continue;
    int64_t bytes = alignUp(i.bytes, alignment);
    events.push_back({i.first, bytes});
    events.push_back({i.last + 1, -bytes});
  }
  std::sort(events.begin(), events.end(), [](const Event &a, const Event &b) {
    return a.step != b.step ? a.step < b.step : a.bytes < b.bytes; // ends before starts
  });
  int64_t live = 0, most = 0;
  for (const Event &e : events)
    most = std::max(most, live += e.bytes);
  return most;
}

Packing packOffsets(std::span<const PackInterval> given, int64_t alignment, int64_t effort) {
  std::vector<PackInterval> intervals(given.begin(), given.end());
  int64_t sum = 0;
  for (PackInterval &i : intervals) {
    if (i.bytes > INT64_MAX - alignment ||
        __builtin_add_overflow(sum, alignUp(std::max<int64_t>(i.bytes, 0), alignment), &sum))
      return {{}, -1};
    i.bytes = alignUp(std::max<int64_t>(i.bytes, 0), alignment);
  }

  std::vector<uint32_t> order;
  for (uint32_t i = 0; i < intervals.size(); ++i)
    if (intervals[i].bytes > 0)
      order.push_back(i);
  const int64_t bound = packingLowerBound(intervals, alignment);

  Placer placer(intervals);
  Packing best{std::vector<int64_t>(intervals.size(), 0), order.empty() ? 0 : INT64_MAX};

  auto span = [&](uint32_t i) { return intervals[i].last - intervals[i].first; };
  auto area = [&](uint32_t i) { return double(intervals[i].bytes) * double(span(i) + 1); };
  // Ties end with the index, so the order is total. Large first is the classic; long first and by
  // area win where many small buffers live through the whole program; by start is the order of
  // execution.
  auto sortBy = [&](auto key) {
    std::vector<uint32_t> sorted = order;
    std::sort(sorted.begin(), sorted.end(), [&](uint32_t a, uint32_t b) {
      auto x = key(a), y = key(b);
      return x != y ? x < y : a < b;
    });
    return sorted;
  };
  std::vector<std::vector<uint32_t>> orders = {
      sortBy([&](uint32_t i) { return std::pair(-intervals[i].bytes, -span(i)); }),
      sortBy([&](uint32_t i) { return -area(i); }),
      sortBy([&](uint32_t i) { return std::pair(-span(i), -intervals[i].bytes); }),
      sortBy([&](uint32_t i) { return std::pair(intervals[i].first, -intervals[i].bytes); }),
      sortBy([&](uint32_t i) { return std::pair(-intervals[i].last, -intervals[i].bytes); }),
  };
  for (const auto &candidate : orders)
    for (bool bestFit : {true, false}) {
      if (best.total <= bound || (placer.work > orderBudget && best.total != INT64_MAX))
        break;
      Packing packing = placer.place(candidate, bestFit);
      if (packing.total < best.total)
        best = std::move(packing);
    }
  if (best.total > bound && order.size() <= searchableIntervals)
    improve(intervals, order, bound, effort, best);
  return best;
}

} // namespace kiln
