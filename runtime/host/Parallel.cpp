#include "runtime/device/ThreadPool.h"
#include "runtime/host/Kernels.h"

#include <algorithm>

namespace kiln::host {

void parallelFor(const ref::OpCall &call, int64_t n, int64_t least, void (*body)(void *, int64_t, int64_t),
                 void *argument) {
  const int threads = static_cast<int>(std::min<int64_t>(call.threads, n / std::max<int64_t>(least, 1)));
  if (threads <= 1)
    return body(argument, 0, n);
  // A few parts for each thread, so that one that starts late takes fewer.
  const int64_t parts = std::min<int64_t>(n, int64_t{4} * threads);
  ThreadPool::process().parallelFor(
      parts, threads, [&](int64_t begin, int64_t end, int) { body(argument, n * begin / parts, n * end / parts); });
}

} // namespace kiln::host
