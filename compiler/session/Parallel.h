// Work split over the compile threads. Which thread does what never shows in the results.
#pragma once

#include <atomic>
#include <thread>
#include <vector>

namespace kiln {

/// Calls fn(i, worker) for every i of 0..count-1 on `threads` threads, the caller among them;
/// worker < threads. Indices are handed out in order, so put long work first.
template <typename Fn> void parallelFor(size_t count, size_t threads, Fn fn) {
  std::atomic<size_t> next{0};
  auto work = [&](size_t worker) {
    for (size_t i = next++; i < count; i = next++)
      fn(i, worker);
  };
  std::vector<std::thread> others;
  for (size_t worker = 1; worker < threads && worker < count; ++worker)
    others.emplace_back(work, worker);
  work(0);
  for (std::thread &other : others)
    other.join();
}

} // namespace kiln
