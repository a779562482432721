#include "codegen/harness/GuardedBuffer.h"

#include <sys/mman.h>

#include <cstring>
#include <utility>

namespace kiln {

static constexpr int64_t page = 4096;
static constexpr uint8_t canary = 0xa5;

GuardedBuffer::GuardedBuffer(int64_t bytes, BufferPlacement placement, int64_t align) : bytes_(bytes) {
  int64_t inner = alignUp(std::max<int64_t>(bytes, 1), page);
  mapBytes_ = inner + 2 * page;
  void *map = mmap(nullptr, size_t(mapBytes_), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (map == MAP_FAILED)
    std::abort(); // a test machine without memory: nothing to report it to
  map_ = static_cast<uint8_t *>(map);
  mprotect(map_ + page, size_t(inner), PROT_READ | PROT_WRITE);
  std::memset(map_ + page, canary, size_t(inner));
  data_ = map_ + page;
  if (placement == BufferPlacement::AtEnd)
    data_ += (inner - bytes) / align * align;
}

GuardedBuffer::~GuardedBuffer() {
  if (map_)
    munmap(map_, size_t(mapBytes_));
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

bool GuardedBuffer::intact() const {
  for (const uint8_t *p = map_ + page; p < data_; ++p)
    if (*p != canary)
      return false;
  for (const uint8_t *p = data_ + bytes_; p < map_ + mapBytes_ - page; ++p)
    if (*p != canary)
      return false;
  return true;
}

} // namespace kiln
