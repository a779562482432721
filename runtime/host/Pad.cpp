// pad: rows of the innermost axis that is padded, what is inside copied whole.
#include "runtime/host/Kernels.h"
#include "runtime/reference/Element.h"

#include <algorithm>
#include <vector>

namespace kiln::host {

using ref::OpCall;

namespace {

enum class Mode { Constant, Edge, Reflect, Wrap };

std::optional<Mode> modeOf(const OpCall &call) {
  const std::string *name = call.attributes.findString("mode");
  if (!name || *name == "constant")
    return Mode::Constant;
  if (*name == "edge")
    return Mode::Edge;
  if (*name == "reflect")
    return Mode::Reflect;
  return *name == "wrap" ? std::optional(Mode::Wrap) : std::nullopt;
}

/// The index of x that one along an axis shows, which may lie outside; -1 for the fill value.
int64_t shownBy(Mode mode, int64_t at, int64_t size) {
  if (at >= 0 && at < size)
    return at;
  switch (mode) {
  case Mode::Constant: break;
  case Mode::Edge: return at < 0 ? 0 : size - 1;
  case Mode::Wrap: return (at % size + size) % size;
  case Mode::Reflect: {
    const int64_t period = std::max<int64_t>(2 * (size - 1), 1), phase = (at % period + period) % period;
    return std::min(phase, period - phase);
  }
  }
  return -1;
}

/// `n` elements of `bytes` each.
void fill(char *to, int64_t n, const char *value, int64_t bytes) {
  withBytes(bytes, [&](auto width) {
    for (int64_t i = 0; i < n; ++i)
      std::memcpy(to + i * width, value, width);
  });
}

} // namespace

Status pad(const OpCall &call) {
  if (call.inputs.empty() || call.inputs.size() > 3 || call.outputs.size() != 1)
    return reference("pad", call);
  const TensorView &x = call.inputs[0], &out = call.outputs[0], given = ref::operand(call, 1),
                   value = ref::operand(call, 2);
  const std::optional<Mode> mode = modeOf(call);
  ref::Dims pads;
  if (given.present()) {
    KILN_ASSIGN(pads, ref::readInts("pad", "pads", given));
  } else {
    pads = call.attributes.getInts("pads");
  }
  const size_t rank = x.dims.size();
  if (!mode || rank == 0 || pads.size() != 2 * rank || x.size() == 0 ||
      (value.present() && (value.dtype != x.dtype || value.size() != 1)))
    return reference("pad", call);
  ref::Dims dims(rank);
  size_t row = 0; // the innermost axis that is padded
  for (size_t i = 0; i < rank; ++i) {
    constexpr int64_t most = int64_t{1} << 40;
    if (std::clamp(pads[i], -most, most) != pads[i] || std::clamp(pads[rank + i], -most, most) != pads[rank + i])
      return reference("pad", call);
    dims[i] = x.dims[i] + pads[i] + pads[rank + i];
    if (dims[i] < 0)
      return reference("pad", call);
    row = pads[i] != 0 || pads[rank + i] != 0 ? i : row;
  }
  KILN_TRY(ref::checkOutput("pad", call, x.dtype, dims));
  if (out.size() == 0)
    return {};
  const int64_t element = dtypeBytes(x.dtype), behind = product(x.dims.subspan(row + 1)), size = x.dims[row];
  alignas(8) char filler[8] = {};
  if (value.present())
    std::memcpy(filler, value.data, static_cast<size_t>(element));
  else if (const double constant = call.attributes.getFloat("value"); constant != 0)
    ref::storeOf<double>(x.dtype)(&constant, 1, filler, 0, 1);
  // Positions that show the inside are first .. last of a row.
  const int64_t front = pads[row], length = dims[row];
  const int64_t first = std::clamp<int64_t>(front, 0, length), last = std::clamp<int64_t>(front + size, first, length);
  const auto outerDims = std::span<const int64_t>(dims).first(row);
  const int64_t rows = product(outerDims);
  withBytes(behind * element, [&](auto width) {
    parallelFor(call, rows, 32768 / (length * width) + 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        int64_t from = 0, step = 1, rest = r;
        for (size_t axis = row; axis-- > 0 && from >= 0; step *= x.dims[axis]) {
          const int64_t at = shownBy(*mode, rest % dims[axis] - pads[axis], x.dims[axis]);
          from = at < 0 ? -1 : from + at * step;
          rest /= dims[axis];
        }
        char *to = out.as<char>() + r * length * width;
        if (from < 0) {
          fill(to, length * behind, filler, element);
          continue;
        }
        const char *source = x.as<char>() + from * size * width;
        const auto outside = [&](int64_t i, int64_t stop) {
          for (; i < stop; ++i)
            if (const int64_t at = shownBy(*mode, i - front, size); at < 0)
              fill(to + i * width, behind, filler, element);
            else
              std::memcpy(to + i * width, source + at * width, width);
        };
        outside(0, first);
        std::memcpy(to + first * width, source + (first - front) * width, static_cast<size_t>((last - first) * width));
        outside(last, length);
      }
    });
  });
  return {};
}

} // namespace kiln::host
