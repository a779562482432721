// Memory of a device that is kept for as long as it is enough.
#pragma once

#include "runtime/device/Device.h"

#include <cstdint>

namespace kiln {

/// 64-byte aligned memory of a device that grows; contents are lost when it grows.
class GrowingMemory {
public:
  explicit GrowingMemory(Device &device) : device(device) {}
  ~GrowingMemory();
  GrowingMemory(const GrowingMemory &) = delete;
  GrowingMemory &operator=(const GrowingMemory &) = delete;
  Status reserve(int64_t bytes);
  void release();
  char *data() const { return memory.data; }
  int64_t size() const { return memory.bytes; }

private:
  Device &device;
  Device::Memory memory;
};

} // namespace kiln
