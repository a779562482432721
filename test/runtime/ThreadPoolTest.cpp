#include "runtime/device/ThreadPool.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <thread>
#include <vector>

using namespace kiln;

TEST_CASE("every index runs exactly once, with distinct workers") {
  auto pool = ThreadPool::create();
  for (int threads : {1, 2, 3, 8})
    for (int64_t n : {0, 1, 2, 7, 64, 1000}) {
      std::vector<std::atomic<int>> hits(static_cast<size_t>(n));
      std::vector<std::atomic<int>> busy(8);
      std::atomic<bool> shared{false};
      pool->parallelFor(n, threads, [&](int64_t begin, int64_t end, int worker) {
        if (worker < 0 || worker >= threads || busy[size_t(worker)].fetch_add(1) != 0)
          shared = true;
        for (int64_t i = begin; i < end; ++i)
          hits[size_t(i)].fetch_add(1);
        busy[size_t(worker)].fetch_sub(1);
      });
      CHECK(!shared);
      for (auto &h : hits)
        REQUIRE(h == 1);
    }
}

TEST_CASE("writes of a body are seen after the call, launch after launch") {
  auto pool = ThreadPool::create();
  std::vector<int64_t> a(4096, 0); // plain memory: the thread sanitizer checks the ordering
  pool->beginRun(4);
  for (int round = 1; round <= 300; ++round) {
    pool->parallelFor(int64_t(a.size()), 4, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; ++i)
        a[size_t(i)] += i;
    });
    REQUIRE(a[4095] == 4095 * round);
  }
  pool->endRun();
  for (size_t i = 0; i < a.size(); ++i)
    REQUIRE(a[i] == int64_t(i) * 300);
}

TEST_CASE("calls nest and overlap") {
  auto pool = ThreadPool::create();
  std::atomic<int64_t> sum{0};
  auto work = [&] {
    for (int round = 0; round < 30; ++round)
      pool->parallelFor(8, 4, [&](int64_t begin, int64_t end, int) {
        for (int64_t i = begin; i < end; ++i)
          pool->parallelFor(16, 3, [&](int64_t b, int64_t e, int) { sum += e - b; });
      });
  };
  std::vector<std::thread> callers;
  for (int i = 0; i < 12; ++i) // more than there are job slots
    callers.emplace_back(work);
  for (auto &t : callers)
    t.join();
  CHECK(sum == 12 * 30 * 8 * 16);
}

TEST_CASE("the host can replace the pool") {
  struct Inline : ThreadPool {
    int calls = 0;
    void parallelFor(int64_t n, int, Body body, void *argument) override {
      ++calls;
      body(argument, 0, n, 0);
    }
  } mine;
  ThreadPool::replace(&mine);
  int64_t sum = 0;
  ThreadPool::process().parallelFor(10, 4, [&](int64_t b, int64_t e, int) { sum += e - b; });
  ThreadPool::replace(nullptr);
  CHECK(sum == 10);
  CHECK(mine.calls == 1);
  CHECK(&ThreadPool::process() != &mine);
}
