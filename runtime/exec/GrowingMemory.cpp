#include "runtime/exec/GrowingMemory.h"

#include <utility>

namespace kiln {

GrowingMemory::~GrowingMemory() { release(); }

void GrowingMemory::release() {
  if (Device::Memory old = std::exchange(memory, {}); old.data)
    device.free(old);
}

Status GrowingMemory::reserve(int64_t wanted) {
  if (wanted <= memory.bytes && (memory.data || wanted == 0))
    return Status();
  release();
  KILN_ASSIGN(memory, device.allocate(wanted));
  return Status();
}

} // namespace kiln
