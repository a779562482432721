// The host kernels, and what they share.
#pragma once

#include "runtime/host/HostKernels.h"
#include "runtime/reference/Operands.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

namespace kiln::host {

Status argmax(const ref::OpCall &call);
Status argmin(const ref::OpCall &call);
Status compress(const ref::OpCall &call);
Status concat(const ref::OpCall &call);
Status cumprod(const ref::OpCall &call);
Status cumsum(const ref::OpCall &call);
Status expand(const ref::OpCall &call);
Status gather(const ref::OpCall &call);
Status gatherElements(const ref::OpCall &call);
Status gatherNd(const ref::OpCall &call);
Status gridSample(const ref::OpCall &call);
Status maxPoolIndices(const ref::OpCall &call);
Status nonMaxSuppression(const ref::OpCall &call);
Status nonzero(const ref::OpCall &call);
Status pad(const ref::OpCall &call);
Status reverseSequence(const ref::OpCall &call);
Status roiAlign(const ref::OpCall &call);
Status scatterElements(const ref::OpCall &call);
Status scatterNd(const ref::OpCall &call);
Status slice(const ref::OpCall &call);
Status topk(const ref::OpCall &call);

/// The op's reference kernel.
Status reference(std::string_view op, const ref::OpCall &call);

/// Runs body(begin, end) over [0, n) on at most call.threads threads, in parts of `least` or more.
void parallelFor(const ref::OpCall &call, int64_t n, int64_t least, void (*body)(void *, int64_t, int64_t),
                 void *argument);
template <typename F> void parallelFor(const ref::OpCall &call, int64_t n, int64_t least, F &&body) {
  parallelFor(
      call, n, least,
      [](void *f, int64_t begin, int64_t end) { (*static_cast<std::remove_reference_t<F> *>(f))(begin, end); }, &body);
}

/// Calls f(size) with the bytes of what is copied at a time, as a constant for one element; else f with `bytes` itself.
template <typename F> void withBytes(int64_t bytes, F &&f) {
  switch (bytes) {
  case 1: return f(std::integral_constant<int64_t, 1>());
  case 2: return f(std::integral_constant<int64_t, 2>());
  case 4: return f(std::integral_constant<int64_t, 4>());
  case 8: return f(std::integral_constant<int64_t, 8>());
  default: return f(bytes);
  }
}

/// Calls f with a pointer to the elements of an operand of indices, i64 or i32; any other type: false.
template <typename F> bool withIndices(const TensorView &indices, F &&f) {
  if (indices.dtype == DType::I64)
    f(static_cast<const int64_t *>(indices.data));
  else if (indices.dtype == DType::I32)
    f(static_cast<const int32_t *>(indices.data));
  else
    return false;
  return true;
}

/// A negative index counts from the end; false where it is out of range.
inline bool resolve(int64_t &index, int64_t size) {
  index += index < 0 ? size : 0;
  return static_cast<uint64_t>(index) < static_cast<uint64_t>(size);
}

/// Whether resolve takes all of them.
template <typename I> bool allInRange(const I *at, int64_t n, int64_t size) {
  I low = 0, high = -1;
  for (int64_t i = 0; i < n; ++i) {
    low = std::min(low, at[i]);
    high = std::max(high, at[i]);
  }
  return low >= -size && high < size;
}

inline int64_t product(std::span<const int64_t> dims) {
  int64_t n = 1;
  for (int64_t dim : dims)
    n *= dim;
  return n;
}

} // namespace kiln::host
