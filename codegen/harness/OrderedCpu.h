// The CPU as a device that runs the workgroups of a launch on one thread in an order of our choice: no kernel may rely
// on any.
#pragma once

#include "runtime/device/Device.h"

namespace kiln {

enum class GridOrder { Forward, Reverse, Shuffled };

class OrderedCpu final : public Device {
public:
  explicit OrderedCpu(GridOrder order) : order(order) {}

  std::string_view name() const override;
  bool isHost() const override { return true; }
  Status checkRuns(std::string_view target) const override;
  Result<Memory> allocate(int64_t bytes) override;
  void free(Memory memory) override;
  int workers(int) const override { return 1; }
  std::unique_ptr<Queue> makeQueue() override;

private:
  GridOrder order;
};

} // namespace kiln
