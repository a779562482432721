#include "runtime/exec/FrameStack.h"

#include "runtime/base/Tensor.h"

#include <algorithm>

namespace kiln {

Status FrameStack::reset() {
  if (segments.size() < 2)
    return Status();
  int64_t total = size();
  segments.resize(1);
  segments[0]->release();
  return segments[0]->reserve(total);
}

Result<FrameStack::Frame> FrameStack::push(Place place, int64_t bytes) {
  if (bytes > INT64_MAX - bufferAlignment)
    return makeError(ErrorCode::E0510, "out of memory: ", bytes, " bytes");
  bytes = alignUp(std::max<int64_t>(bytes, 1), bufferAlignment);
  if (place.segment >= segments.size() || bytes > segments[place.segment]->size() - place.offset) {
    if (place.occupied)
      place = {place.segment + 1, 0, false};
    segments.resize(std::max(segments.size(), place.segment + 1));
    if (!segments[place.segment])
      segments[place.segment] = std::make_unique<GrowingMemory>(device);
    KILN_TRY(segments[place.segment]->reserve(bytes));
  }
  return Frame{segments[place.segment]->data() + place.offset,
               {place.segment, place.offset, true},
               {place.segment, place.offset + bytes, true}};
}

int64_t FrameStack::size() const {
  int64_t bytes = 0;
  for (const auto &segment : segments)
    bytes += segment->size();
  return bytes;
}

} // namespace kiln
