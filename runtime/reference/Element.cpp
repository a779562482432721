#include "runtime/reference/Element.h"

namespace kiln::ref {
namespace {

template <typename C, typename T> void load(const void *data, int64_t offset, int64_t stride, int64_t n, C *out) {
  const T *in = static_cast<const T *>(data) + offset;
  if (stride == 0) {
    if (n > 0)
      std::fill_n(out, n, convert<C>(in[0]));
  } else if (stride == 1) {
    for (int64_t i = 0; i < n; ++i)
      out[i] = convert<C>(in[i]);
  } else {
    for (int64_t i = 0; i < n; ++i)
      out[i] = convert<C>(in[i * stride]);
  }
}

template <typename C, typename T> void store(const C *in, int64_t n, void *data, int64_t offset, int64_t stride) {
  T *out = static_cast<T *>(data) + offset;
  if (stride == 1) {
    for (int64_t i = 0; i < n; ++i)
      out[i] = convert<T>(in[i]);
  } else {
    for (int64_t i = 0; i < n; ++i)
      out[i * stride] = convert<T>(in[i]);
  }
}

} // namespace

template <typename C> Load<C> loadOf(DType dtype) {
  Load<C> result = nullptr;
  (void)dispatch(dtype, [&]<typename T>() {
    result = load<C, T>;
    return Status();
  });
  return result;
}

template <typename C> Store<C> storeOf(DType dtype) {
  Store<C> result = nullptr;
  (void)dispatch(dtype, [&]<typename T>() {
    result = store<C, T>;
    return Status();
  });
  return result;
}

#define KILN_INSTANTIATE(C)          \
  template Load<C> loadOf<C>(DType); \
  template Store<C> storeOf<C>(DType);
KILN_INSTANTIATE(float)
KILN_INSTANTIATE(double)
KILN_INSTANTIATE(int64_t)
KILN_INSTANTIATE(uint64_t)
#undef KILN_INSTANTIATE

} // namespace kiln::ref
