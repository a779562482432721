// buffers: a, b, out; sizes: n. Workgroups take contiguous shares.
#include "kiln/kernel_abi.h"

void kernel(const kiln_kernel_args_v1 *args, int64_t workgroup, int64_t grid) {
  const float *a = args->buffers[0], *b = args->buffers[1];
  float *out = args->buffers[2];
  int64_t n = args->sizes[0], share = (n + grid - 1) / grid;
  int64_t end = (workgroup + 1) * share < n ? (workgroup + 1) * share : n;
  for (int64_t i = workgroup * share; i < end; ++i)
    out[i] = a[i] + b[i];
}
