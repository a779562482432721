// The thread pool that launches run on: one per process, replaceable by the host application. The
// caller of parallelFor takes part; calls from several threads, and from within a body, are fine.
// Results never depend on how many threads took part: the pool only decides who runs an index, not
// what is computed.
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>

namespace kiln {

class ThreadPool {
public:
  /// Runs the indices [begin, end) as participant `worker`, which is unique among those that run at
  /// the same time in one parallelFor, and less than its `threads`.
  using Body = void (*)(void *argument, int64_t begin, int64_t end, int worker);

  virtual ~ThreadPool() = default;

  /// Runs body for all of [0, n), in pieces, on at most `threads` threads; returns when all are
  /// done.
  virtual void parallelFor(int64_t n, int threads, Body body, void *argument) = 0;

  /// Brackets a run of several parallelFor calls: in between, workers may spin for up to about 50
  /// us before they park.
  virtual void beginRun([[maybe_unused]] int threads) {}
  virtual void endRun() {}

  /// Any callable as the body.
  template <typename F> void parallelFor(int64_t n, int threads, F &&body) {
    using Callable = std::remove_reference_t<F>;
    parallelFor(
        n, threads,
        [](void *argument, int64_t begin, int64_t end, int worker) {
          (*static_cast<Callable *>(argument))(begin, end, worker);
        },
        const_cast<void *>(static_cast<const void *>(&body)));
  }

  /// A pool of its own threads, started when first needed. For tests; everything else uses the
  /// process's.
  static std::unique_ptr<ThreadPool> create();
  /// The pool in use: the process's own, or the host's replacement.
  static ThreadPool &process();
  /// Replaces it for later runs; null restores our own. The host keeps it alive for as long as
  /// anything runs.
  static void replace(ThreadPool *pool);
};

/// The most threads one parallelFor may ask for; more are treated as this many.
inline constexpr int maxThreads = 256;

} // namespace kiln
