// Work split over the compile threads. Which thread does what never shows in the results.
#pragma once

#include "runtime/base/NoThrow.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <system_error>
#include <thread>
#include <vector>

namespace kiln {

/// Starts up to `count` threads that run `work(first), work(first + 1) ...`. Where the system gives fewer, there are
/// fewer: whoever calls must get by with none.
template <typename Work> std::vector<std::thread> startThreads(size_t first, size_t count, Work work) {
  std::vector<std::thread> threads;
  threads.reserve(count);
  try {
    for (size_t i = 0; i < count; ++i)
      threads.emplace_back(work, first + i);
  } catch (const std::system_error &) {
  }
  return threads;
}

/// Calls the Status fn(i, worker) for every i of 0..count-1 on at most `threads` threads, the caller among them;
/// worker < threads. Indices are handed out in order, so put long work first. After an error no more begin; the error
/// of the lowest index is the result, so that it does not depend on the threads. What fn throws is an error.
template <typename Fn> Status parallelFor(size_t count, size_t threads, Fn fn) {
  std::vector<Status> results(count);
  std::atomic<size_t> next{0};
  std::atomic<bool> stop{false};
  auto work = [&](size_t worker) {
    for (size_t i = next++; i < count && !stop; i = next++) {
      results[i] = noThrow([&] { return fn(i, worker); });
      if (!results[i].ok())
        stop = true;
    }
  };
  std::vector<std::thread> others = startThreads(1, std::max<size_t>(std::min(threads, count), 1) - 1, work);
  work(0);
  for (std::thread &other : others)
    other.join();
  for (Status &result : results)
    if (!result.ok())
      return std::move(result);
  return Status::success();
}

} // namespace kiln
