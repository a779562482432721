#include "test/device/TestDevice.h"

#include "runtime/base/Hash.h"
#include "runtime/base/Tensor.h"
#include "runtime/device/HostCpu.h"
#include "runtime/device/RunKernel.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <sys/mman.h>
#include <vector>

namespace kiln::test {
namespace {

constexpr int64_t page = 4096;
/// NaN in every floating-point type.
constexpr int nobodyWroteThis = 0xff;

uint64_t digest(const void *data, int64_t bytes) { return hash64(data, size_t(bytes)); }

} // namespace

class LaggingQueue final : public Queue {
public:
  explicit LaggingQueue(TestDevice &device) : device(device) {}

  Status launch(const KernelLaunch &launch) override {
    KILN_TRY(refused());
    Operation &operation = take();
    operation.launch = launch;
    operation.buffers.assign(launch.buffers.begin(), launch.buffers.end());
    return Status();
  }
  Status copyToDevice(void *to, const void *from, int64_t bytes) override {
    KILN_TRY(refused());
    add(Kind::ToDevice, to, from, from, bytes);
    return Status();
  }
  Status copyToHost(void *to, const void *from, int64_t bytes) override {
    KILN_TRY(refused());
    if (!isPending(to, bytes))
      std::memset(to, nobodyWroteThis, size_t(bytes)); // for who reads it too early
    add(Kind::ToHost, to, from, to, bytes);
    return Status();
  }
  Status copyOnDevice(void *to, const void *from, int64_t bytes) override {
    KILN_TRY(refused());
    add(Kind::OnDevice, to, from, nullptr, bytes);
    return Status();
  }

  Status wait() override {
    if (operations.empty())
      return Status();
    ++device.counts.waits;
    device.open();
    Status first;
    for (Operation &operation : operations)
      if (Status status = run(operation); first.ok() && !status.ok())
        first = status;
    device.close();
    device.pending -= int64_t(operations.size());
    operations.clear();
    return first;
  }

private:
  enum class Kind { Launch, ToDevice, ToHost, OnDevice };
  struct Operation {
    Kind kind = Kind::Launch;
    void *to = nullptr;
    const void *from = nullptr, *host = nullptr;
    int64_t bytes = 0;
    std::optional<uint64_t> digest; // of the host memory, when the copy was asked for
    KernelLaunch launch;
    std::vector<void *> buffers;
  };

  /// Whether a copy before this one is still to touch the host memory, which is fine: they go in order.
  bool isPending(const void *host, int64_t bytes) const {
    auto begin = reinterpret_cast<uintptr_t>(host);
    return std::any_of(operations.begin(), operations.end(), [&](const Operation &other) {
      auto its = reinterpret_cast<uintptr_t>(other.host);
      return begin < its + uintptr_t(other.bytes) && its < begin + uintptr_t(bytes);
    });
  }

  Status refused() const { return device.refuse ? device.refuse() : Status(); }

  Operation &take() {
    ++device.pending;
    return operations.emplace_back();
  }

  void add(Kind kind, void *to, const void *from, const void *host, int64_t bytes) {
    std::optional<uint64_t> seen;
    if (host && !isPending(host, bytes))
      seen = digest(host, bytes);
    Operation &operation = take();
    operation.kind = kind;
    operation.to = to;
    operation.from = from;
    operation.host = host;
    operation.bytes = bytes;
    operation.digest = seen;
  }

  Status run(Operation &operation) {
    bool touched = operation.digest && digest(operation.host, operation.bytes) != *operation.digest;
    switch (operation.kind) {
    case Kind::Launch: {
      ++device.counts.launches;
      operation.launch.buffers = operation.buffers;
      int32_t status = KILN_KERNEL_OK;
      runWorkgroups(operation.launch, 0, operation.launch.grid, 0, &status);
      return kernelStatus(status).withContext("node \"" + *operation.launch.node + "\": ");
    }
    case Kind::ToDevice:
      if (touched)
        return makeError(ErrorCode::E0905, "host memory was written before the device had read it");
      device.counts.bytesToDevice += operation.bytes;
      break;
    case Kind::ToHost:
      if (touched)
        return makeError(ErrorCode::E0905, "host memory was written before the device wrote it");
      device.counts.bytesToHost += operation.bytes;
      break;
    case Kind::OnDevice: break;
    }
    ++device.counts.copies;
    std::memmove(operation.to, operation.from, size_t(operation.bytes));
    return Status();
  }

  TestDevice &device;
  std::vector<Operation> operations;
};

Status TestDevice::checkRuns(std::string_view target) const { return checkHostRuns(target); }

Result<Device::Memory> TestDevice::allocate(int64_t bytes) {
  Memory memory{nullptr, alignUp(std::max<int64_t>(bytes, 1), page)};
  void *p = ::mmap(nullptr, size_t(memory.bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED)
    return makeError(ErrorCode::E0510, "out of memory: ", bytes, " bytes of the test device");
  std::memset(p, nobodyWroteThis, size_t(memory.bytes));
  memory.data = static_cast<char *>(p);
  std::lock_guard lock(mutex);
  memories[memory.data] = memory.bytes;
  if (running == 0)
    ::mprotect(p, size_t(memory.bytes), PROT_NONE);
  return memory;
}

void TestDevice::free(Memory memory) {
  std::lock_guard lock(mutex);
  memories.erase(memory.data);
  ::munmap(memory.data, size_t(memory.bytes));
}

std::unique_ptr<Queue> TestDevice::makeQueue() { return std::make_unique<LaggingQueue>(*this); }

int64_t TestDevice::bytesHeld() {
  std::lock_guard lock(mutex);
  int64_t bytes = 0;
  for (const auto &[data, size] : memories)
    bytes += size;
  return bytes;
}

void TestDevice::open() {
  std::lock_guard lock(mutex);
  if (running++ == 0)
    protect(PROT_READ | PROT_WRITE);
}

void TestDevice::close() {
  std::lock_guard lock(mutex);
  if (--running == 0)
    protect(PROT_NONE);
}

void TestDevice::protect(int protection) {
  for (const auto &[data, size] : memories)
    ::mprotect(data, size_t(size), protection);
}

} // namespace kiln::test
