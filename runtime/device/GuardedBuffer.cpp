#include "runtime/device/GuardedBuffer.h"

#include "runtime/base/Tensor.h"

#include <sys/mman.h>

#include <algorithm>
#include <utility>

namespace kiln {

static constexpr int64_t page = 4096;

/// The pattern: 0x7fff in every 16-bit unit.
static uint8_t patternAt(const uint8_t *p) { return reinterpret_cast<uintptr_t>(p) % 2 ? 0x7f : 0xff; }

Result<GuardedBuffer> GuardedBuffer::create(int64_t bytes, BufferPlacement placement, int64_t align) {
  GuardedBuffer buffer;
  if (bytes > (int64_t(1) << 46))
    return makeError(ErrorCode::E0510, "out of memory: ", bytes, " bytes");
  int64_t inner = alignUp(std::max<int64_t>(bytes, 1), page);
  void *map = ::mmap(nullptr, size_t(inner + 2 * page), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (map == MAP_FAILED)
    return makeError(ErrorCode::E0510, "out of memory: ", bytes, " bytes between guard pages");
  buffer.map_ = static_cast<uint8_t *>(map);
  buffer.mapBytes_ = inner + 2 * page;
  buffer.bytes_ = bytes;
  if (::mprotect(buffer.map_ + page, size_t(inner), PROT_READ | PROT_WRITE) != 0)
    return makeError(ErrorCode::E0510, "out of memory: ", bytes, " bytes between guard pages");
  std::fill_n(reinterpret_cast<uint16_t *>(buffer.map_ + page), inner / 2, uint16_t(0x7fff));
  buffer.data_ = buffer.map_ + page;
  if (placement == BufferPlacement::AtEnd)
    buffer.data_ += (inner - bytes) / align * align;
  return buffer;
}

GuardedBuffer::~GuardedBuffer() {
  if (map_)
    ::munmap(map_, size_t(mapBytes_));
}

GuardedBuffer::GuardedBuffer(GuardedBuffer &&other) noexcept
    : map_(std::exchange(other.map_, nullptr)), mapBytes_(other.mapBytes_), data_(other.data_), bytes_(other.bytes_) {}

GuardedBuffer &GuardedBuffer::operator=(GuardedBuffer &&other) noexcept {
  std::swap(map_, other.map_);
  std::swap(mapBytes_, other.mapBytes_);
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

void GuardedBuffer::makeReadOnly() { ::mprotect(map_ + page, size_t(mapBytes_ - 2 * page), PROT_READ); }

bool GuardedBuffer::intact() const {
  if (!map_)
    return true;
  for (const uint8_t *p = map_ + page; p < data_; ++p)
    if (*p != patternAt(p))
      return false;
  for (const uint8_t *p = data_ + bytes_; p < map_ + mapBytes_ - page; ++p)
    if (*p != patternAt(p))
      return false;
  return true;
}

} // namespace kiln
