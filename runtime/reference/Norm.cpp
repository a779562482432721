// Normalisations: layer_norm, rms_norm, batch_norm, group_norm.
#include "runtime/reference/Element.h"
#include "runtime/reference/Kernels.h"
#include "runtime/reference/Strided.h"

namespace kiln::ref {
namespace {

/// An optional per-element parameter (scale, bias) of a normalised span, read into the compute type
/// and broadcast to `dims`; `fallback` everywhere when it is absent.
template <typename C>
Result<std::vector<C>> parameter(std::string_view op, std::string_view what, const TensorView &view,
                                 std::span<const int64_t> dims, C fallback) {
  int64_t count = 1;
  for (int64_t d : dims)
    count *= d;
  std::vector<C> values(count, fallback);
  if (!view.present())
    return values;
  // It may have leading axes of size 1 before the normalised ones.
  TensorView trimmed = view;
  while (trimmed.dims.size() > dims.size() && trimmed.dims.front() == 1)
    trimmed.dims = trimmed.dims.subspan(1);
  const TensorView both[] = {TensorView{nullptr, view.dtype, dims}, trimmed};
  KILN_ASSIGN(const Dims joint, broadcastDims(op, both));
  if (!std::ranges::equal(joint, dims))
    return makeError(ErrorCode::E0304, op, ": ", what, " has dims ", printDims(view.dims),
                     ", which do not broadcast to ", printDims(dims));
  const Walk<2> walk(dims, {broadcastStrides(trimmed.dims, dims), broadcastStrides(dims, dims)});
  const Load<C> load = loadOf<C>(view.dtype);
  walk.rows([&](const std::array<int64_t, 2> &at, int64_t n) {
    load(view.data, at[0], walk.inner()[0], n, values.data() + at[1]);
  });
  return values;
}

/// Mean and variance of a span, in two passes.
template <typename C> std::pair<C, C> moments(std::span<const C> line) {
  C mean = 0, variance = 0;
  for (C v : line)
    mean += v;
  mean /= static_cast<C>(line.size());
  for (C v : line)
    variance += (v - mean) * (v - mean);
  return {mean, variance / static_cast<C>(line.size())};
}

Status normalizeRows(std::string_view op, const OpCall &call, bool centered) {
  const TensorView &x = call.inputs[0], &out = call.outputs[0];
  KILN_TRY(checkOutput(op, call, x.dtype, x.dims));
  KILN_ASSIGN(const int64_t axis, normalizeAxis(op, call.attributes.getInt("axis", -1), x.rank()));
  const double epsilon = call.attributes.getFloat("epsilon", 1e-5);
  return withFloat(op, x.dtype, call.accumulate, [&]<typename C>() -> Status {
    const auto inner = x.dims.subspan(axis);
    KILN_ASSIGN(const auto scale, parameter<C>(op, "scale", operand(call, 1), inner, C(1)));
    KILN_ASSIGN(const auto bias, parameter<C>(op, "bias", operand(call, 2), inner, C(0)));
    const int64_t length = static_cast<int64_t>(scale.size());
    const int64_t rows = length ? x.size() / length : 0;
    const Load<C> load = loadOf<C>(x.dtype);
    const Store<C> store = storeOf<C>(out.dtype);
    std::vector<C> line(length);
    for (int64_t r = 0; r < rows; ++r) {
      load(x.data, r * length, 1, length, line.data());
      C mean = 0, power = 0;
      if (centered)
        std::tie(mean, power) = moments<C>(line);
      else {
        for (C v : line)
          power += v * v;
        power /= static_cast<C>(length);
      }
      const C deviation = std::sqrt(power + static_cast<C>(epsilon));
      for (int64_t i = 0; i < length; ++i)
        line[i] = (line[i] - mean) / deviation * scale[i] + bias[i];
      store(line.data(), length, out.data, r * length, 1);
    }
    return {};
  });
}

} // namespace

Status op_layer_norm(const OpCall &call) {
  KILN_TRY(checkCounts("layer_norm", call, 1, 3));
  return normalizeRows("layer_norm", call, true);
}

Status op_rms_norm(const OpCall &call) {
  KILN_TRY(checkCounts("rms_norm", call, 1, 2));
  return normalizeRows("rms_norm", call, false);
}

Status op_batch_norm(const OpCall &call) {
  KILN_TRY(checkCounts("batch_norm", call, 5, 5));
  const TensorView &x = call.inputs[0], &out = call.outputs[0];
  KILN_TRY(checkOutput("batch_norm", call, x.dtype, x.dims));
  KILN_ASSIGN(const int64_t axis, normalizeAxis("batch_norm", call.attributes.getInt("channel_axis", 1), x.rank()));
  const int64_t channels = x.dims[axis];
  int64_t inner = 1;
  for (int64_t i = axis + 1; i < x.rank(); ++i)
    inner *= x.dims[i];
  const double epsilon = call.attributes.getFloat("epsilon", 1e-5);
  return withFloat("batch_norm", x.dtype, call.accumulate, [&]<typename C>() -> Status {
    const std::span<const int64_t> dims(&channels, 1);
    KILN_ASSIGN(const auto scale, parameter<C>("batch_norm", "scale", call.inputs[1], dims, C(1)));
    KILN_ASSIGN(const auto bias, parameter<C>("batch_norm", "bias", call.inputs[2], dims, C(0)));
    KILN_ASSIGN(const auto mean, parameter<C>("batch_norm", "mean", call.inputs[3], dims, C(0)));
    KILN_ASSIGN(const auto variance, parameter<C>("batch_norm", "variance", call.inputs[4], dims, C(1)));
    const Load<C> load = loadOf<C>(x.dtype);
    const Store<C> store = storeOf<C>(out.dtype);
    std::vector<C> line(inner);
    const int64_t lines = x.size() ? x.size() / inner : 0;
    for (int64_t l = 0; l < lines; ++l) {
      const int64_t c = l % channels;
      const C deviation = std::sqrt(variance[c] + static_cast<C>(epsilon));
      load(x.data, l * inner, 1, inner, line.data());
      for (C &v : line)
        v = (v - mean[c]) / deviation * scale[c] + bias[c];
      store(line.data(), inner, out.data, l * inner, 1);
    }
    return {};
  });
}

Status op_group_norm(const OpCall &call) {
  KILN_TRY(checkCounts("group_norm", call, 1, 3));
  const TensorView &x = call.inputs[0], &out = call.outputs[0];
  KILN_TRY(checkOutput("group_norm", call, x.dtype, x.dims));
  if (x.rank() < 2)
    return makeError(ErrorCode::E0304, "group_norm: the operand has rank ", x.rank(), ", expected at least 2");
  const int64_t channels = x.dims[1];
  const int64_t groups = call.attributes.getInt("groups", 1);
  if (groups < 1 || channels % groups != 0)
    return makeError(ErrorCode::E0411, "group_norm: ", groups, " groups do not divide ", channels, " channels");
  const double epsilon = call.attributes.getFloat("epsilon", 1e-5);
  return withFloat("group_norm", x.dtype, call.accumulate, [&]<typename C>() -> Status {
    const std::span<const int64_t> dims(&channels, 1);
    KILN_ASSIGN(const auto scale, parameter<C>("group_norm", "scale", operand(call, 1), dims, C(1)));
    KILN_ASSIGN(const auto bias, parameter<C>("group_norm", "bias", operand(call, 2), dims, C(0)));
    if (x.size() == 0)
      return {};
    const int64_t spans = x.dims[0] * groups, length = x.size() / spans;
    const int64_t perGroup = channels / groups, inner = length / perGroup;
    const Load<C> load = loadOf<C>(x.dtype);
    const Store<C> store = storeOf<C>(out.dtype);
    std::vector<C> line(length);
    for (int64_t s = 0; s < spans; ++s) {
      load(x.data, s * length, 1, length, line.data());
      const auto [mean, variance] = moments<C>(line);
      const C deviation = std::sqrt(variance + static_cast<C>(epsilon));
      for (int64_t i = 0; i < length; ++i) {
        const int64_t c = s % groups * perGroup + i / inner;
        line[i] = (line[i] - mean) / deviation * scale[c] + bias[c];
      }
      store(line.data(), length, out.data, s * length, 1);
    }
    return {};
  });
}

} // namespace kiln::ref
