#include "runtime/reference/Element.h"
#include "runtime/reference/Indices.h"
#include "runtime/reference/Kernels.h"

#include <array>

namespace kiln::ref {
namespace {

/// The four elements around a position of a plane, and their weights; the weights of a position outside are 0.
template <typename C> struct Corners {
  std::array<int64_t, 4> at{};
  std::array<C, 4> weight{};
};

template <typename C> Corners<C> cornersOf(C y, C x, int64_t height, int64_t width) {
  Corners<C> corners;
  if (!(y >= -1 && y <= static_cast<C>(height) && x >= -1 && x <= static_cast<C>(width)))
    return corners;
  const auto split = [](C &position, int64_t size) {
    position = std::max(position, C(0));
    const int64_t low = std::min(static_cast<int64_t>(position), size - 1);
    position = low == size - 1 ? C(0) : position - static_cast<C>(low);
    return std::array{low, std::min(low + 1, size - 1)};
  };
  const auto rows = split(y, height), columns = split(x, width); // y and x are now parts of a step
  for (int i = 0; i < 4; ++i) {
    corners.at[i] = rows[i / 2] * width + columns[i % 2];
    corners.weight[i] = (i / 2 ? y : 1 - y) * (i % 2 ? x : 1 - x);
  }
  return corners;
}

/// The positions of all samples, and how many belong to each element of the result; P is the type of positions.
template <typename P> struct Samples {
  int64_t rows = 0, columns = 0;
  P startY = 0, startX = 0, binY = 0, binX = 0;

  P y(int64_t bin, int64_t i) const { return startY + bin * binY + (i + P(0.5)) * binY / rows; }
  P x(int64_t bin, int64_t i) const { return startX + bin * binX + (i + P(0.5)) * binX / columns; }
};

template <typename P> Result<Samples<P>> samplesOf(const OpCall &call, int64_t roi, int64_t height, int64_t width) {
  const TensorView &rois = call.inputs[1];
  std::array<P, 4> edges{}; // x, y, x, y
  loadOf<P>(rois.dtype)(rois.data, roi * 4, 1, 4, edges.data());
  const bool halfPixel = call.attributes.getBool("half_pixel", true);
  const P scale = static_cast<P>(call.attributes.getFloat("spatial_scale", 1)), offset = halfPixel ? P(0.5) : P(0);
  for (P &edge : edges)
    edge = edge * scale - offset;
  P roiX = edges[2] - edges[0], roiY = edges[3] - edges[1];
  if (!halfPixel)
    roiX = std::max(roiX, P(1)), roiY = std::max(roiY, P(1));
  Samples<P> s;
  s.startX = edges[0], s.startY = edges[1];
  s.binX = roiX / width, s.binY = roiY / height;
  const int64_t ratio = call.attributes.getInt("sampling_ratio");
  constexpr int64_t most = 1 << 12; // samples of an element along an axis
  if (!(std::fabs(s.binX) <= most && std::fabs(s.binY) <= most) || ratio > most)
    return makeError(ErrorCode::E0513, "roi_align: region ", roi, " is too large, or no region");
  s.columns = ratio > 0 ? ratio : static_cast<int64_t>(std::ceil(s.binX));
  s.rows = ratio > 0 ? ratio : static_cast<int64_t>(std::ceil(s.binY));
  return s;
}

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
