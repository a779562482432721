#include "runtime/base/Float16.h"
#include "runtime/base/Recipe.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

namespace kiln {
namespace {

// One struct per element type: how it is stored, and the arithmetic type it converts through.
struct Half {
  using Stored = uint16_t;
  static float load(Stored v) { return f16ToFloat(v); }
  static Stored store(double v) { return doubleToF16(v); }
};
struct Brain {
  using Stored = uint16_t;
  static float load(Stored v) { return bf16ToFloat(v); }
  static Stored store(double v) { return doubleToBf16(v); }
};
struct Boolean {
  using Stored = uint8_t;
  static uint8_t load(Stored v) { return v != 0; }
  template <typename V> static Stored store(V v) { return v != V(0); }
};
template <typename T> struct Plain {
  using Stored = T;
  static T load(T v) { return v; }
  template <typename V> static T store(V v) {
    if constexpr (std::is_floating_point_v<T>) {
      return static_cast<T>(v);
    } else if constexpr (std::is_floating_point_v<V>) {
      if (std::isnan(v))
        return 0;
      // Both bounds are powers of two (or zero), so they are exact in V.
      const V lowest = static_cast<V>(std::numeric_limits<T>::min());
      const V past = std::ldexp(V(1), std::numeric_limits<T>::digits);
      if (v < lowest)
        return std::numeric_limits<T>::min();
      if (v >= past)
        return std::numeric_limits<T>::max();
      return static_cast<T>(v);
    } else {
      if (std::cmp_less(v, std::numeric_limits<T>::min()))
        return std::numeric_limits<T>::min();
      if (std::cmp_greater(v, std::numeric_limits<T>::max()))
        return std::numeric_limits<T>::max();
      return static_cast<T>(v);
    }
  }
};

template <typename F> Status withType(DType dtype, F f) {
  switch (dtype) {
  case DType::F32: return f(Plain<float>());
  case DType::F64: return f(Plain<double>());
  case DType::F16: return f(Half());
  case DType::BF16: return f(Brain());
  case DType::I8: return f(Plain<int8_t>());
  case DType::I16: return f(Plain<int16_t>());
  case DType::I32: return f(Plain<int32_t>());
  case DType::I64: return f(Plain<int64_t>());
  case DType::U8: return f(Plain<uint8_t>());
  case DType::U16: return f(Plain<uint16_t>());
  case DType::U32: return f(Plain<uint32_t>());
  case DType::U64: return f(Plain<uint64_t>());
  case DType::Bool: return f(Boolean());
  }
  return makeError(ErrorCode::E0203, "unknown element type");
}

} // namespace

Status convertElements(const TensorView &from, const TensorView &to) {
  int64_t count = from.size();
  if (count != to.size())
    return makeError(ErrorCode::E0304, "conversion of ", printTensorType(from.dtype, from.dims), " into ",
                     printTensorType(to.dtype, to.dims));
  if (count == 0)
    return Status();
  if (from.dtype == to.dtype && from.dtype != DType::Bool) {
    std::memmove(to.data, from.data, size_t(from.bytes()));
    return Status();
  }
  return withType(from.dtype, [&](auto source) {
    return withType(to.dtype, [&](auto target) {
      using Source = decltype(source);
      using Target = decltype(target);
      auto *in = static_cast<const typename Source::Stored *>(from.data);
      auto *out = static_cast<typename Target::Stored *>(to.data);
      for (int64_t i = 0; i < count; ++i)
        out[i] = Target::store(Source::load(in[i]));
      return Status();
    });
  });
}

} // namespace kiln
