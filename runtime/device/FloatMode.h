// The floating-point mode that generated kernels run in: subnormal operands and results are zero,
// since the processor takes some hundred cycles for each of them. Set around every piece of kernel
// work and restored after it, so that neither reference kernels nor the host program see it.
#pragma once

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace kiln {

class KernelFloatMode {
public:
#if defined(__x86_64__)
  KernelFloatMode() : saved(_mm_getcsr()) { _mm_setcsr(saved | flushToZero | subnormalsAreZero); }
  ~KernelFloatMode() { _mm_setcsr(saved); }
#else
  KernelFloatMode() {}
  ~KernelFloatMode() {}
#endif
  KernelFloatMode(const KernelFloatMode &) = delete;
  KernelFloatMode &operator=(const KernelFloatMode &) = delete;

#if defined(__x86_64__)
private:
  static constexpr unsigned flushToZero = 0x8000, subnormalsAreZero = 0x0040;
  unsigned saved;
#endif
};

} // namespace kiln
