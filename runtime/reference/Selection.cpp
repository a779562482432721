// Ops whose results have as many elements as data says: nonzero and compress.
#include "runtime/reference/Element.h"
#include "runtime/reference/Indices.h"
#include "runtime/reference/Kernels.h"
#include "runtime/reference/Strided.h"

#include <algorithm>

namespace kiln::ref {

Status op_nonzero(const OpCall &call) {
  KILN_TRY(checkCounts("nonzero", call, 1, 1));
  const TensorView &x = call.inputs[0], &out = call.outputs[0];
  std::vector<Bool> bits(x.size());
  KILN_TRY(dispatch(x.dtype, [&]<typename T>() -> Status {
    for (int64_t i = 0; i < x.size(); ++i)
      bits[i] = convert<Bool>(x.as<T>()[i]);
    return {};
  }));
  const int64_t count = std::ranges::count_if(bits, [](Bool b) { return b.byte != 0; });
  const int64_t dims[] = {x.rank(), count};
  KILN_TRY(checkOutput("nonzero", call, DType::I64, dims));
  Dims position(static_cast<size_t>(x.rank()), 0);
  int64_t at = 0;
  for (int64_t i = 0; i < x.size(); ++i) {
    if (bits[i].byte) {
      for (int64_t axis = 0; axis < x.rank(); ++axis)
        out.as<int64_t>()[axis * count + at] = position[axis];
      ++at;
    }
    for (int64_t axis = x.rank(); axis-- > 0 && ++position[axis] == x.dims[axis];)
      position[axis] = 0;
  }
  return {};
}

Status op_compress(const OpCall &call) {
  KILN_TRY(checkCounts("compress", call, 2, 2));
  const TensorView &x = call.inputs[0], &condition = call.inputs[1], &out = call.outputs[0];
  KILN_TRY(checkType("compress", "the condition", condition, DType::Bool));
  KILN_TRY(checkRank("compress", "the condition", condition, 1));
  KILN_ASSIGN(const int64_t axis, normalizeAxis("compress", call.attributes.getInt("axis", 0), x.rank()));
  if (condition.size() > x.dims[axis])
    return makeError(ErrorCode::E0304, "compress: the condition has ", condition.size(), " entries for axis ", axis,
                     " of size ", x.dims[axis]);
  Dims chosen;
  for (int64_t i = 0; i < condition.size(); ++i)
    if (condition.as<Bool>()[i].byte)
      chosen.push_back(i);
  Dims dims(x.dims.begin(), x.dims.end());
  dims[axis] = static_cast<int64_t>(chosen.size());
  KILN_TRY(checkOutput("compress", call, x.dtype, dims));
  const Dims from = denseStrides(x.dims), to = denseStrides(dims);
  Dims slice = dims;
  slice[axis] = 1;
  for (size_t i = 0; i < chosen.size(); ++i)
    copyStrided(x.dtype, slice, x, chosen[i] * from[axis], from, out, static_cast<int64_t>(i) * to[axis], to);
  return {};
}

} // namespace kiln::ref
