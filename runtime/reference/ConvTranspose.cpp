#include "runtime/reference/Element.h"
#include "runtime/reference/Kernels.h"
#include "runtime/reference/Window.h"

namespace kiln::ref {
namespace {

/// The geometry of a transposed convolution: where the elements of x lie in the result.
struct Spread {
  Dims in, kernel, strides, dilations, padBegin, out;

  /// The offset in a channel of the result to which the element at `position` adds under `tap` (both flat); -1:
  /// outside.
  int64_t target(int64_t position, int64_t tap) const {
    int64_t offset = 0, step = 1;
    for (size_t i = in.size(); i-- > 0;) {
      const int64_t at = position % in[i] * strides[i] + tap % kernel[i] * dilations[i] - padBegin[i];
      position /= in[i];
      tap /= kernel[i];
      if (at < 0 || at >= out[i])
        return -1;
      offset += at * step;
      step *= out[i];
    }
    return offset;
  }
};

Result<Spread> makeSpread(const OpCall &call) {
  const TensorView &x = call.inputs[0], &w = call.inputs[1];
  const size_t rank = w.dims.size() - 2;
  Spread s;
  s.in.assign(x.dims.begin() + 2, x.dims.end());
  s.kernel.assign(w.dims.begin() + 2, w.dims.end());
  KILN_ASSIGN(s.strides, perAxis("conv_transpose", call, "strides", rank, 1, 1));
  KILN_ASSIGN(s.dilations, perAxis("conv_transpose", call, "dilations", rank, 1, 1));
  KILN_ASSIGN(const Dims pads, perAxis("conv_transpose", call, "pads", 2 * rank, 0, 0));
  KILN_ASSIGN(const Dims added, perAxis("conv_transpose", call, "output_padding", rank, 0, 0));
  Dims asked = call.attributes.getInts("output_shape");
  if (!asked.empty()) {
    KILN_ASSIGN(asked, perAxis("conv_transpose", call, "output_shape", rank, 0, 0));
  }
  const std::string automatic = call.attributes.getString("auto_pad");
  if (!automatic.empty() && automatic != "same_upper" && automatic != "same_lower")
    return makeError(ErrorCode::E0411, "conv_transpose: unknown auto_pad \"", automatic, "\"");
  for (size_t i = 0; i < rank; ++i) {
    const int64_t size = s.in[i];
    int64_t steps, reach; // from the first element to the last, and of a window
    if (size > windowLimit || s.kernel[i] > windowLimit || __builtin_mul_overflow(size - 1, s.strides[i], &steps) ||
        __builtin_mul_overflow(s.kernel[i] - 1, s.dilations[i], &reach) || steps > windowLimit || reach > windowLimit)
      return makeError(ErrorCode::E0411, "conv_transpose: the result of dims ", printDims(x.dims), " and weight ",
                       printDims(w.dims), " is too large");
    const int64_t whole = steps + reach + 1 + added[i];
    int64_t result = 0;
    if (!asked.empty() || !automatic.empty()) {
      result = asked.empty() ? size * s.strides[i] : asked[i];
      const int64_t total = whole - result, half = total >> 1; // rounded down, below 0 too
      s.padBegin.push_back(automatic == "same_upper" ? half : total - half);
    } else {
      s.padBegin.push_back(pads[i]);
      result = whole - pads[i] - pads[rank + i];
      if (result < 0)
        return makeError(ErrorCode::E0304, "conv_transpose: pads ", printDims(pads), " leave nothing of dims ",
                         printDims(x.dims));
    }
    s.out.push_back(result);
  }
  return s;
}

} // namespace

Status op_conv_transpose(const OpCall &call) {
  KILN_TRY(checkCounts("conv_transpose", call, 2, 3));
  const TensorView &x = call.inputs[0], &w = call.inputs[1], bias = operand(call, 2);
  const TensorView &out = call.outputs[0];
  KILN_TRY(checkType("conv_transpose", "the weight", w, x.dtype));
  if (x.dtype == DType::Bool)
    return makeError(ErrorCode::E0203, "conv_transpose is not defined for bool");
  if (w.rank() < 3)
    return makeError(ErrorCode::E0304, "conv_transpose: the weight has dims ", printDims(w.dims),
                     ", expected rank 3 or more");
  KILN_TRY(checkRank("conv_transpose", "the operand", x, w.rank()));
  const int64_t batch = x.dims[0], channels = x.dims[1], perGroup = w.dims[1];
  const int64_t groups = call.attributes.getInt("groups", 1);
  if (groups < 1 || groups > windowLimit || w.dims[0] != channels || channels % groups != 0 || perGroup > windowLimit)
    return makeError(ErrorCode::E0304, "conv_transpose: ", channels, " channels, weight dims ", printDims(w.dims),
                     " and ", groups, " groups do not fit");
  const std::optional<int64_t> filters = checkedMul(perGroup, groups);
  if (!filters)
    return makeError(ErrorCode::E0308, "conv_transpose: ", perGroup, " times ", groups, " channels overflow");
  KILN_ASSIGN(const Spread spread, makeSpread(call));
  Dims dims{batch, *filters};
  dims.insert(dims.end(), spread.out.begin(), spread.out.end());
  KILN_TRY(checkOutput("conv_transpose", call, x.dtype, dims));
  if (bias.present()) {
    KILN_TRY(checkType("conv_transpose", "the bias", bias, x.dtype));
    KILN_TRY(checkDims("conv_transpose", "the bias", bias, std::span(&*filters, 1)));
  }
  if (out.size() == 0)
    return {};

  return withCompute(x.dtype, call.accumulate, [&]<typename C>() {
    using W = std::conditional_t<std::is_floating_point_v<C>, C, uint64_t>; // integers wrap
    const int64_t plane = out.size() / batch / *filters, positions = channels ? x.size() / batch / channels : 0;
    const int64_t depth = channels / groups, taps = w.size() ? w.size() / channels / perGroup : 0;
    std::vector<C> weights(w.size()), offsets(*filters, C(0)), image(channels * positions), sums(*filters * plane);
    std::vector<int64_t> targets(positions);
    loadOf<C>(x.dtype)(w.data, 0, 1, w.size(), weights.data());
    if (bias.present())
      loadOf<C>(x.dtype)(bias.data, 0, 1, *filters, offsets.data());
    for (int64_t n = 0; n < batch; ++n) {
      loadOf<C>(x.dtype)(x.data, n * channels * positions, 1, channels * positions, image.data());
      for (int64_t f = 0; f < *filters; ++f)
        std::fill_n(sums.begin() + f * plane, plane, offsets[f]);
      for (int64_t tap = 0; tap < taps && positions > 0; ++tap) {
        for (int64_t p = 0; p < positions; ++p)
          targets[p] = spread.target(p, tap);
        for (int64_t c = 0; c < channels; ++c)
          for (int64_t f = 0; f < perGroup; ++f) {
            const C weight = weights[(c * perGroup + f) * taps + tap];
            const C *from = image.data() + c * positions;
            C *to = sums.data() + (c / depth * perGroup + f) * plane;
            for (int64_t p = 0; p < positions; ++p)
              if (int64_t at = targets[p]; at >= 0)
                to[at] = static_cast<C>(W(to[at]) + W(from[p]) * W(weight));
          }
      }
      storeOf<C>(out.dtype)(sums.data(), *filters * plane, out.data, n * *filters * plane, 1);
    }
    return Status();
  });
}

} // namespace kiln::ref
