#include "runtime/reference/Element.h"
#include "runtime/reference/Kernels.h"
#include "runtime/reference/Product.h"
#include "runtime/reference/Window.h"

namespace kiln::ref {

// Each image is read channel by channel into the compute type; then, for a block of result
// positions, the values under the window are laid out as the columns of a matrix that the weights
// multiply.
Status op_conv(const OpCall &call) {
  KILN_TRY(checkCounts("conv", call, 2, 3));
  const TensorView &x = call.inputs[0], &w = call.inputs[1], bias = operand(call, 2);
  const TensorView &out = call.outputs[0];
  KILN_TRY(checkType("conv", "the weight", w, x.dtype));
  if (x.dtype == DType::Bool)
    return makeError(ErrorCode::E0203, "conv is not defined for bool");
  if (w.rank() < 3)
    return makeError(ErrorCode::E0304, "conv: the weight has dims ", printDims(w.dims), ", expected rank 3 or more");
  KILN_ASSIGN(const Window window, makeWindow("conv", call, w.dims.subspan(2)));
  const int64_t batch = x.dims[0], channels = x.dims[window.channelAxis()];
  const int64_t filters = w.dims[0], depth = w.dims[1];
  const int64_t groups = call.attributes.getInt("groups", 1);
  if (groups < 1 || filters % groups != 0 || channels % groups != 0 || depth != channels / groups)
    return makeError(ErrorCode::E0304, "conv: ", channels, " channels, weight dims ", printDims(w.dims), " and ",
                     groups, " groups do not fit");
  KILN_TRY(checkOutput("conv", call, x.dtype, window.tensorDims(batch, filters, window.out)));
  if (bias.present()) {
    KILN_TRY(checkType("conv", "the bias", bias, x.dtype));
    KILN_TRY(checkDims("conv", "the bias", bias, std::span(&filters, 1)));
  }
  if (out.size() == 0)
    return {};

  return withCompute(x.dtype, call.accumulate, [&]<typename C>() {
    const Load<C> load = loadOf<C>(x.dtype);
    const Store<C> store = storeOf<C>(out.dtype);
    const int64_t positions = window.positions(), taps = window.taps();
    const int64_t plane = x.size() / batch / std::max<int64_t>(channels, 1), inner = depth * taps;
    const int64_t filtersPerGroup = filters / groups;
    // Result positions at a time; fewer where the window is huge.
    const int64_t blockSize = std::clamp<int64_t>((1 << 24) / std::max<int64_t>(inner, 1), 8, 256);
    std::vector<C> weights(w.size()), offsets(filters, C(0)), image(channels * plane), columns(inner * blockSize),
        result(filtersPerGroup * blockSize);
    std::vector<int64_t> source(taps * blockSize);
    load(w.data, 0, 1, w.size(), weights.data());
    if (bias.present())
      load(bias.data, 0, 1, filters, offsets.data());
    for (int64_t n = 0; n < batch; ++n) {
      for (int64_t c = 0; c < channels; ++c) {
        const int64_t first = n * channels * plane;
        if (window.channelsLast)
          load(x.data, first + c, channels, plane, image.data() + c * plane);
        else
          load(x.data, first + c * plane, 1, plane, image.data() + c * plane);
      }
      for (int64_t begin = 0; begin < positions; begin += blockSize) {
        const int64_t count = std::min(blockSize, positions - begin);
        for (int64_t t = 0; t < taps; ++t)
          for (int64_t p = 0; p < count; ++p)
            source[t * blockSize + p] = window.source(begin + p, t);
        for (int64_t g = 0; g < groups; ++g) {
          for (int64_t c = 0; c < depth; ++c)
            for (int64_t t = 0; t < taps; ++t) {
              const C *from = image.data() + (g * depth + c) * plane;
              const int64_t *at = source.data() + t * blockSize;
              C *to = columns.data() + (c * taps + t) * blockSize;
              for (int64_t p = 0; p < count; ++p)
                to[p] = at[p] < 0 ? C(0) : from[at[p]];
            }
          std::fill(result.begin(), result.end(), C(0));
          multiplyAdd<C>(filtersPerGroup, count, inner, weights.data() + g * filtersPerGroup * inner, inner,
                         columns.data(), blockSize, result.data(), blockSize);
          for (int64_t f = 0; f < filtersPerGroup; ++f) {
            const int64_t filter = g * filtersPerGroup + f;
            C *row = result.data() + f * blockSize;
            for (int64_t p = 0; p < count; ++p)
              row[p] += offsets[filter];
            if (window.channelsLast)
              store(row, count, out.data, (n * positions + begin) * filters + filter, filters);
            else
              store(row, count, out.data, (n * filters + filter) * positions + begin, 1);
          }
        }
      }
    }
    return Status();
  });
}

} // namespace kiln::ref
