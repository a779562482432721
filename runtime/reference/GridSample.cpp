#include "runtime/reference/Element.h"
#include "runtime/reference/GridTaps.h"
#include "runtime/reference/Indices.h"
#include "runtime/reference/Kernels.h"

#include <algorithm>

namespace kiln::ref {
namespace {

using namespace grid;

/// The weighted sum of a plane's elements at all combinations of the axes' taps.
template <typename C>
C sampled(const C *plane, std::span<const std::vector<Tap>> taps, std::span<const int64_t> strides) {
  if (taps.empty())
    return *plane;
  C sum = 0;
  for (const Tap &tap : taps[0])
    if (tap.index >= 0)
      sum += static_cast<C>(tap.weight) * sampled(plane + tap.index * strides[0], taps.subspan(1), strides.subspan(1));
  return sum;
}

template <typename C, typename G> Status sample(const OpCall &call, const Manner &manner) {
  const TensorView &x = call.inputs[0], &grid = call.inputs[1], &out = call.outputs[0];
  const int64_t batch = x.dims[0], channels = x.dims[1], rank = x.rank() - 2;
  const int64_t plane = x.size() / batch / channels, positions = out.size() / batch / channels;
  const Dims strides = denseStrides(x.dims.subspan(2));
  std::vector<C> image(channels * plane), results(channels);
  std::vector<G> coordinates(rank);
  std::vector<std::vector<Tap>> taps(rank);
  for (int64_t n = 0; n < batch; ++n) {
    loadOf<C>(x.dtype)(x.data, n * channels * plane, 1, channels * plane, image.data());
    for (int64_t p = 0; p < positions; ++p) {
      loadOf<G>(grid.dtype)(grid.data, (n * positions + p) * rank, 1, rank, coordinates.data());
      for (int64_t i = 0; i < rank; ++i) // the grid names the last axis first
        tapsAt(manner, coordinates[rank - 1 - i], x.dims[2 + i], taps[i]);
      for (int64_t c = 0; c < channels; ++c)
        results[c] = sampled<C>(image.data() + c * plane, taps, strides);
      storeOf<C>(out.dtype)(results.data(), channels, out.data, n * channels * positions + p, positions);
    }
  }
  return {};
}

} // namespace

Status op_grid_sample(const OpCall &call) {
  KILN_TRY(checkCounts("grid_sample", call, 2, 2));
  const TensorView &x = call.inputs[0], &grid = call.inputs[1], &out = call.outputs[0];
  KILN_ASSIGN(const Manner manner, readManner(call));
  if (x.rank() < 3 || grid.rank() != x.rank() || grid.dims[0] != x.dims[0] || grid.dims.back() != x.rank() - 2)
    return makeError(ErrorCode::E0304, "grid_sample: a grid of dims ", printDims(grid.dims), " does not fit ",
                     printDims(x.dims));
  if (!isFloat(grid.dtype) || (manner.mode != Mode::Nearest && !isFloat(x.dtype)))
    return makeError(ErrorCode::E0305, "grid_sample: an operand of ", dtypeName(x.dtype), " and a grid of ",
                     dtypeName(grid.dtype), " do not fit the mode");
  Dims dims{x.dims[0], x.dims[1]};
  dims.insert(dims.end(), grid.dims.begin() + 1, grid.dims.end() - 1);
  KILN_TRY(checkOutput("grid_sample", call, x.dtype, dims));
  if (out.size() == 0)
    return {};
  if (x.size() == 0)
    return makeError(ErrorCode::E0513, "grid_sample: dims ", printDims(x.dims), " have no elements to sample");
  return withCompute(x.dtype, call.accumulate, [&]<typename C>() {
    return grid.dtype == DType::F64 ? sample<C, double>(call, manner) : sample<C, float>(call, manner);
  });
}

} // namespace kiln::ref
