#include "compiler/session/Parallel.h"

#include <catch2/catch.hpp>
#include <fstream>
#include <stdexcept>
#include <string>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace kiln;

TEST_CASE("every index runs once, on workers of its own") {
  for (size_t threads : {0, 1, 3, 40})
    for (size_t count : {0, 1, 2, 30}) {
      std::vector<int> runs(count);
      std::atomic<bool> inRange{true};
      Status status = parallelFor(count, threads, [&](size_t i, size_t worker) {
        ++runs[i];
        if (worker >= std::max<size_t>(threads, 1))
          inRange = false;
        return Status();
      });
      CHECK(status.ok());
      CHECK(inRange);
      CHECK(runs == std::vector<int>(count, 1));
    }
}

TEST_CASE("errors and exceptions on any thread come back as the error of the lowest index") {
  for (size_t threads : {1, 4}) {
    auto failing = [&](auto body) {
      return formatError(parallelFor(100, threads, [&](size_t i, size_t) -> Status {
        if (i == 10 || i >= 60)
          body(i);
        return Status();
      }));
    };
    CHECK(failing([](size_t) { throw std::bad_alloc(); }) == "out of memory [KILN-E0510]");
    CHECK(failing([](size_t i) { throw std::runtime_error("at " + std::to_string(i)); }) == "at 10 [KILN-E0901]");
    CHECK(failing([](size_t) { throw 1; }) == "unknown exception [KILN-E0901]");
  }
}

// Sanitizers reserve more address space than this leaves.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST_CASE("threads that the system does not give are no failure") {
  constexpr size_t wanted = 64; // more than stacks that earlier threads left behind
  pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    size_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    rlimit limit{};
    limit.rlim_cur = limit.rlim_max = pages * size_t(::sysconf(_SC_PAGESIZE)) + (2 << 20); // less than a stack
    ::setrlimit(RLIMIT_AS, &limit);
    std::vector<std::thread> threads = startThreads(0, wanted, [](size_t) {});
    size_t started = threads.size();
    for (std::thread &thread : threads)
      thread.join();
    std::atomic<int> runs{0};
    Status status = parallelFor(1000, wanted, [&](size_t, size_t) {
      ++runs;
      return Status();
    });
    ::_exit(status.ok() && runs == 1000 && started < wanted ? 0 : 1);
  }
  int outcome = -1;
  REQUIRE(::waitpid(child, &outcome, 0) == child);
  CHECK(outcome == 0);
}
#endif
