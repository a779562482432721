#include "runtime/api/Strides.h"

#include "runtime/plan/Program.h"

#include <cstdlib>
#include <cstring>

namespace kiln::api {
namespace {

bool hasElements(const kiln_tensor &t) {
  for (int32_t i = 0; i < t.rank; ++i)
    if (t.dims[i] == 0)
      return false;
  return true;
}

/// Elements from one index of a dim to the next. Along a dim of size 1 that is nowhere.
int64_t strideOf(const kiln_tensor &t, int32_t dim) { return t.dims[dim] == 1 ? 0 : t.strides[dim]; }

int64_t rowLength(const kiln_tensor &t) { return t.rank > 0 ? t.dims[t.rank - 1] : 1; }

/// Calls `visit(strided, dense, step)` for every row of the last dim: the byte offsets of its first element, and how
/// many bytes its elements lie apart.
template <typename Visit> void forEachRow(const kiln_tensor &t, int64_t bytes, Visit visit) {
  if (!hasElements(t))
    return;
  int64_t index[maxRank] = {}, offset = 0, row = 0;
  int64_t rowBytes = bytes * rowLength(t), step = t.rank > 0 ? strideOf(t, t.rank - 1) * bytes : bytes;
  while (true) {
    visit(offset, row, step);
    row += rowBytes;
    int32_t d = t.rank - 2;
    for (; d >= 0; --d) {
      offset += strideOf(t, d) * bytes;
      if (++index[d] < t.dims[d])
        break;
      offset -= strideOf(t, d) * bytes * t.dims[d];
      index[d] = 0;
    }
    if (d < 0)
      return;
  }
}

/// Copies one element after the other, each `bytes` long.
void copyRow(char *to, int64_t toStep, const char *from, int64_t fromStep, int64_t count, int64_t bytes) {
  if (toStep == bytes && fromStep == bytes) {
    std::memcpy(to, from, size_t(count * bytes));
    return;
  }
  for (int64_t i = 0; i < count; ++i)
    std::memcpy(to + i * toStep, from + i * fromStep, size_t(bytes));
}

} // namespace

bool isDense(const kiln_tensor &t) {
  if (!(t.flags & KILN_HAS_STRIDES) || !hasElements(t))
    return true;
  std::optional<int64_t> dense = 1;
  for (int32_t i = t.rank; i-- > 0 && dense; dense = checkedMul(*dense, t.dims[i]))
    if (t.dims[i] != 1 && t.strides[i] != *dense)
      return false;
  return dense.has_value();
}

Status checkStrides(const kiln_tensor &t, const std::string &what) {
  int64_t reach = 1; // elements from the first to the farthest
  for (int32_t i = 0; i < t.rank; ++i) {
    if (t.dims[i] < 0)
      return makeError(ErrorCode::E0704, what, " has no valid dims");
    if (t.dims[i] == 0)
      return Status();
    int64_t stride = strideOf(t, i);
    std::optional<int64_t> along = stride == INT64_MIN ? std::nullopt : checkedMul(std::abs(stride), t.dims[i]);
    std::optional<int64_t> sum = along ? checkedAdd(reach, *along) : std::nullopt;
    if (!sum || *sum > (INT64_MAX >> 8))
      return makeError(ErrorCode::E0704, what, " has strides that no memory can have");
    reach = *sum;
  }
  return Status();
}

void toDense(const kiln_tensor &from, int64_t bytes, void *to) {
  forEachRow(from, bytes, [&](int64_t strided, int64_t dense, int64_t step) {
    copyRow(static_cast<char *>(to) + dense, bytes, static_cast<const char *>(from.data) + strided, step,
            rowLength(from), bytes);
  });
}

void fromDense(const void *from, int64_t bytes, const kiln_tensor &to) {
  forEachRow(to, bytes, [&](int64_t strided, int64_t dense, int64_t step) {
    copyRow(static_cast<char *>(to.data) + strided, step, static_cast<const char *>(from) + dense, bytes, rowLength(to),
            bytes);
  });
}

} // namespace kiln::api
