#include "runtime/exec/GrowingMemory.h"

#include "runtime/base/Tensor.h"

#include <sys/mman.h>

namespace kiln {

/// From this size on memory is mapped on its own and asks for huge pages.
static constexpr int64_t hugePage = 2 << 20;

GrowingMemory::~GrowingMemory() { release(); }

void GrowingMemory::release() {
  if (mapped)
    ::munmap(base, size_t(bytes));
  else
    freeAligned(base);
  base = nullptr;
  bytes = 0;
  mapped = false;
}

Status GrowingMemory::reserve(int64_t wanted) {
  if (wanted <= bytes && (base || wanted == 0))
    return Status();
  release();
  if (wanted > (int64_t(1) << 46))
    return makeError(ErrorCode::E0510, "out of memory: ", wanted, " bytes");
  if (wanted >= hugePage) {
    int64_t rounded = alignUp(wanted, hugePage);
    // One huge page more, to begin at a boundary.
    void *p = ::mmap(nullptr, size_t(rounded + hugePage), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
      return makeError(ErrorCode::E0510, "out of memory: ", wanted, " bytes");
    char *start = static_cast<char *>(p);
    char *aligned = reinterpret_cast<char *>(alignUp(int64_t(reinterpret_cast<uintptr_t>(p)), hugePage));
    if (aligned > start)
      ::munmap(start, size_t(aligned - start));
    if (int64_t tail = start + rounded + hugePage - (aligned + rounded); tail > 0)
      ::munmap(aligned + rounded, size_t(tail));
    ::madvise(aligned, size_t(rounded), MADV_HUGEPAGE);
    base = aligned;
    bytes = rounded;
    mapped = true;
    return Status();
  }
  base = static_cast<char *>(allocateAligned(wanted));
  if (!base)
    return makeError(ErrorCode::E0510, "out of memory: ", wanted, " bytes");
  bytes = wanted;
  return Status();
}

} // namespace kiln
