#include "runtime/reference/Element.h"
#include "runtime/reference/Kernels.h"
#include "runtime/reference/Window.h"

namespace kiln::ref {
namespace {

/// A plane between its elements, by linear interpolation; 0 beyond it. What has no weight is not read.
template <typename C> C sample(const C *plane, int64_t height, int64_t width, C y, C x) {
  if (!(y > -1 && y < static_cast<C>(height) && x > -1 && x < static_cast<C>(width)))
    return C(0);
  const C row = std::floor(y), column = std::floor(x);
  C sum = 0;
  for (int i = 0; i < 4; ++i) {
    const int64_t r = static_cast<int64_t>(row) + i / 2, c = static_cast<int64_t>(column) + i % 2;
    const C weight = (i / 2 ? y - row : 1 - (y - row)) * (i % 2 ? x - column : 1 - (x - column));
    if (r >= 0 && r < height && c >= 0 && c < width && weight != 0)
      sum += weight * plane[r * width + c];
  }
  return sum;
}

template <typename C> std::vector<C> elements(const TensorView &view, C absent, int64_t count) {
  std::vector<C> list(static_cast<size_t>(count), absent);
  if (view.present())
    loadOf<C>(view.dtype)(view.data, 0, 1, count, list.data());
  return list;
}

} // namespace

Status op_deform_conv(const OpCall &call) {
  KILN_TRY(checkCounts("deform_conv", call, 3, 5));
  const TensorView &x = call.inputs[0], &w = call.inputs[1], &offset = call.inputs[2], &out = call.outputs[0];
  KILN_TRY(checkRank("deform_conv", "the operand", x, 4));
  KILN_TRY(checkRank("deform_conv", "the weights", w, 4));
  KILN_ASSIGN(const Window window, makeWindow("deform_conv", call, w.dims.subspan(2)));
  if (window.channelsLast || call.attributes.contains("auto_pad") || call.attributes.getBool("ceil_mode"))
    return makeError(ErrorCode::E0411, "deform_conv has no layout, auto_pad and ceil_mode");
  const int64_t groups = call.attributes.getInt("groups", 1), offsets = call.attributes.getInt("offset_groups", 1);
  const int64_t batch = x.dims[0], channels = x.dims[1], filters = w.dims[0], depth = w.dims[1];
  int64_t expected;
  if (groups < 1 || offsets < 1 || __builtin_mul_overflow(depth, groups, &expected) || expected != channels ||
      filters % groups != 0 || channels % offsets != 0)
    return makeError(ErrorCode::E0304, "deform_conv: ", groups, " and ", offsets, " groups do not fit operand ",
                     printDims(x.dims), " and weights ", printDims(w.dims));
  const int64_t taps = window.taps(), positions = window.positions();
  const Dims of{batch, offsets * taps * 2, window.out[0], window.out[1]};
  const auto expect = [&](size_t index, std::string_view what, const Dims &dims) -> Status {
    const TensorView view = operand(call, index);
    if (!view.present())
      return {};
    KILN_TRY(checkType("deform_conv", what, view, x.dtype));
    return checkDims("deform_conv", what, view, dims);
  };
  KILN_TRY(checkType("deform_conv", "the weights", w, x.dtype));
  KILN_TRY(expect(2, "the offset", of));
  KILN_TRY(expect(3, "the bias", {filters}));
  KILN_TRY(expect(4, "the mask", {batch, offsets * taps, window.out[0], window.out[1]}));
  KILN_TRY(checkOutput("deform_conv", call, x.dtype, Dims{batch, filters, window.out[0], window.out[1]}));
  return withFloat("deform_conv", x.dtype, call.accumulate, [&]<typename C>() {
    const int64_t height = x.dims[2], width = x.dims[3];
    const auto image = elements<C>(x, C(0), x.size()), weights = elements<C>(w, C(0), w.size());
    const auto shifts = elements<C>(offset, C(0), offset.size());
    const auto masks = elements<C>(operand(call, 4), C(1), batch * offsets * taps * positions);
    const auto bias = elements<C>(operand(call, 3), C(0), filters);
    std::vector<C> results(static_cast<size_t>(filters * positions));
    for (int64_t n = 0; n < batch; ++n) {
      for (int64_t f = 0; f < filters; ++f)
        std::fill_n(results.begin() + f * positions, positions, bias[f]);
      for (int64_t c = 0; c < channels; ++c) {
        const C *plane = image.data() + (n * channels + c) * height * width;
        const int64_t group = c / depth, first = n * offsets + c / (channels / offsets);
        for (int64_t t = 0; t < taps; ++t)
          for (int64_t p = 0; p < positions; ++p) {
            const C *shift = shifts.data() + ((first * taps + t) * 2) * positions + p;
            const int64_t row =
                p / window.out[1] * window.strides[0] - window.padBegin[0] + t / window.kernel[1] * window.dilations[0];
            const int64_t column =
                p % window.out[1] * window.strides[1] - window.padBegin[1] + t % window.kernel[1] * window.dilations[1];
            const C value =
                masks[(first * taps + t) * positions + p] *
                sample(plane, height, width, static_cast<C>(row) + shift[0], static_cast<C>(column) + shift[positions]);
            for (int64_t f = group * (filters / groups); f < (group + 1) * (filters / groups); ++f)
              results[f * positions + p] += weights[(f * depth + c % depth) * taps + t] * value;
          }
      }
      storeOf<C>(x.dtype)(results.data(), filters * positions, out.data, n * filters * positions, 1);
    }
    return Status();
  });
}

} // namespace kiln::ref
