// Kernels as code that this process calls: of the CPU, and of devices that the CPU plays.
#pragma once

#include "runtime/device/Device.h"
#include "runtime/device/FloatMode.h"

namespace kiln {

/// Runs workgroups [begin, end) of a launch, which stores its outcome in `status`.
inline void runWorkgroups(const KernelLaunch &launch, int64_t begin, int64_t end, int worker, int32_t *status) {
  kiln_kernel_args_v1 args = {launch.buffers.data(), launch.sizes,
                              launch.scratch.empty() ? nullptr : launch.scratch[size_t(worker)], launch.workspace,
                              status};
  KernelFloatMode mode;
  for (int64_t i = begin; i < end; ++i)
    launch.kernel(&args, i, launch.grid);
}

/// The error of a status word.
inline Status kernelStatus(int32_t status) {
  if (status == KILN_KERNEL_OK)
    return Status();
  if (status == KILN_KERNEL_INDEX_OUT_OF_RANGE)
    return makeError(ErrorCode::E0513, "an index is out of range");
  return makeError(ErrorCode::E0512, "the kernel reported error ", status);
}

} // namespace kiln
