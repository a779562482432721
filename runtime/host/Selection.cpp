// nonzero and compress: results have as many elements as data says.
#include "runtime/base/Convert.h"
#include "runtime/host/Kernels.h"

#include <algorithm>
#include <vector>

namespace kiln::host {

using ref::OpCall;

namespace {

/// Whether cast to bool it is true.
template <typename T> bool isSet(T value) {
  if constexpr (std::is_arithmetic_v<T>)
    return value != T(0);
  else if constexpr (std::is_same_v<T, Bool>)
    return value.byte != 0;
  else
    return (value.bits & 0x7fff) != 0; // f16, bf16
}

} // namespace

Status nonzero(const OpCall &call) {
  if (call.inputs.size() != 1 || call.outputs.size() != 1)
    return reference("nonzero", call);
  const TensorView &x = call.inputs[0], &out = call.outputs[0];
  const int64_t rank = x.rank(), row = rank ? x.dims[rank - 1] : 1, rows = row ? x.size() / row : 0;
  return dispatch(x.dtype, [&]<typename T>() -> Status {
    const T *data = x.as<T>();
    int64_t count = 0;
    for (int64_t i = 0; i < rows * row; ++i)
      count += isSet(data[i]);
    const int64_t dims[] = {rank, count};
    KILN_TRY(ref::checkOutput("nonzero", call, DType::I64, dims));
    if (count == 0 || rank == 0)
      return {};
    int64_t *to = out.as<int64_t>();
    std::vector<int64_t> position(static_cast<size_t>(rank), 0);
    int64_t at = 0;
    for (int64_t r = 0; r < rows; ++r, data += row) {
      const int64_t first = at;
      int64_t *inner = to + (rank - 1) * count;
      for (int64_t i = 0; i < row && at < count; ++i) { // without a branch: which are set is hard to foresee
        inner[at] = i;
        at += isSet(data[i]);
      }
      for (int64_t axis = 0; axis + 1 < rank; ++axis)
        std::fill(to + axis * count + first, to + axis * count + at, position[static_cast<size_t>(axis)]);
      for (int64_t axis = rank - 1; axis-- > 0 && ++position[static_cast<size_t>(axis)] == x.dims[axis];)
        position[static_cast<size_t>(axis)] = 0;
    }
    return {};
  });
}

Status compress(const OpCall &call) {
  if (call.inputs.size() != 2 || call.outputs.size() != 1)
    return reference("compress", call);
  const TensorView &x = call.inputs[0], &condition = call.inputs[1], &out = call.outputs[0];
  int64_t axis = call.attributes.getInt("axis");
  axis += axis < 0 ? x.rank() : 0;
  if (axis < 0 || axis >= x.rank() || condition.dtype != DType::Bool || condition.rank() != 1 ||
      condition.size() > x.dims[axis])
    return reference("compress", call);
  std::vector<int64_t> chosen;
  for (int64_t i = 0; i < condition.size(); ++i)
    if (condition.as<Bool>()[i].byte)
      chosen.push_back(i);
  ref::Dims dims(x.dims.begin(), x.dims.end());
  dims[axis] = static_cast<int64_t>(chosen.size());
  KILN_TRY(ref::checkOutput("compress", call, x.dtype, dims));
  const int64_t outer = product(x.dims.first(axis)), size = x.dims[axis];
  withBytes(product(x.dims.subspan(axis + 1)) * dtypeBytes(x.dtype), [&](auto width) {
    char *to = out.as<char>();
    for (int64_t o = 0; o < outer; ++o)
      for (int64_t index : chosen) {
        std::memcpy(to, x.as<char>() + (o * size + index) * width, width);
        to += width;
      }
  });
  return {};
}

} // namespace kiln::host
