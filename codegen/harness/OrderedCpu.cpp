#include "codegen/harness/OrderedCpu.h"

#include "runtime/device/Cpu.h"
#include "runtime/device/RunKernel.h"

#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

namespace kiln {
namespace {

class OrderedQueue final : public Queue {
public:
  explicit OrderedQueue(GridOrder order) : order(order), cpu(cpuDevice().makeQueue()) {}

  Status launch(const KernelLaunch &launch) override {
    alignas(64) int32_t status = KILN_KERNEL_OK;
    for (int64_t workgroup : workgroups(launch.grid))
      runWorkgroups(launch, workgroup, workgroup + 1, 0, &status);
    return kernelStatus(status);
  }
  Status copyToDevice(void *to, const void *from, int64_t bytes) override { return cpu->copyToDevice(to, from, bytes); }
  Status copyToHost(void *to, const void *from, int64_t bytes) override { return cpu->copyToHost(to, from, bytes); }
  Status copyOnDevice(void *to, const void *from, int64_t bytes) override { return cpu->copyOnDevice(to, from, bytes); }
  Status wait() override { return cpu->wait(); }

private:
  std::vector<int64_t> workgroups(int64_t grid) const {
    std::vector<int64_t> ids(static_cast<size_t>(grid));
    std::iota(ids.begin(), ids.end(), 0);
    if (order == GridOrder::Reverse)
      std::reverse(ids.begin(), ids.end());
    if (order == GridOrder::Shuffled)
      std::shuffle(ids.begin(), ids.end(), std::mt19937_64(7));
    return ids;
  }

  GridOrder order;
  std::unique_ptr<Queue> cpu;
};

} // namespace

std::string_view OrderedCpu::name() const { return cpuDevice().name(); }
Status OrderedCpu::checkRuns(std::string_view target) const { return cpuDevice().checkRuns(target); }
Result<Device::Memory> OrderedCpu::allocate(int64_t bytes) { return cpuDevice().allocate(bytes); }
void OrderedCpu::free(Memory memory) { cpuDevice().free(memory); }
std::unique_ptr<Queue> OrderedCpu::makeQueue() { return std::make_unique<OrderedQueue>(order); }

} // namespace kiln
