#include "runtime/device/Cpu.h"

#include "runtime/base/Tensor.h"
#include "runtime/device/HostCpu.h"
#include "runtime/device/RunKernel.h"
#include "runtime/device/ThreadPool.h"

#include <cstring>
#include <sys/mman.h>

namespace kiln {
namespace {

/// From this size on memory is mapped on its own and asks for huge pages.
constexpr int64_t hugePage = 2 << 20;

class CpuQueue final : public Queue {
public:
  Status launch(const KernelLaunch &launch) override {
    alignas(64) int32_t status = KILN_KERNEL_OK;
    if (launch.threads > 1)
      ThreadPool::process().parallelFor(launch.grid, launch.threads, [&](int64_t begin, int64_t end, int worker) {
        runWorkgroups(launch, begin, end, worker, &status);
      });
    else
      runWorkgroups(launch, 0, launch.grid, 0, &status);
    return kernelStatus(status);
  }
  Status copyToDevice(void *to, const void *from, int64_t bytes) override { return copyOnDevice(to, from, bytes); }
  Status copyToHost(void *to, const void *from, int64_t bytes) override { return copyOnDevice(to, from, bytes); }
  Status copyOnDevice(void *to, const void *from, int64_t bytes) override {
    std::memmove(to, from, size_t(bytes));
    return Status();
  }
  Status wait() override { return Status(); }
};

class Cpu final : public Device {
public:
  std::string_view name() const override { return ""; }
  bool isHost() const override { return true; }
  Status checkRuns(std::string_view target) const override { return checkHostRuns(target); }
  int workers(int threads) const override { return threads; }
  std::unique_ptr<Queue> makeQueue() override { return std::make_unique<CpuQueue>(); }

  Result<Memory> allocate(int64_t bytes) override {
    Status failure = makeError(ErrorCode::E0510, "out of memory: ", bytes, " bytes");
    if (bytes > (int64_t(1) << 46))
      return failure;
    if (bytes < hugePage) {
      Memory memory{static_cast<char *>(allocateAligned(bytes)), bytes};
      return memory.data ? Result<Memory>(memory) : failure;
    }
    int64_t rounded = alignUp(bytes, hugePage);
    // One huge page more, to begin at a boundary.
    void *p = ::mmap(nullptr, size_t(rounded + hugePage), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
      return failure;
    char *start = static_cast<char *>(p);
    char *aligned = reinterpret_cast<char *>(alignUp(int64_t(reinterpret_cast<uintptr_t>(p)), hugePage));
    if (aligned > start)
      ::munmap(start, size_t(aligned - start));
    if (int64_t tail = start + rounded + hugePage - (aligned + rounded); tail > 0)
      ::munmap(aligned + rounded, size_t(tail));
    ::madvise(aligned, size_t(rounded), MADV_HUGEPAGE);
    return Memory{aligned, rounded};
  }
  void free(Memory memory) override {
    if (memory.bytes >= hugePage)
      ::munmap(memory.data, size_t(memory.bytes));
    else
      freeAligned(memory.data);
  }
};

} // namespace

Device &cpuDevice() {
  static Cpu device;
  return device;
}

} // namespace kiln
