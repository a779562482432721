// A device for tests, which the CPU plays: memory of its own that is out of reach unless its queue runs, and a queue
// that lags: nothing happens before somebody waits. What a real device forgives at random is a fault or an error here:
// host code that touches device memory, results that are read too early, sources that are overwritten too early.
#pragma once

#include "runtime/device/Device.h"

#include <atomic>
#include <functional>
#include <map>
#include <mutex>

namespace kiln::test {

class TestDevice final : public Device {
public:
  std::string_view name() const override { return "test"; }
  Status checkRuns(std::string_view target) const override;
  Result<Memory> allocate(int64_t bytes) override;
  void free(Memory memory) override;
  int workers(int) const override { return 1; }
  std::unique_ptr<Queue> makeQueue() override;

  /// What all queues have done.
  struct Counts {
    std::atomic<int64_t> bytesToDevice{0}, bytesToHost{0}, copies{0}, launches{0}, waits{0};
  } counts;
  int64_t bytesHeld();
  /// Operations that queues were given and have not done yet. Those of a queue that is gone stay among them.
  std::atomic<int64_t> pending{0};
  /// Asked before a queue takes an operation: its error, or exception, is that of the call.
  std::function<Status()> refuse;

private:
  friend class LaggingQueue;
  /// Memory is within reach while any queue runs.
  void open();
  void close();
  void protect(int protection);

  std::mutex mutex;
  std::map<char *, int64_t> memories;
  int running = 0;
};

} // namespace kiln::test
