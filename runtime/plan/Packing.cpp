#include "runtime/plan/Packing.h"

#include "runtime/base/Tensor.h"

#include <algorithm>
#include <numeric>

namespace kiln {
namespace {

/// Comparisons of two intervals that one call may spend on looking for better orders; the first orders always run.
constexpr int64_t searchBudget = 8'000'000;

bool overlap(const PackInterval &a, const PackInterval &b) {
  return a.first <= b.last && b.first <= a.last;
}

/// Places intervals one by one, each into the smallest (or the lowest) gap between those placed that live at the same time.
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
      auto at = std::upper_bound(placed.begin(), placed.end(), offset, [&](int64_t o, uint32_t j) {
        return o < packing.offsets[j];
      });
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

Packing packOffsets(std::span<const PackInterval> given, int64_t alignment) {
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
  std::vector<uint32_t> bestOrder;
  bool bestFitWon = true;
  auto attempt = [&](const std::vector<uint32_t> &candidate, bool bestFit) {
    Packing packing = placer.place(candidate, bestFit);
    if (packing.total < best.total) {
      best = std::move(packing);
      bestOrder = candidate;
      bestFitWon = bestFit;
    }
    return best.total <= bound;
  };

  auto span = [&](uint32_t i) { return intervals[i].last - intervals[i].first; };
  auto area = [&](uint32_t i) { return double(intervals[i].bytes) * double(span(i) + 1); };
  // Ties end with the index, so the order is total. Large first is the classic; long first and by area win where many
  // small buffers live through the whole program; by start is the order of execution.
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
    for (bool bestFit : {true, false})
      if ((placer.work > searchBudget && !bestOrder.empty()) || order.empty() ||
          attempt(candidate, bestFit))
        return best;

  // Repair: what ends at the top was placed too late; place it earlier and try again. `bestOrder` changes under way.
  for (int round = 0; round < 200 && placer.work <= searchBudget; ++round) {
    std::vector<uint32_t> candidate = bestOrder;
    std::vector<size_t> tops;
    for (size_t k = 0; k < candidate.size(); ++k)
      if (best.offsets[candidate[k]] + intervals[candidate[k]].bytes == best.total)
        tops.push_back(k);
    size_t from = tops[size_t(round) % tops.size()];
    size_t to = from / (2 + size_t(round) % 7); // various distances, without randomness
    std::rotate(candidate.begin() + int64_t(to), candidate.begin() + int64_t(from),
                candidate.begin() + int64_t(from) + 1);
    if (attempt(candidate, bestFitWon))
      break;
  }
  return best;
}

} // namespace kiln
