// Memory of a context that is kept from run to run.
#pragma once

#include "runtime/base/Status.h"

#include <cstdint>

namespace kiln {

/// 64-byte aligned memory that grows, on huge pages where it is large; contents are lost when it
/// grows.
class GrowingMemory {
public:
  GrowingMemory() = default;
  ~GrowingMemory();
  GrowingMemory(const GrowingMemory &) = delete;
  GrowingMemory &operator=(const GrowingMemory &) = delete;
  Status reserve(int64_t bytes);
  void release();
  char *data() const { return base; }
  int64_t size() const { return bytes; }

private:
  char *base = nullptr;
  int64_t bytes = 0;
  bool mapped = false;
};

} // namespace kiln
