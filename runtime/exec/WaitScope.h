// Memory that a queue's operations use must outlive them, however the scope that gave them to the queue ends.
#pragma once

#include "runtime/base/NoThrow.h"
#include "runtime/device/Device.h"

namespace kiln {

/// Waits for the queue when the scope ends, also by an error or an exception. Who wants to know of errors of the
/// operations waits before.
class WaitScope {
public:
  explicit WaitScope(Queue &queue) : queue(queue) {}
  ~WaitScope() {
    (void)noThrow([&] { return queue.wait(); });
  }
  WaitScope(const WaitScope &) = delete;
  WaitScope &operator=(const WaitScope &) = delete;

private:
  Queue &queue;
};

} // namespace kiln
