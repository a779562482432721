#include "runtime/reference/Element.h"
#include "runtime/reference/Indices.h"
#include "runtime/reference/Kernels.h"
#include "runtime/reference/RoiSamples.h"

#include <array>

namespace kiln::ref {
namespace {

using namespace roi;

template <typename C, typename P> Status align(const OpCall &call, const Dims &batches, bool isMax) {
  const TensorView &x = call.inputs[0], &out = call.outputs[0];
  const int64_t channels = x.dims[1], height = x.dims[2], width = x.dims[3];
  const int64_t rows = out.dims[2], columns = out.dims[3], bins = rows * columns;
  std::vector<C> plane(static_cast<size_t>(height * width)), values(static_cast<size_t>(bins));
  for (int64_t n = 0; n < out.dims[0]; ++n) {
    KILN_ASSIGN(const Samples<P> s, samplesOf<P>(call, n, rows, columns));
    const C count = static_cast<C>(std::max<int64_t>(s.rows * s.columns, 1));
    for (int64_t c = 0; c < channels; ++c) {
      loadOf<C>(x.dtype)(x.data, (batches[n] * channels + c) * height * width, 1, height * width, plane.data());
      for (int64_t bin = 0; bin < bins; ++bin) {
        C value = 0;
        bool first = true;
        for (int64_t iy = 0; iy < s.rows; ++iy)
          for (int64_t ix = 0; ix < s.columns; ++ix) {
            const auto corners = cornersOf<C>(static_cast<C>(s.y(bin / columns, iy)),
                                              static_cast<C>(s.x(bin % columns, ix)), height, width);
            for (int i = 0; i < 4; ++i) { // what has no weight is not read
              const C weight = corners.weight[i];
              const C part = weight == 0 ? C(0) : weight * plane[corners.at[i]];
              value = !isMax ? value + part : first || part > value || part != part ? part : value;
              first = false;
            }
          }
        values[bin] = isMax ? value : value / count;
      }
      storeOf<C>(x.dtype)(values.data(), bins, out.data, (n * channels + c) * bins, 1);
    }
  }
  return {};
}

} // namespace

Status op_roi_align(const OpCall &call) {
  KILN_TRY(checkCounts("roi_align", call, 3, 3));
  const TensorView &x = call.inputs[0], &rois = call.inputs[1], &out = call.outputs[0];
  KILN_TRY(checkRank("roi_align", "the operand", x, 4));
  KILN_TRY(checkRank("roi_align", "the regions", rois, 2));
  KILN_TRY(checkType("roi_align", "the regions", rois, x.dtype));
  KILN_TRY(checkDims("roi_align", "the regions", rois, Dims{rois.dims[0], 4}));
  KILN_ASSIGN(Dims batches, readIndices("roi_align", call.inputs[2]));
  KILN_TRY(checkDims("roi_align", "the indices", call.inputs[2], rois.dims.first(1)));
  const std::string mode = call.attributes.getString("mode", "avg");
  if (mode != "avg" && mode != "max")
    return makeError(ErrorCode::E0411, "roi_align: unknown mode \"", mode, "\"");
  const int64_t rows = call.attributes.getInt("height", 1), columns = call.attributes.getInt("width", 1);
  if (rows < 1 || columns < 1)
    return makeError(ErrorCode::E0411, "roi_align: height and width are ", rows, " and ", columns,
                     ", expected 1 or more");
  if (call.attributes.getInt("sampling_ratio") < 0)
    return makeError(ErrorCode::E0411, "roi_align: sampling_ratio is negative");
  KILN_TRY(checkOutput("roi_align", call, x.dtype, Dims{rois.dims[0], x.dims[1], rows, columns}));
  for (int64_t index : batches)
    if (index < 0 || index >= x.dims[0])
      return makeError(ErrorCode::E0513, "roi_align: index ", index, " is out of range for a batch of ", x.dims[0]);
  if (out.size() > 0 && x.size() == 0)
    return makeError(ErrorCode::E0513, "roi_align: the operand has no elements");
  if (x.dtype == DType::F64)
    return align<double, double>(call, batches, mode == "max");
  return withFloat("roi_align", x.dtype, call.accumulate,
                   [&]<typename C>() { return align<C, float>(call, batches, mode == "max"); });
}

} // namespace kiln::ref
