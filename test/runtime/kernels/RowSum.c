// buffers: x[rows, n], out[rows]; sizes: n; one workgroup per row; goes through scratch and leaves
// a mark in the workspace.
#include "kiln/kernel_abi.h"

void kernel(const kiln_kernel_args_v1 *args, int64_t workgroup, int64_t grid) {
  int64_t n = args->sizes[0];
  const float *x = (const float *)args->buffers[0] + workgroup * n;
  double *partial = args->scratch;
  for (int64_t i = 0; i < 8; ++i)
    partial[i] = 0;
  for (int64_t i = 0; i < n; ++i)
    partial[i & 7] += x[i];
  for (int64_t i = 1; i < 8; ++i)
    partial[0] += partial[i];
  ((float *)args->buffers[1])[workgroup] = (float)partial[0];
  ((int32_t *)args->workspace)[workgroup] = (int32_t)grid;
}
