#include "runtime/reference/Indices.h"

#include "runtime/reference/Element.h"

namespace kiln::ref {

Result<Dims> readIndices(std::string_view op, const TensorView &view) {
  if (view.dtype != DType::I64 && view.dtype != DType::I32)
    return makeError(ErrorCode::E0305, op, ": the indices are ", dtypeName(view.dtype), ", expected i64 or i32");
  Dims values(view.size());
  loadOf<int64_t>(view.dtype)(view.data, 0, 1, view.size(), values.data());
  return values;
}

Status resolveIndex(std::string_view op, int64_t &index, int64_t axis, int64_t size) {
  if (index < -size || index >= size)
    return makeError(ErrorCode::E0513, op, ": index ", index, " is out of range for axis ", axis, " of size ", size);
  if (index < 0)
    index += size;
  return {};
}

int64_t productOf(std::span<const int64_t> dims) {
  int64_t result = 1;
  for (int64_t d : dims)
    result *= d;
  return result;
}

} // namespace kiln::ref
