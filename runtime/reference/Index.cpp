// Ops that read at indices given as data.
#include "runtime/reference/Element.h"
#include "runtime/reference/Indices.h"
#include "runtime/reference/Kernels.h"
#include "runtime/reference/Strided.h"

#include <cstring>

namespace kiln::ref {
Status op_gather(const OpCall &call) {
  KILN_TRY(checkCounts("gather", call, 2, 2));
  const TensorView &x = call.inputs[0], &indices = call.inputs[1], &out = call.outputs[0];
  KILN_ASSIGN(const int64_t axis, normalizeAxis("gather", call.attributes.getInt("axis"), x.rank()));
  Dims dims(x.dims.begin(), x.dims.begin() + axis);
  dims.insert(dims.end(), indices.dims.begin(), indices.dims.end());
  dims.insert(dims.end(), x.dims.begin() + axis + 1, x.dims.end());
  KILN_TRY(checkOutput("gather", call, x.dtype, dims));
  KILN_ASSIGN(Dims at, readIndices("gather", indices));
  for (int64_t &index : at)
    KILN_TRY(resolveIndex("gather", index, axis, x.dims[axis]));
  const int64_t outer = productOf(x.dims.first(axis));
  const int64_t bytes = productOf(x.dims.subspan(axis + 1)) * dtypeBytes(x.dtype);
  if (bytes == 0)
    return {};
  char *to = out.as<char>();
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t index : at) {
      std::memcpy(to, x.as<char>() + (o * x.dims[axis] + index) * bytes, bytes);
      to += bytes;
    }
  return {};
}

Status op_gather_elements(const OpCall &call) {
  KILN_TRY(checkCounts("gather_elements", call, 2, 2));
  const TensorView &x = call.inputs[0], &indices = call.inputs[1], &out = call.outputs[0];
  KILN_ASSIGN(const int64_t axis, normalizeAxis("gather_elements", call.attributes.getInt("axis"), x.rank()));
  KILN_TRY(checkRank("gather_elements", "the indices", indices, x.rank()));
  for (int64_t i = 0; i < x.rank(); ++i)
    if (i != axis && indices.dims[i] > x.dims[i])
      return makeError(ErrorCode::E0304, "gather_elements: indices ", printDims(indices.dims), " exceed dims ",
                       printDims(x.dims));
  KILN_TRY(checkOutput("gather_elements", call, x.dtype, indices.dims));
  KILN_ASSIGN(Dims at, readIndices("gather_elements", indices));
  for (int64_t &index : at)
    KILN_TRY(resolveIndex("gather_elements", index, axis, x.dims[axis]));
  // Walk over the indices; beside it the operand's offset without its part along the axis.
  const Dims dense = denseStrides(x.dims);
  Dims strides = dense;
  strides[axis] = 0;
  const Walk<2> walk(indices.dims, {denseStrides(indices.dims), strides});
  return dispatch(x.dtype, [&]<typename T>() {
    walk.rows([&](const std::array<int64_t, 2> &offsets, int64_t n) {
      const auto [indexStep, step] = walk.inner();
      for (int64_t i = 0; i < n; ++i) {
        const int64_t k = offsets[0] + i * indexStep;
        out.as<T>()[k] = x.as<T>()[offsets[1] + i * step + at[k] * dense[axis]];
      }
    });
    return Status();
  });
}

Status op_gather_nd(const OpCall &call) {
  KILN_TRY(checkCounts("gather_nd", call, 2, 2));
  const TensorView &x = call.inputs[0], &indices = call.inputs[1], &out = call.outputs[0];
  const int64_t batchDims = call.attributes.getInt("batch_dims");
  if (indices.rank() < 1 || batchDims < 0 || batchDims >= indices.rank() || batchDims > x.rank())
    return makeError(ErrorCode::E0411, "gather_nd: batch_dims ", batchDims, " is out of range for dims ",
                     printDims(x.dims), " and ", printDims(indices.dims));
  const int64_t length = indices.dims.back(); // of one index tuple
  if (length < 1 || batchDims + length > x.rank())
    return makeError(ErrorCode::E0304, "gather_nd: index tuples of ", length, " do not fit ", printDims(x.dims));
  if (!std::ranges::equal(x.dims.first(batchDims), indices.dims.first(batchDims)))
    return makeError(ErrorCode::E0304, "gather_nd: the batch axes of ", printDims(x.dims), " and ",
                     printDims(indices.dims), " differ");
  Dims dims(indices.dims.begin(), indices.dims.end() - 1);
  const auto rest = x.dims.subspan(batchDims + length);
  dims.insert(dims.end(), rest.begin(), rest.end());
  KILN_TRY(checkOutput("gather_nd", call, x.dtype, dims));
  KILN_ASSIGN(Dims at, readIndices("gather_nd", indices));
  const int64_t bytes = productOf(rest) * dtypeBytes(x.dtype);
  const int64_t batches = productOf(x.dims.first(batchDims));
  const int64_t tuples = productOf(indices.dims.first(indices.rank() - 1));
  const int64_t perBatch = batches ? tuples / batches : 0;
  char *to = out.as<char>();
  for (int64_t t = 0; t < tuples; ++t) {
    int64_t offset = t / perBatch;
    for (int64_t k = 0; k < length; ++k) {
      int64_t &index = at[t * length + k];
      const int64_t size = x.dims[batchDims + k];
      KILN_TRY(resolveIndex("gather_nd", index, batchDims + k, size));
      offset = offset * size + index;
    }
    if (bytes)
      std::memcpy(to, x.as<char>() + offset * bytes, bytes);
    to += bytes;
  }
  return {};
}

} // namespace kiln::ref
