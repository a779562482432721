#include "runtime/device/ThreadPool.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace kiln {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto spinTime = std::chrono::microseconds(50);

void relax() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

/// One parallelFor under way. Jobs live in the pool for ever, so that a worker may look at one that
/// has just ended. Life: free -> claimed by a caller, who fills it -> open: workers enter -> closed
/// again, the caller waits until none is inside -> free. A worker announces itself in `inside`
/// before it looks at `open`, and the caller closes before it looks at `inside` (both sequentially
/// consistent), so one of them sees the other.
struct alignas(64) Job {
  std::atomic<bool> claimed{false};
  std::atomic<bool> open{false};
  std::atomic<int> inside{0};
  std::atomic<int> entered{0};

  ThreadPool::Body body = nullptr;
  void *argument = nullptr;
  int64_t n = 0, piece = 1;
  int threads = 1;

  /// Each participant has a contiguous part of the indices, takes pieces off its front, and then
  /// helps with the others' parts. That keeps neighbouring indices on one core, launch after
  /// launch.
  struct alignas(64) Part {
    std::atomic<int64_t> next{0};
    int64_t end = 0;
  };
  std::unique_ptr<Part[]> parts{new Part[maxThreads]};

  void prepare(int64_t count, int threadLimit, ThreadPool::Body f, void *a) {
    body = f, argument = a, n = count, threads = threadLimit;
    piece = std::max<int64_t>(1, n / (int64_t(threads) * 16));
    int64_t share = n / threads, extra = n % threads, begin = 0;
    for (int t = 0; t < threads; ++t) {
      int64_t size = share + (t < extra);
      parts[t].next.store(begin, std::memory_order_relaxed);
      parts[t].end = begin += size;
    }
    entered.store(0, std::memory_order_relaxed);
  }

  void work(int id) {
    for (int k = 0; k < threads; ++k) {
      Part &part = parts[(id + k) % threads];
      // A look before the add keeps `next` from running far past the end.
      while (part.next.load(std::memory_order_relaxed) < part.end) {
        int64_t begin = part.next.fetch_add(piece, std::memory_order_relaxed);
        if (begin >= part.end)
          break;
        body(argument, begin, std::min(begin + piece, part.end), id);
      }
    }
  }
};

class OwnPool final : public ThreadPool {
public:
  ~OwnPool() override {
    stopping.store(true);
    epoch.fetch_add(1);
    epoch.notify_all();
    for (std::thread &worker : workers)
      worker.join();
  }

  void parallelFor(int64_t n, int threads, Body body, void *argument) override {
    if (n <= 0)
      return;
    threads = int(std::min<int64_t>({int64_t(threads), n, int64_t(maxThreads)}));
    Job *job = threads > 1 ? claim() : nullptr;
    if (!job) { // nothing to share, or too many at once: that is correct too
      body(argument, 0, n, 0);
      return;
    }
    startWorkers(threads - 1);
    job->prepare(n, threads, body, argument);
    job->open.store(true);
    wake(threads - 1);
    job->work(0);
    job->open.store(false);
    for (int spins = 0; job->inside.load() != 0; ++spins) {
      if (spins < 1000)
        relax();
      else
        std::this_thread::yield(); // a worker has lost its CPU
    }
    job->claimed.store(false, std::memory_order_release);
  }

  void beginRun(int threads) override {
    if (threads < 2)
      return;
    activeRuns.fetch_add(1);
    startWorkers(std::min(threads, maxThreads) - 1);
    wake(threads - 1);
  }
  void endRun() override { activeRuns.fetch_sub(1); }

private:
  Job *claim() {
    for (Job &job : jobs)
      if (!job.claimed.load(std::memory_order_relaxed) && !job.claimed.exchange(true, std::memory_order_acquire))
        return &job;
    return nullptr;
  }

  void startWorkers(int count) {
    if (started.load(std::memory_order_acquire) >= count)
      return;
    std::lock_guard lock(mutex);
    while (int(workers.size()) < count) {
      try {
        workers.emplace_back([this] { workerLoop(); });
      } catch (const std::system_error &) {
        break; // no more threads to be had: fewer do the work
      }
    }
    started.store(std::max(count, int(workers.size())), std::memory_order_release);
  }

  void wake(int count) {
    epoch.fetch_add(1);
    int sleeping = sleepers.load();
    for (int i = 0; i < std::min(count, sleeping); ++i)
      epoch.notify_one();
  }

  /// Takes part in whatever is open; false when nothing was.
  bool help() {
    bool helped = false;
    for (Job &job : jobs) {
      if (!job.open.load(std::memory_order_relaxed))
        continue;
      job.inside.fetch_add(1);
      if (job.open.load()) {
        int id = job.entered.fetch_add(1, std::memory_order_relaxed) + 1;
        if (id < job.threads) {
          job.work(id);
          helped = true;
        }
      }
      job.inside.fetch_sub(1);
    }
    return helped;
  }

  void workerLoop() {
    auto idleSince = Clock::now();
    while (!stopping.load(std::memory_order_relaxed)) {
      uint32_t seen = epoch.load();
      if (help()) {
        idleSince = Clock::now();
        continue;
      }
      bool changed = false;
      while (!changed && activeRuns.load(std::memory_order_relaxed) > 0 && Clock::now() - idleSince < spinTime)
        for (int i = 0; i < 32 && !changed; ++i) {
          relax();
          changed = epoch.load(std::memory_order_relaxed) != seen;
        }
      if (changed)
        continue;
      sleepers.fetch_add(1);
      epoch.wait(seen);
      sleepers.fetch_sub(1);
      idleSince = Clock::now();
    }
  }

  Job jobs[8];
  alignas(64) std::atomic<uint32_t> epoch{0}; // changes whenever there may be work
  alignas(64) std::atomic<int> sleepers{0};
  std::atomic<int> activeRuns{0}, started{0};
  std::atomic<bool> stopping{false};
  std::mutex mutex;
  std::vector<std::thread> workers;
};

std::atomic<ThreadPool *> replacement{nullptr};

} // namespace

ThreadPool &ThreadPool::process() {
  if (ThreadPool *pool = replacement.load(std::memory_order_acquire))
    return *pool;
  // Never destroyed: threads may still run when static objects die.
  static OwnPool *pool = new OwnPool;
  return *pool;
}

void ThreadPool::replace(ThreadPool *pool) { replacement.store(pool, std::memory_order_release); }

std::unique_ptr<ThreadPool> ThreadPool::create() { return std::make_unique<OwnPool>(); }

} // namespace kiln
