// GuardedBuffer: memory between two inaccessible pages, the slack around the payload filled with a canary.
#pragma once

#include "codegen/harness/KernelHarness.h"

#include <cstdint>

namespace kiln {

class GuardedBuffer {
public:
  GuardedBuffer() = default;
  GuardedBuffer(int64_t bytes, BufferPlacement placement, int64_t align);
  ~GuardedBuffer();
  GuardedBuffer(GuardedBuffer &&other) noexcept;
  GuardedBuffer &operator=(GuardedBuffer &&other) noexcept;

  uint8_t *data() const { return data_; }
  /// Whether everything around the payload is untouched.
  bool intact() const;

private:
  uint8_t *map_ = nullptr;
  int64_t mapBytes_ = 0;
  uint8_t *data_ = nullptr;
  int64_t bytes_ = 0;
};

} // namespace kiln
