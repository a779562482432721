// The arena of a context in one memory: a stack of frames, one for each function under way, in segments that never move
// during a run.
#pragma once

#include "runtime/exec/GrowingMemory.h"

#include <cstddef>
#include <memory>
#include <vector>

namespace kiln {

class FrameStack {
public:
  explicit FrameStack(Device &device) : device(device) {}

  /// A place in the stack: what lies below it is in use.
  struct Place {
    size_t segment = 0;
    int64_t offset = 0;
    bool occupied = false; ///< a frame begins in this segment, which therefore stays where it is
  };
  struct Frame {
    char *data = nullptr;
    Place begin, end;
  };

  /// Empties the stack; memory that is scattered over segments becomes one.
  Status reset();
  /// A frame above `place`, 64-byte aligned. Frames above it are gone.
  Result<Frame> push(Place place, int64_t bytes);
  /// Bytes held.
  int64_t size() const;

private:
  Device &device;
  std::vector<std::unique_ptr<GrowingMemory>> segments;
};

} // namespace kiln
