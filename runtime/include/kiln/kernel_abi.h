/* The calling convention of compiled kernels, version 1. Treat this file as a file format: artifacts hold code that was
 * compiled against it, so a published structure never changes; another layout is another version.
 *
 * A kernel is one position-independent block of code and read-only data with no external symbol: it calls nothing, owns
 * no writable data and allocates nothing. All it may touch is what the argument block points to.
 *
 * The runtime calls an entry point once for each workgroup of a launch, in any order and on any thread of the pool; the
 * workgroups of one launch must not depend on each other. The grid never depends on the number of threads, so results
 * do not either. Launches are complete before the next one begins. */
#ifndef KILN_KERNEL_ABI_H
#define KILN_KERNEL_ABI_H

#include <stdint.h>

#define KILN_KERNEL_ABI_VERSION 1

/* What a kernel may store to *status. Zero means that all went well; only the first error of a launch is kept. */
enum {
  KILN_KERNEL_OK = 0,
  KILN_KERNEL_INDEX_OUT_OF_RANGE = 1, /* reported as E0513 */
  KILN_KERNEL_FAILED = 2              /* any other value: reported as E0512 with its number */
};

/* Arguments of a launch, the same for all of its workgroups but for `scratch`.
 *
 * Tensors are dense and row-major, so their strides follow from `sizes`. Buffers in the arena and packed constants are
 * 64-byte aligned; other constants, inputs and outputs may be aligned to their element size only. Constants and inputs
 * are read-only. A kernel reads and writes nothing outside the tensors, not even within a last vector. */
typedef struct kiln_kernel_args_v1 {
  void *const *buffers; /* one per buffer of the launch, in its order */
  const int64_t *sizes; /* values of the launch's sizes, in its order */
  void *scratch;        /* per thread, 64-byte aligned, contents undefined; null when the launch asks for none */
  void *workspace;      /* shared by the launches of one kernel call, 64-byte aligned; null when it has none */
  int32_t *status;      /* see above; shared by all workgroups: store, never read */
} kiln_kernel_args_v1;

/* `workgroup` is in [0, grid). */
typedef void (*kiln_kernel_fn_v1)(const kiln_kernel_args_v1 *args, int64_t workgroup, int64_t grid);

#ifdef __cplusplus
static_assert(sizeof(kiln_kernel_args_v1) == 40, "the layout is frozen");
#endif

#endif
