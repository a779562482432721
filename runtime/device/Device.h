// What launches run on, as the executor sees it: memory, and queues of launches and copies. A new device implements
// these two classes. What is not here yet: a kernel is a function that this process can call, so such a device is one
// that the CPU plays; one of its own needs a call that loads images.
#pragma once

#include "runtime/base/Status.h"
#include "runtime/include/kiln/kernel_abi.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace kiln {

/// One launch of a kernel. All memory that it names is the device's, but for the tables of addresses and sizes.
struct KernelLaunch {
  kiln_kernel_fn_v1 kernel = nullptr;
  std::span<void *const> buffers; ///< the table itself is read before Queue::launch returns
  const int64_t *sizes = nullptr; ///< stay where they are until the queue was waited for
  void *workspace = nullptr;      ///< may be null
  std::span<void *const> scratch; ///< of each worker (Device::workers), stays like `sizes`; empty when it wants none
  int64_t grid = 0;
  int threads = 1;                   ///< of the host, at most
  const std::string *node = nullptr; ///< for the error of a launch that runs later; stays like `sizes`
};

/// Runs operations one after the other; when, is its own affair until somebody waits. The first error is kept for the
/// next wait; what comes after it runs all the same, and keeps within its memory.
class Queue {
public:
  virtual ~Queue() = default;
  /// An error may be that of the launch, which then was run at once.
  virtual Status launch(const KernelLaunch &launch) = 0;
  /// Host memory is read, or written, at any time until the next wait: nobody else may touch it meanwhile.
  virtual Status copyToDevice(void *to, const void *from, int64_t bytes) = 0;
  virtual Status copyToHost(void *to, const void *from, int64_t bytes) = 0;
  virtual Status copyOnDevice(void *to, const void *from, int64_t bytes) = 0;
  /// Returns when everything is done. The error names the node of the first launch that failed, and is told once.
  virtual Status wait() = 0;
};

class Device {
public:
  struct Memory {
    char *data = nullptr;
    int64_t bytes = 0; ///< at least what was asked for
  };

  virtual ~Device() = default;
  /// As Program::device says it; empty for the CPU.
  virtual std::string_view name() const = 0;
  /// Whether its memory is the host's, and launches are done when they return: then nothing is ever copied or waited
  /// for.
  virtual bool isHost() const { return false; }
  /// Ok when code for a target's text runs here; else E0604 says what is missing.
  virtual Status checkRuns(std::string_view target) const = 0;
  /// 64-byte aligned, with undefined contents; E0510 when there is none left.
  virtual Result<Memory> allocate(int64_t bytes) = 0;
  virtual void free(Memory memory) = 0;
  /// Workgroups that run at the same time when a launch may use so many threads of the host: so many need scratch.
  virtual int workers(int threads) const = 0;
  virtual std::unique_ptr<Queue> makeQueue() = 0;
};

} // namespace kiln
