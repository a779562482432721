#include "runtime/reference/Element.h"
#include "runtime/reference/Kernels.h"
#include "runtime/reference/Strided.h"

#include <algorithm>
#include <cstring>

namespace kiln::ref {
namespace {

enum class Mode { Constant, Edge, Reflect, Wrap };

/// The operand's index that a result's index along an axis shows, or -1 for the fill value. `at`
/// may lie outside.
int64_t sourceIndex(Mode mode, int64_t at, int64_t size) {
  switch (mode) {
  case Mode::Constant: return at >= 0 && at < size ? at : -1;
  case Mode::Edge: return std::clamp<int64_t>(at, 0, size - 1);
  case Mode::Wrap: return (at % size + size) % size;
  case Mode::Reflect: {
    if (size == 1)
      return 0;
    const int64_t period = 2 * (size - 1), phase = (at % period + period) % period;
    return std::min(phase, period - phase);
  }
  }
  return -1;
}

/// Writes result axes axis.. from byte offset `to`; `from` is the operand's byte offset, -1 where
/// all is fill.
struct Padder {
  const std::vector<Dims> &sources;
  const Dims &inStrides, &outStrides; // bytes
  const char *in;
  char *out;
  const char *fill;
  int64_t width;

  void write(size_t axis, int64_t from, int64_t to) const {
    if (axis == sources.size()) {
      std::memcpy(out + to, from < 0 ? fill : in + from, width);
      return;
    }
    for (size_t i = 0; i < sources[axis].size(); ++i) {
      const int64_t index = sources[axis][i];
      write(axis + 1, from < 0 || index < 0 ? -1 : from + index * inStrides[axis],
            to + static_cast<int64_t>(i) * outStrides[axis]);
    }
  }
};

} // namespace

Status op_pad(const OpCall &call) {
  KILN_TRY(checkCounts("pad", call, 1, 3));
  const TensorView &x = call.inputs[0], value = operand(call, 2), &out = call.outputs[0];
  KILN_ASSIGN(const IntList pads, intsOf("pad", call, 1, "pads"));
  const size_t rank = x.dims.size();
  if (!pads.found || pads.values.size() != 2 * rank)
    return makeError(ErrorCode::E0404, "pad: needs two pads per axis of ", printDims(x.dims));
  const std::string name = call.attributes.getString("mode", "constant");
  Mode mode;
  if (name == "constant")
    mode = Mode::Constant;
  else if (name == "edge")
    mode = Mode::Edge;
  else if (name == "reflect")
    mode = Mode::Reflect;
  else if (name == "wrap")
    mode = Mode::Wrap;
  else
    return makeError(ErrorCode::E0411, "pad: unknown mode \"", name, "\"");

  Dims dims(rank);
  for (size_t i = 0; i < rank; ++i) {
    const std::optional<int64_t> front = checkedAdd(x.dims[i], pads.values[i]);
    const std::optional<int64_t> both = front ? checkedAdd(*front, pads.values[rank + i]) : std::nullopt;
    if (!both || *both < 0)
      return makeError(ErrorCode::E0513, "pad: pads ", pads.values[i], " and ", pads.values[rank + i],
                       " do not fit axis ", i, " of size ", x.dims[i]);
    dims[i] = *both;
  }
  KILN_TRY(checkOutput("pad", call, x.dtype, dims));
  std::vector<Dims> sources(rank);
  for (size_t i = 0; i < rank; ++i) {
    if (mode != Mode::Constant && x.dims[i] == 0 && out.size() > 0)
      return makeError(ErrorCode::E0513, "pad: axis ", i, " has no elements to repeat");
    for (int64_t at = 0; at < dims[i]; ++at)
      sources[i].push_back(x.dims[i] ? sourceIndex(mode, at - pads.values[i], x.dims[i]) : -1);
  }
  alignas(8) char fill[8] = {};
  if (value.present()) {
    KILN_TRY(checkType("pad", "the value", value, x.dtype));
    if (value.size() != 1)
      return makeError(ErrorCode::E0304, "pad: the value has dims ", printDims(value.dims), ", expected a scalar");
    std::memcpy(fill, value.data, dtypeBytes(x.dtype));
  } else if (double constant = call.attributes.getFloat("value"); constant != 0)
    storeOf<double>(x.dtype)(&constant, 1, fill, 0, 1);
  if (out.size() == 0)
    return {};
  const int64_t width = dtypeBytes(x.dtype);
  Dims inStrides = denseStrides(x.dims), outStrides = denseStrides(dims);
  for (size_t i = 0; i < rank; ++i) {
    inStrides[i] *= width;
    outStrides[i] *= width;
  }
  const Padder padder{sources, inStrides, outStrides, x.as<char>(), out.as<char>(), fill, width};
  padder.write(0, x.size() ? 0 : -1, 0);
  return {};
}

} // namespace kiln::ref
