#include "runtime/base/Convert.h"

#include <cstring>

namespace kiln {

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
  return dispatch(from.dtype, [&]<typename From>() {
    return dispatch(to.dtype, [&]<typename To>() {
      const auto *in = static_cast<const From *>(from.data);
      auto *out = static_cast<To *>(to.data);
      for (int64_t i = 0; i < count; ++i)
        out[i] = convert<To>(in[i]);
      return Status();
    });
  });
}

} // namespace kiln
