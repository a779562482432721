// The types that kernels compute in, and how they load and store elements.
#pragma once

#include "runtime/base/Convert.h"
#include "runtime/reference/Reference.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace kiln::ref {

/// Kernels compute in one of four types: f64, f32, i64 and u64. The narrower integers live in the
/// wide ones and wrap when they are stored, which gives the same low bits as arithmetic in their
/// own width. bool is u64.
///
/// Calls f.operator()<C>() with the compute type of a dtype.
template <typename F> Status withCompute(DType dtype, Accumulate accumulate, F &&f) {
  if (isFloat(dtype)) {
    if (accumulate == Accumulate::Wide || dtype == DType::F64)
      return f.template operator()<double>();
    return f.template operator()<float>();
  }
  if (isSignedInt(dtype))
    return f.template operator()<int64_t>();
  return f.template operator()<uint64_t>();
}

/// As withCompute, for floating-point dtypes only.
template <typename F> Status withFloat(std::string_view op, DType dtype, Accumulate accumulate, F &&f) {
  if (!isFloat(dtype))
    return makeError(ErrorCode::E0203, op, " needs a floating-point operand, got ", dtypeName(dtype));
  if (accumulate == Accumulate::Wide || dtype == DType::F64)
    return f.template operator()<double>();
  return f.template operator()<float>();
}

/// Reads n elements, the i-th at data[offset + i * stride], into compute type C.
template <typename C> using Load = void (*)(const void *data, int64_t offset, int64_t stride, int64_t n, C *out);
/// Writes n elements, the i-th to data[offset + i * stride].
template <typename C> using Store = void (*)(const C *in, int64_t n, void *data, int64_t offset, int64_t stride);

/// The functions for a dtype (Element.cpp instantiates them for the four compute types).
template <typename C> Load<C> loadOf(DType dtype);
template <typename C> Store<C> storeOf(DType dtype);

} // namespace kiln::ref
