// gather, gather_elements and gather_nd: elements or rows at positions that are data.
#include "runtime/host/Kernels.h"
#include "runtime/reference/Strided.h"

#include <algorithm>
#include <atomic>

namespace kiln::host {

using ref::OpCall;

static constexpr int64_t worthAThread = 32768; // bytes that a thread copies at least

Status gather(const OpCall &call) {
  if (call.inputs.size() != 2 || call.outputs.size() != 1)
    return reference("gather", call);
  const TensorView &x = call.inputs[0], &indices = call.inputs[1], &out = call.outputs[0];
  int64_t axis = call.attributes.getInt("axis");
  axis += axis < 0 ? x.rank() : 0;
  if (axis < 0 || axis >= x.rank())
    return reference("gather", call);
  ref::Dims dims(x.dims.begin(), x.dims.begin() + axis);
  dims.insert(dims.end(), indices.dims.begin(), indices.dims.end());
  dims.insert(dims.end(), x.dims.begin() + axis + 1, x.dims.end());
  KILN_TRY(ref::checkOutput("gather", call, x.dtype, dims));
  const int64_t outer = product(x.dims.first(axis)), size = x.dims[axis], count = indices.size();
  const int64_t bytes = product(x.dims.subspan(axis + 1)) * dtypeBytes(x.dtype);
  std::atomic<bool> inRange = true;
  const auto rows = [&](const auto *at) {
    const char *from = x.as<char>();
    char *to = out.as<char>();
    withBytes(bytes, [&](auto width) {
      parallelFor(call, outer * count, worthAThread / std::max<int64_t>(bytes, 1) + 1, [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end;) {
          const int64_t o = row / count;
          const char *slice = from + o * size * width;
          for (int64_t k = row - o * count; k < count && row < end; ++k, ++row) {
            int64_t index = at[k];
            if (!resolve(index, size)) {
              inRange = false;
              return;
            }
            std::memcpy(to + row * width, slice + index * width, width);
          }
        }
      });
    });
  };
  if (!withIndices(indices, rows) || !inRange)
    return reference("gather", call);
  return {};
}

Status gatherElements(const OpCall &call) {
  if (call.inputs.size() != 2 || call.outputs.size() != 1 || call.inputs[0].rank() != call.inputs[1].rank())
    return reference("gather_elements", call);
  const TensorView &x = call.inputs[0], &indices = call.inputs[1], &out = call.outputs[0];
  int64_t axis = call.attributes.getInt("axis");
  axis += axis < 0 ? x.rank() : 0;
  bool fits = axis >= 0 && axis < x.rank();
  for (int64_t i = 0; i < x.rank(); ++i)
    fits &= i == axis || indices.dims[i] <= x.dims[i];
  if (!fits || x.size() == 0)
    return reference("gather_elements", call);
  KILN_TRY(ref::checkOutput("gather_elements", call, x.dtype, indices.dims));
  // Walk over the indices, whose places are those of the result; beside it x without its part along the axis.
  const ref::Dims dense = denseStrides(x.dims);
  ref::Dims strides = dense;
  strides[axis] = 0;
  const ref::Walk<2> walk(indices.dims, {denseStrides(indices.dims), strides});
  const int64_t size = x.dims[axis], along = dense[axis];
  bool inRange = true;
  const auto elements = [&](const auto *at) {
    withBytes(dtypeBytes(x.dtype), [&](auto width) {
      const int64_t step = walk.inner()[1] * width, row = along * width, last = size;
      walk.rows([&](const std::array<int64_t, 2> &offsets, int64_t n) {
        const auto *own = at + offsets[0];
        const char *from = x.as<char>() + offsets[1] * width;
        char *to = out.as<char>() + offsets[0] * width;
        bool fit = true;
        for (int64_t i = 0; i < n; ++i) {
          int64_t index = own[i];
          const bool fits = resolve(index, last);
          fit &= fits;
          std::memcpy(to + i * width, from + i * step + (fits ? index : 0) * row, width);
        }
        inRange &= fit;
      });
    });
  };
  if (!withIndices(indices, elements) || !inRange)
    return reference("gather_elements", call);
  return {};
}

Status gatherNd(const OpCall &call) {
  if (call.inputs.size() != 2 || call.outputs.size() != 1)
    return reference("gather_nd", call);
  const TensorView &x = call.inputs[0], &indices = call.inputs[1], &out = call.outputs[0];
  const int64_t batchDims = call.attributes.getInt("batch_dims");
  if (batchDims < 0 || batchDims >= indices.rank() || batchDims > x.rank())
    return reference("gather_nd", call);
  const int64_t length = indices.dims.back(); // of one index tuple
  if (length < 1 || batchDims + length > x.rank() ||
      !std::ranges::equal(x.dims.first(batchDims), indices.dims.first(batchDims)))
    return reference("gather_nd", call);
  ref::Dims dims(indices.dims.begin(), indices.dims.end() - 1);
  const auto rest = x.dims.subspan(batchDims + length), indexed = x.dims.subspan(batchDims, length);
  dims.insert(dims.end(), rest.begin(), rest.end());
  KILN_TRY(ref::checkOutput("gather_nd", call, x.dtype, dims));
  const int64_t bytes = product(rest) * dtypeBytes(x.dtype), slices = product(indexed);
  const int64_t tuples = product(indices.dims.first(indices.rank() - 1));
  const int64_t perBatch = product(indices.dims.subspan(batchDims, indices.rank() - 1 - batchDims));
  std::atomic<bool> inRange = true;
  const auto rows = [&](const auto *at) {
    withBytes(bytes, [&](auto width) {
      parallelFor(call, tuples, worthAThread / (bytes + 8) + 1, [&](int64_t begin, int64_t end) {
        for (int64_t t = begin; t < end;) {
          const int64_t batch = t / perBatch, last = std::min(end, (batch + 1) * perBatch);
          const char *from = x.as<char>() + batch * slices * width;
          for (; t < last; ++t) {
            int64_t offset = 0;
            for (int64_t k = 0; k < length; ++k) {
              int64_t index = at[t * length + k];
              if (!resolve(index, indexed[k])) {
                inRange = false;
                return;
              }
              offset = offset * indexed[k] + index;
            }
            std::memcpy(out.as<char>() + t * width, from + offset * width, width);
          }
        }
      });
    });
  };
  if (!withIndices(indices, rows) || !inRange)
    return reference("gather_nd", call);
  return {};
}

} // namespace kiln::host
