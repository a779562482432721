// Element types as C++ types, the one conversion between them, and dispatch from a DType to a template.
#pragma once

#include "runtime/base/DType.h"
#include "runtime/base/Float16.h"
#include "runtime/base/Tensor.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace kiln {

struct F16 {
  uint16_t bits;
};
struct BF16 {
  uint16_t bits;
};
struct Bool {
  uint8_t byte; // any value but 0 reads as true; 1 is written
};

/// Converts one element, as op `cast` does: to floating point rounding to nearest even; floating
/// point to integer truncating towards zero and saturating, NaN giving 0; integer to integer
/// keeping the low bits; anything to bool testing for "not zero".
template <typename To, typename From> inline To convert(From v) {
  if constexpr (std::is_same_v<To, From>)
    return v;
  else if constexpr (std::is_same_v<From, F16>)
    return convert<To>(f16ToFloat(v.bits));
  else if constexpr (std::is_same_v<From, BF16>)
    return convert<To>(bf16ToFloat(v.bits));
  else if constexpr (std::is_same_v<From, Bool>)
    return convert<To>(static_cast<uint8_t>(v.byte != 0));
  else if constexpr (std::is_same_v<To, Bool>)
    return Bool{static_cast<uint8_t>(v != From(0))};
  else if constexpr (std::is_same_v<To, F16>)
    return F16{std::is_same_v<From, float> ? floatToF16(static_cast<float>(v)) : doubleToF16(static_cast<double>(v))};
  else if constexpr (std::is_same_v<To, BF16>)
    return BF16{std::is_same_v<From, float> ? floatToBf16(static_cast<float>(v))
                                            : doubleToBf16(static_cast<double>(v))};
  else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    // The bounds are powers of two (or zero), so they are exact in every floating-point type.
    constexpr From low = static_cast<From>(std::numeric_limits<To>::min());
    const From high = std::ldexp(From(1), std::numeric_limits<To>::digits);
    if (std::isnan(v))
      return 0;
    if (v <= low)
      return std::numeric_limits<To>::min();
    if (v >= high)
      return std::numeric_limits<To>::max();
    return static_cast<To>(v);
  } else
    return static_cast<To>(v);
}

/// Calls f.operator()<T>() with the storage type of a dtype.
template <typename F> Status dispatch(DType dtype, F &&f) {
  switch (dtype) {
  case DType::F32: return f.template operator()<float>();
  case DType::F64: return f.template operator()<double>();
  case DType::F16: return f.template operator()<F16>();
  case DType::BF16: return f.template operator()<BF16>();
  case DType::I8: return f.template operator()<int8_t>();
  case DType::I16: return f.template operator()<int16_t>();
  case DType::I32: return f.template operator()<int32_t>();
  case DType::I64: return f.template operator()<int64_t>();
  case DType::U8: return f.template operator()<uint8_t>();
  case DType::U16: return f.template operator()<uint16_t>();
  case DType::U32: return f.template operator()<uint32_t>();
  case DType::U64: return f.template operator()<uint64_t>();
  case DType::Bool: return f.template operator()<Bool>();
  }
  return makeError(ErrorCode::E0203, "element type is not known");
}

/// Converts all elements. E0304 unless there are as many of them on both sides.
Status convertElements(const TensorView &from, const TensorView &to);

} // namespace kiln
