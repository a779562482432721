// Memory between two inaccessible pages, for runs that look for mistakes: an access beyond it is a fault, and a write
// into the slack around it shows. Sanitizers do not see generated code.
#pragma once

#include "runtime/base/Status.h"

#include <cstdint>

namespace kiln {

/// Where buffers lie. The end of a page-sized region is only as aligned as an element; its start is 64-byte aligned.
enum class BufferPlacement {
  AtEnd,   ///< the byte after the last element faults, where the size is a multiple of the alignment
  AtStart, ///< the byte before the first element faults
};

class GuardedBuffer {
public:
  GuardedBuffer() = default;
  /// Payload and slack are filled with a pattern that is NaN in every floating-point type, large in wide integers and
  /// true as a bool, so that a result which was computed from memory that nobody wrote shows. E0510 without memory.
  static Result<GuardedBuffer> create(int64_t bytes, BufferPlacement placement, int64_t align);
  ~GuardedBuffer();
  GuardedBuffer(GuardedBuffer &&other) noexcept;
  GuardedBuffer &operator=(GuardedBuffer &&other) noexcept;

  uint8_t *data() const { return data_; }
  int64_t bytes() const { return bytes_; }
  /// From now on writes to the payload are faults too.
  void makeReadOnly();
  /// Whether everything around the payload is untouched.
  bool intact() const;

private:
  uint8_t *map_ = nullptr;
  int64_t mapBytes_ = 0;
  uint8_t *data_ = nullptr;
  int64_t bytes_ = 0;
};

} // namespace kiln
