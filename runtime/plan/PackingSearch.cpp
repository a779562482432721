#include "runtime/plan/PackingSearch.h"

#include <algorithm>
#include <array>
#include <numeric>

namespace kiln {
namespace {

/// Buffers are placed by non-decreasing offset, each as low as those already placed below it allow.
/// Any packing can be brought into that form, so nothing is lost. Time is cut into sections in
/// which the same buffers live; a section whose lowest possible next offset plus the bytes still to
/// come exceeds the capacity ends a branch.
class Search {
public:
  Search(std::span<const PackInterval> intervals, int64_t capacity, int priority, int64_t &budget)
      : v(intervals), capacity(capacity), budget(budget) {
    makeSections();
    makeOrder(priority);
    offsets.assign(v.size(), -1);
    lowest.assign(v.size(), 0);
  }

  std::optional<std::vector<int64_t>> run() {
    if (!feasible() || !descend(v.size(), 0, 0))
      return std::nullopt;
    return offsets;
  }

  int64_t descentCost() const {
    int64_t perBuffer = 2 * int64_t(v.size());
    for (size_t i = 0; i < v.size(); ++i)
      perBuffer += end[i] - begin[i];
    return perBuffer * int64_t(v.size()) / 2; // ever fewer are left
  }

private:
  struct Undo {
    uint32_t buffer;
    int64_t lowest;
  };

  /// Only sections count whose set of live buffers is not part of a neighbour's: those that begin
  /// where a buffer begins and end where one ends.
  void makeSections() {
    std::vector<std::pair<int64_t, bool>> events; // step, is a start; ends come first
    for (const PackInterval &i : v) {
      events.push_back({i.first, true});
      events.push_back({i.last + 1, false});
    }
    std::sort(events.begin(), events.end());
    std::vector<int64_t> starts; // first step of each section
    for (size_t k = 0; k + 1 < events.size(); ++k)
      if (events[k].second && !events[k + 1].second)
        starts.push_back(events[k].first);
    remaining.assign(starts.size(), 0);
    for (const PackInterval &i : v) {
      auto at = [&](int64_t step) { return std::lower_bound(starts.begin(), starts.end(), step); };
      begin.push_back(uint32_t(at(i.first) - starts.begin()));
      end.push_back(uint32_t(at(i.last + 1) - starts.begin()));
      for (uint32_t s = begin.back(); s < end.back(); ++s)
        remaining[s] += i.bytes;
    }
    floor.assign(starts.size(), 0);
  }

  /// Which of the buffers with equal lowest offset goes first: by the fullest section it crosses
  /// (T), its time (W), its area (A).
  void makeOrder(int priority) {
    std::vector<int64_t> total(v.size());
    for (size_t i = 0; i < v.size(); ++i)
      total[i] = *std::max_element(remaining.begin() + begin[i], remaining.begin() + end[i]);
    order.resize(v.size());
    std::iota(order.begin(), order.end(), 0u);
    std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
      auto width = [&](uint32_t i) { return v[i].last - v[i].first; };
      auto area = [&](uint32_t i) { return double(width(i) + 1) * double(v[i].bytes); };
      auto key = [&](uint32_t i) {
        double t = -double(total[i]), w = -double(width(i)), x = -area(i);
        return priority == 0 ? std::array{t, w, x} : priority == 1 ? std::array{t, x, w} : std::array{w, x, t};
      };
      auto x = key(a), y = key(b);
      return x != y ? x < y : a < b;
    });
  }

  /// No section is sure to exceed the capacity.
  bool feasible() {
    floor.assign(floor.size(), INT64_MAX);
    for (uint32_t i : order) {
      if (offsets[i] >= 0)
        continue;
      budget -= end[i] - begin[i];
      for (uint32_t s = begin[i]; s < end[i]; ++s)
        floor[s] = std::min(floor[s], lowest[i]);
    }
    for (size_t s = 0; s < floor.size(); ++s)
      if (remaining[s] > 0 && floor[s] + remaining[s] > capacity)
        return false;
    return true;
  }

  bool descend(size_t left, int64_t level, size_t rankAtLevel) {
    if (left == 0)
      return true;
    // Whatever cannot start below the lowest top of another one could have had that one below it.
    int64_t ceiling = INT64_MAX;
    std::vector<std::pair<int64_t, uint32_t>> candidates; // lowest offset, rank in `order`
    for (uint32_t rank = 0; rank < order.size(); ++rank) {
      uint32_t i = order[rank];
      if (offsets[i] >= 0)
        continue;
      ceiling = std::min(ceiling, std::max(lowest[i], level) + v[i].bytes);
      candidates.push_back({std::max(lowest[i], level), rank});
    }
    budget -= int64_t(order.size());
    std::sort(candidates.begin(), candidates.end());
    for (auto [offset, rank] : candidates) {
      if (offset >= ceiling || budget <= 0)
        return false;
      // Buffers at one level do not touch in time, so their order is free: only the ascending one
      // is tried.
      if (offset == level && rank < rankAtLevel)
        continue;
      uint32_t i = order[rank];
      if (offset + v[i].bytes > capacity)
        return false;
      size_t mark = undo.size();
      place(i, offset);
      if (feasible() && descend(left - 1, offset, rank))
        return true;
      takeBack(i, mark);
    }
    return false;
  }

  void place(uint32_t i, int64_t offset) {
    offsets[i] = offset;
    for (uint32_t s = begin[i]; s < end[i]; ++s)
      remaining[s] -= v[i].bytes;
    for (uint32_t j : order) {
      if (offsets[j] >= 0)
        continue;
      bool touches = begin[i] < end[j] && begin[j] < end[i];
      int64_t bound = touches ? offset + v[i].bytes : offset;
      if (bound > lowest[j]) {
        undo.push_back({j, lowest[j]});
        lowest[j] = bound;
      }
    }
    budget -= int64_t(order.size());
  }

  void takeBack(uint32_t i, size_t mark) {
    while (undo.size() > mark) {
      lowest[undo.back().buffer] = undo.back().lowest;
      undo.pop_back();
    }
    for (uint32_t s = begin[i]; s < end[i]; ++s)
      remaining[s] += v[i].bytes;
    offsets[i] = -1;
  }

  std::span<const PackInterval> v;
  const int64_t capacity;
  int64_t &budget;
  std::vector<uint32_t> begin, end, order;
  std::vector<int64_t> remaining, floor; // by section
  std::vector<int64_t> offsets, lowest;  // by buffer
  std::vector<Undo> undo;
};

} // namespace

int64_t packingDescentCost(std::span<const PackInterval> intervals) {
  int64_t budget = 0;
  return Search(intervals, 0, 0, budget).descentCost();
}

std::optional<std::vector<int64_t>> searchPacking(std::span<const PackInterval> intervals, int64_t capacity,
                                                  int priority, int64_t &budget) {
  if (budget <= 0 || intervals.empty())
    return std::nullopt;
  return Search(intervals, capacity, priority, budget).run();
}

} // namespace kiln
