#include "runtime/reference/Window.h"

namespace kiln::ref {

Result<Dims> perAxis(std::string_view op, const OpCall &call, std::string_view name, size_t count, int64_t fallback,
                     int64_t least) {
  Dims values = call.attributes.getInts(name, Dims(count, fallback));
  if (values.empty())
    values.assign(count, fallback);
  if (values.size() != count)
    return makeError(ErrorCode::E0404, op, ": attribute ", name, " has ", values.size(), " values, expected ", count);
  for (int64_t v : values)
    if (v < least || v > windowLimit)
      return makeError(ErrorCode::E0411, op, ": attribute ", name, " has the value ", v, ", expected at least ", least);
  return values;
}

Dims Window::tensorDims(int64_t batch, int64_t channels, std::span<const int64_t> spatial) const {
  Dims dims{batch};
  if (!channelsLast)
    dims.push_back(channels);
  dims.insert(dims.end(), spatial.begin(), spatial.end());
  if (channelsLast)
    dims.push_back(channels);
  return dims;
}

int64_t Window::source(int64_t position, int64_t tap) const {
  int64_t offset = 0, step = 1, outside = 0;
  for (int64_t i = rank; i-- > 0;) {
    const int64_t at = position % out[i] * strides[i] - padBegin[i] + tap % kernel[i] * dilations[i];
    position /= out[i];
    tap /= kernel[i];
    if (at >= in[i] + padEnd[i])
      outside = beyond;
    else if ((at < 0 || at >= in[i]) && outside == 0)
      outside = inPads;
    offset += at * step;
    step *= in[i];
  }
  return outside ? outside : offset;
}

Result<Window> makeWindow(std::string_view op, const OpCall &call, std::span<const int64_t> kernel) {
  const TensorView &x = call.inputs[0];
  Window w;
  w.rank = static_cast<int64_t>(kernel.size());
  if (x.rank() != w.rank + 2)
    return makeError(ErrorCode::E0304, op, ": the operand has dims ", printDims(x.dims), ", expected rank ",
                     w.rank + 2);
  const std::string layout = call.attributes.getString("layout", "nchw");
  if (layout != "nchw" && layout != "nhwc")
    return makeError(ErrorCode::E0411, op, ": unknown layout \"", layout, "\"");
  w.channelsLast = layout == "nhwc";
  w.kernel.assign(kernel.begin(), kernel.end());
  const auto spatial = x.dims.subspan(w.spatialAxis(), w.rank);
  w.in.assign(spatial.begin(), spatial.end());
  KILN_ASSIGN(w.strides, perAxis(op, call, "strides", w.rank, 1, 1));
  KILN_ASSIGN(w.dilations, perAxis(op, call, "dilations", w.rank, 1, 1));
  KILN_ASSIGN(const Dims pads, perAxis(op, call, "pads", 2 * w.rank, 0, 0));
  w.padBegin.assign(pads.begin(), pads.begin() + w.rank);
  w.padEnd.assign(pads.begin() + w.rank, pads.end());
  const std::string automatic = call.attributes.getString("auto_pad");
  if (!automatic.empty() && automatic != "notset" && automatic != "valid" && automatic != "same_upper" &&
      automatic != "same_lower")
    return makeError(ErrorCode::E0411, op, ": unknown auto_pad \"", automatic, "\"");
  const bool ceil = call.attributes.getBool("ceil_mode");

  for (int64_t i = 0; i < w.rank; ++i) {
    const int64_t size = w.in[i], stride = w.strides[i];
    if (w.kernel[i] < 1 || w.kernel[i] > windowLimit || size > windowLimit)
      return makeError(ErrorCode::E0304, op, ": kernel ", printDims(kernel), " is not possible on dims ",
                       printDims(x.dims));
    int64_t extent; // of the dilated kernel, minus one
    if (__builtin_mul_overflow(w.kernel[i] - 1, w.dilations[i], &extent) || extent > windowLimit)
      return makeError(ErrorCode::E0411, op, ": the dilated kernel is too large");
    int64_t result;
    if (automatic == "same_upper" || automatic == "same_lower") {
      result = (size + stride - 1) / stride;
      const int64_t total = std::max<int64_t>(0, (result - 1) * stride + extent + 1 - size);
      w.padBegin[i] = automatic == "same_upper" ? total / 2 : total - total / 2;
      w.padEnd[i] = total - w.padBegin[i];
    } else {
      if (automatic == "valid")
        w.padBegin[i] = w.padEnd[i] = 0;
      const int64_t room = size + w.padBegin[i] + w.padEnd[i] - extent - 1, slack = ceil ? room + stride - 1 : room;
      // A window that fits into any operand with elements has no position on one without.
      if (slack + (size == 0) < 0)
        return makeError(ErrorCode::E0304, op, ": kernel ", printDims(kernel), " does not fit into dims ",
                         printDims(x.dims), " and its pads");
      result = slack < 0 ? 0 : slack / stride + 1;
      if (ceil) // the last window starts inside or in the front pad
        result = std::min(result, (size + w.padBegin[i] + stride - 1) / stride);
    }
    w.out.push_back(result);
  }
  return w;
}

} // namespace kiln::ref
