// grid_sample and roi_align of f32: what a result reads is worked out once, and serves all channels.
#include "runtime/host/Kernels.h"
#include "runtime/reference/GridTaps.h"
#include "runtime/reference/RoiSamples.h"

#include <algorithm>
#include <array>
#include <vector>

namespace kiln::host {

using ref::OpCall;

namespace {

struct Tap {
  int64_t offset; ///< in a plane
  float weight;   ///< of 0: not read, so infinity and NaN there do not matter
};

/// Read even without weight, at an offset of 0 or another that exists: that takes no branch.
float weighted(const float *plane, const Tap &tap) {
  const float part = tap.weight * plane[tap.offset];
  return tap.weight == 0 ? 0 : part;
}

/// Sums of what `count` results read of a plane, `each` taps for each.
template <typename Each> void sumTaps(const float *plane, const Tap *taps, int64_t count, Each each, float *to) {
  for (int64_t p = 0; p < count; ++p, taps += each) {
    float sum = 0;
    for (int64_t t = 0; t < each; ++t)
      sum += weighted(plane, taps[t]);
    to[p] = sum;
  }
}

/// Where a linear sample between four elements of a plane lies, by what tapsAt computes: most are such.
bool tapsBetween(const ref::grid::Manner &manner, const float *coordinates, int64_t rows, int64_t columns, Tap *taps) {
  const auto place = [&](float coordinate, float length) {
    return manner.alignCorners ? (coordinate + 1) / 2 * (length - 1) : ((coordinate + 1) * length - 1) / 2;
  };
  const float y = place(coordinates[1], static_cast<float>(rows)),
              x = place(coordinates[0], static_cast<float>(columns));
  if (!(y >= 0 && y < static_cast<float>(rows - 1) && x >= 0 && x < static_cast<float>(columns - 1)))
    return false;
  const int64_t row = static_cast<int64_t>(y), column = static_cast<int64_t>(x), first = row * columns + column;
  const double below = y - static_cast<float>(row), right = x - static_cast<float>(column);
  const float weights[] = {static_cast<float>(1 - below), static_cast<float>(below)};
  const float across[] = {static_cast<float>(1 - right), static_cast<float>(right)};
  for (int64_t k = 0; k < 4; ++k)
    taps[k] = {first + k / 2 * columns + k % 2, weights[k / 2] * across[k % 2]};
  return true;
}

/// The products of what is read along each axis; as many as `taps` holds, the last ones without weight.
void combine(const std::vector<std::vector<ref::grid::Tap>> &axes, std::span<const int64_t> strides,
             std::span<Tap> taps) {
  size_t count = 1;
  taps[0] = {0, 1};
  for (size_t axis = 0; axis < axes.size(); ++axis) {
    size_t made = 0;
    std::array<Tap, 64> before;
    std::copy_n(taps.begin(), count, before.begin());
    for (size_t k = 0; k < count; ++k)
      for (const ref::grid::Tap &own : axes[axis])
        if (own.index >= 0)
          taps[made++] = {before[k].offset + own.index * strides[axis],
                          before[k].weight * static_cast<float>(own.weight)};
    count = made;
  }
  std::fill(taps.begin() + static_cast<ptrdiff_t>(count), taps.end(), Tap{0, 0});
}

} // namespace

Status gridSample(const OpCall &call) {
  if (call.inputs.size() != 2 || call.outputs.size() != 1)
    return reference("grid_sample", call);
  const TensorView &x = call.inputs[0], &grid = call.inputs[1], &out = call.outputs[0];
  const Result<ref::grid::Manner> manner = ref::grid::readManner(call);
  if (!manner.ok() || x.dtype != DType::F32 || grid.dtype != DType::F32 || x.rank() < 3 || x.rank() > 5 ||
      grid.rank() != x.rank() || x.size() == 0 || grid.dims[0] != x.dims[0] || grid.dims.back() != x.rank() - 2)
    return reference("grid_sample", call);
  ref::Dims dims{x.dims[0], x.dims[1]};
  dims.insert(dims.end(), grid.dims.begin() + 1, grid.dims.end() - 1);
  KILN_TRY(ref::checkOutput("grid_sample", call, x.dtype, dims));
  const int64_t channels = x.dims[1], rank = x.rank() - 2, plane = product(x.dims.subspan(2));
  const int64_t positions = product(grid.dims.subspan(1, static_cast<size_t>(rank)));
  const ref::Dims strides = denseStrides(x.dims.subspan(2));
  const int64_t each = manner->mode == ref::grid::Mode::Nearest
                           ? 1
                           : int64_t{1} << (manner->mode == ref::grid::Mode::Linear ? rank : 2 * rank);
  const bool isBilinear = manner->mode == ref::grid::Mode::Linear && rank == 2;
  constexpr int64_t block = 64; // positions whose taps are worked out, then every channel takes them
  const int64_t blocks = (positions + block - 1) / block;
  parallelFor(call, x.dims[0] * blocks, 64 / channels + 1, [&](int64_t begin, int64_t end) {
    std::vector<std::vector<ref::grid::Tap>> axes(static_cast<size_t>(rank));
    std::vector<Tap> taps(static_cast<size_t>(block * each));
    for (int64_t at = begin; at < end; ++at) {
      const int64_t n = at / blocks, first = at % blocks * block, count = std::min(block, positions - first);
      for (int64_t p = 0; p < count; ++p) {
        const float *coordinates = grid.as<float>() + (n * positions + first + p) * rank;
        if (isBilinear && tapsBetween(*manner, coordinates, x.dims[2], x.dims[3], taps.data() + p * each))
          continue;
        for (int64_t i = 0; i < rank; ++i) // the grid names the last axis first
          ref::grid::tapsAt(*manner, coordinates[rank - 1 - i], x.dims[2 + i], axes[static_cast<size_t>(i)]);
        combine(axes, strides, std::span(taps).subspan(static_cast<size_t>(p * each), static_cast<size_t>(each)));
      }
      const float *image = x.as<float>() + n * channels * plane;
      float *to = out.as<float>() + n * channels * positions + first;
      for (int64_t c = 0; c < channels; ++c, image += plane, to += positions)
        if (each == 4)
          sumTaps(image, taps.data(), count, std::integral_constant<int64_t, 4>(), to);
        else
          sumTaps(image, taps.data(), count, each, to);
    }
  });
  return {};
}

Status roiAlign(const OpCall &call) {
  if (call.inputs.size() != 3 || call.outputs.size() != 1)
    return reference("roi_align", call);
  const TensorView &x = call.inputs[0], &rois = call.inputs[1], &indices = call.inputs[2], &out = call.outputs[0];
  const std::string mode = call.attributes.getString("mode", "avg");
  const int64_t rows = call.attributes.getInt("height", 1), columns = call.attributes.getInt("width", 1);
  if (x.dtype != DType::F32 || rois.dtype != DType::F32 || indices.dtype != DType::I64 || x.rank() != 4 ||
      rois.rank() != 2 || rois.dims[1] != 4 || indices.rank() != 1 || indices.dims[0] != rois.dims[0] ||
      x.size() == 0 || rows < 1 || columns < 1 || (mode != "avg" && mode != "max") ||
      call.attributes.getInt("sampling_ratio") < 0)
    return reference("roi_align", call);
  for (int64_t n = 0; n < rois.dims[0]; ++n)
    if (const int64_t image = indices.as<int64_t>()[n]; image < 0 || image >= x.dims[0])
      return reference("roi_align", call);
  const int64_t dims[] = {rois.dims[0], x.dims[1], rows, columns};
  KILN_TRY(ref::checkOutput("roi_align", call, x.dtype, dims));
  const int64_t channels = x.dims[1], height = x.dims[2], width = x.dims[3], bins = rows * columns;
  const bool isMax = mode == "max";
  std::vector<ref::roi::Samples<float>> regions;
  for (int64_t n = 0; n < rois.dims[0]; ++n) {
    KILN_ASSIGN(regions.emplace_back(), ref::roi::samplesOf<float>(call, n, rows, columns));
  }
  parallelFor(call, rois.dims[0], 1, [&](int64_t begin, int64_t end) {
    std::vector<std::array<Tap, 4>> samples;
    for (int64_t n = begin; n < end; ++n) {
      const ref::roi::Samples<float> &s = regions[static_cast<size_t>(n)];
      const int64_t each = std::max<int64_t>(s.rows, 0) * std::max<int64_t>(s.columns, 0); // samples of a bin
      samples.clear();
      for (int64_t bin = 0; bin < bins; ++bin)
        for (int64_t i = 0; i < each; ++i) {
          const auto corners = ref::roi::cornersOf<double>(s.y(bin / columns, i / s.columns),
                                                           s.x(bin % columns, i % s.columns), height, width);
          auto &taps = samples.emplace_back();
          for (size_t k = 0; k < 4; ++k)
            taps[k] = {corners.at[k], static_cast<float>(corners.weight[k])};
        }
      const float count = static_cast<float>(std::max<int64_t>(each, 1));
      const float *plane = x.as<float>() + indices.as<int64_t>()[n] * channels * height * width;
      float *to = out.as<float>() + n * channels * bins;
      for (int64_t c = 0; c < channels; ++c, plane += height * width, to += bins) {
        if (!isMax && each == 4)
          sumTaps(plane, samples[0].data(), bins, std::integral_constant<int64_t, 16>(), to);
        else if (!isMax && each > 0)
          sumTaps(plane, samples[0].data(), bins, 4 * each, to);
        for (int64_t bin = 0; bin < bins; ++bin) {
          float value = 0;
          bool first = true;
          for (int64_t i = bin * each; isMax && i < (bin + 1) * each; ++i)
            for (const Tap &tap : samples[static_cast<size_t>(i)]) {
              const float part = weighted(plane, tap);
              value = first || part > value || part != part ? part : value;
              first = false;
            }
          to[bin] = isMax || each == 0 ? value : to[bin] / count;
        }
      }
    }
  });
  return {};
}

} // namespace kiln::host
