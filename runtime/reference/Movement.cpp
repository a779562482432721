// Ops that place elements elsewhere without computing: reshape, transpose, concat, slice, expand,
// pad, tile; and shape and range, which make index tensors.
#include "runtime/reference/Elementwise.h"
#include "runtime/reference/Kernels.h"

#include <algorithm>
#include <cstring>

namespace kiln::ref {
namespace {

/// The output has the operand's type and `dims`.
Status checkMoved(std::string_view op, const OpCall &call, std::span<const int64_t> dims) {
  return checkOutput(op, call, call.inputs[0].dtype, dims);
}

/// What `shape` asks for: -1 is inferred, 0 copies the operand's dim unless `allowZero`.
Result<Dims> reshapedDims(const TensorView &x, const TensorView &shape, bool allowZero) {
  KILN_ASSIGN(Dims dims, readInts("reshape", "the shape", shape));
  int64_t *inferred = nullptr, known = 1;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] == -1 && !inferred) {
      inferred = &dims[i];
      continue;
    }
    if (dims[i] == 0 && !allowZero && i < x.dims.size())
      dims[i] = x.dims[i];
    std::optional<int64_t> product = dims[i] < 0 ? std::nullopt : checkedMul(known, dims[i]);
    if (!product || (dims[i] == 0 && !allowZero && i >= x.dims.size()))
      return makeError(ErrorCode::E0513, "reshape: the shape has the entry ", dims[i], " for an operand of dims ",
                       printDims(x.dims));
    known = *product;
  }
  if (inferred) {
    if (known == 0 || x.size() % known != 0)
      return makeError(ErrorCode::E0304, "reshape: the ", x.size(), " elements of dims ", printDims(x.dims),
                       " do not divide into ", known);
    *inferred = x.size() / known;
  }
  return dims;
}

/// ceil((limit - start) / delta), at least 0; -1 where that is no number or no size.
template <typename C> int64_t rangeLength(C start, C limit, C delta) {
  if constexpr (std::is_floating_point_v<C>) {
    const double steps = std::ceil((static_cast<double>(limit) - start) / delta);
    return std::isnan(steps) || steps > 0x1p62 ? -1 : static_cast<int64_t>(std::max(steps, 0.0));
  } else {
    const __int128 span = static_cast<__int128>(limit) - start, step = delta;
    const __int128 steps = span / step + (span % step != 0 && (span < 0) == (step < 0));
    return steps < 0 ? 0 : steps > INT64_MAX ? -1 : static_cast<int64_t>(steps);
  }
}

} // namespace

Status op_reshape(const OpCall &call) {
  KILN_TRY(checkCounts("reshape", call, 1, 2));
  const TensorView &x = call.inputs[0], &out = call.outputs[0];
  if (TensorView shape = operand(call, 1); shape.present()) {
    KILN_ASSIGN(const Dims dims, reshapedDims(x, shape, call.attributes.getBool("allow_zero")));
    KILN_TRY(checkMoved("reshape", call, dims));
  } else { // the result says
    KILN_TRY(checkType("reshape", "the result", out, x.dtype));
  }
  if (out.size() != x.size())
    return makeError(ErrorCode::E0304, "reshape: dims ", printDims(x.dims), " do not have as many elements as ",
                     printDims(out.dims));
  if (x.size())
    std::memcpy(out.data, x.data, x.bytes());
  return {};
}

Status op_transpose(const OpCall &call) {
  KILN_TRY(checkCounts("transpose", call, 1, 1));
  const TensorView &x = call.inputs[0];
  Dims reversed(x.rank());
  for (int64_t i = 0; i < x.rank(); ++i)
    reversed[i] = x.rank() - 1 - i;
  const Dims perm = call.attributes.getInts("perm", reversed);
  Dims sorted = perm;
  std::ranges::sort(sorted);
  for (int64_t i = 0; i < x.rank(); ++i)
    if (sorted.size() != x.dims.size() || sorted[i] != i)
      return makeError(ErrorCode::E0411, "transpose: perm ", printDims(perm), " is not a permutation for rank ",
                       x.rank());
  const Dims from = denseStrides(x.dims);
  Dims dims(x.rank()), strides(x.rank());
  for (int64_t i = 0; i < x.rank(); ++i) {
    dims[i] = x.dims[perm[i]];
    strides[i] = from[perm[i]];
  }
  KILN_TRY(checkMoved("transpose", call, dims));
  copyStrided(x.dtype, dims, x, 0, strides, call.outputs[0], 0, denseStrides(dims));
  return {};
}

Status op_concat(const OpCall &call) {
  if (call.inputs.empty() || call.outputs.size() != 1)
    return makeError(ErrorCode::E0306, "concat takes one operand or more and has one result");
  const TensorView &first = call.inputs[0], &out = call.outputs[0];
  KILN_ASSIGN(const int64_t axis, normalizeAxis("concat", call.attributes.getInt("axis"), first.rank()));
  Dims dims(first.dims.begin(), first.dims.end());
  dims[axis] = 0;
  for (const TensorView &x : call.inputs) {
    KILN_TRY(checkType("concat", "an operand", x, first.dtype));
    Dims like(x.dims.begin(), x.dims.end());
    if (x.rank() == first.rank()) {
      dims[axis] += x.dims[axis];
      like[axis] = first.dims[axis];
    }
    if (!std::ranges::equal(like, first.dims))
      return makeError(ErrorCode::E0304, "concat: dims ", printDims(first.dims), " and ", printDims(x.dims),
                       " differ beside axis ", axis);
  }
  KILN_TRY(checkMoved("concat", call, dims));
  const Dims strides = denseStrides(dims);
  int64_t at = 0;
  for (const TensorView &x : call.inputs) {
    copyStrided(x.dtype, x.dims, x, 0, denseStrides(x.dims), out, at * strides[axis], strides);
    at += x.dims[axis];
  }
  return {};
}

Status op_slice(const OpCall &call) {
  KILN_TRY(checkCounts("slice", call, 1, 5));
  const TensorView &x = call.inputs[0];
  KILN_ASSIGN(const IntList starts, intsOf("slice", call, 1, "starts"));
  KILN_ASSIGN(const IntList ends, intsOf("slice", call, 2, "ends"));
  KILN_ASSIGN(IntList axes, intsOf("slice", call, 3, "axes"));
  KILN_ASSIGN(IntList steps, intsOf("slice", call, 4, "steps"));
  const size_t count = starts.values.size();
  if (!starts.found || !ends.found)
    return makeError(ErrorCode::E0401, "slice: starts or ends are missing");
  if (axes.values.empty()) // absent, as an operand or an attribute
    for (size_t i = 0; i < count; ++i)
      axes.values.push_back(static_cast<int64_t>(i));
  if (steps.values.empty())
    steps.values.assign(count, 1);
  if (ends.values.size() != count || axes.values.size() != count || steps.values.size() != count)
    return makeError(ErrorCode::E0404, "slice: starts, ends, axes and steps differ in length");
  Dims dims(x.dims.begin(), x.dims.end());
  Dims strides = denseStrides(x.dims);
  const Dims dense = strides;
  std::vector<bool> seen(x.rank(), false);
  int64_t offset = 0;
  for (size_t i = 0; i < count; ++i) {
    KILN_ASSIGN(const int64_t axis, normalizeAxis("slice", axes.values[i], x.rank()));
    if (seen[axis])
      return makeError(ErrorCode::E0413, "slice: axis ", axis, " is given twice");
    seen[axis] = true;
    const int64_t size = x.dims[axis], step = steps.values[i];
    if (step == 0)
      return makeError(ErrorCode::E0411, "slice: a step is 0");
    // Negative positions count from the end; then they are clamped, for a falling slice to
    // -1..size-1.
    const auto clamp = [&](int64_t at) {
      if (at < 0)
        at = std::max(at, -size - 1) + size;
      return step > 0 ? std::clamp<int64_t>(at, 0, size) : std::clamp<int64_t>(at, -1, size - 1);
    };
    const int64_t start = clamp(starts.values[i]), end = clamp(ends.values[i]);
    const int64_t span = step > 0 ? end - start : start - end;
    const uint64_t stride = step > 0 ? uint64_t(step) : uint64_t{0} - uint64_t(step);
    dims[axis] = span <= 0 ? 0 : static_cast<int64_t>((uint64_t(span) - 1) / stride + 1);
    if (dims[axis] > 0)
      offset += start * dense[axis];
    strides[axis] = dims[axis] > 1 ? dense[axis] * step : 0;
  }
  KILN_TRY(checkMoved("slice", call, dims));
  copyStrided(x.dtype, dims, x, offset, strides, call.outputs[0], 0, denseStrides(dims));
  return {};
}

Status op_expand(const OpCall &call) {
  KILN_TRY(checkCounts("expand", call, 1, 2));
  const TensorView &x = call.inputs[0], &out = call.outputs[0];
  TensorView target = out; // the result says, unless the operand does
  Dims asked;
  if (TensorView shape = operand(call, 1); shape.present()) {
    KILN_ASSIGN(asked, readInts("expand", "the shape", shape));
    for (size_t i = 0; i < asked.size(); ++i)
      if (asked[i] == -1 && asked.size() - i <= x.dims.size())
        asked[i] = 1; // keeps the dim
    if (!elementCount(asked))
      return makeError(ErrorCode::E0513, "expand: the shape ", printDims(asked), " is out of range");
    target.dims = asked;
  }
  const TensorView both[] = {target, x};
  KILN_ASSIGN(const Dims joint, broadcastDims("expand", both));
  KILN_TRY(checkMoved("expand", call, joint));
  copyStrided(x.dtype, out.dims, x, 0, broadcastStrides(x.dims, out.dims), out, 0, denseStrides(out.dims));
  return {};
}

Status op_tile(const OpCall &call) {
  KILN_TRY(checkCounts("tile", call, 1, 2));
  const TensorView &x = call.inputs[0], &out = call.outputs[0];
  KILN_ASSIGN(IntList repeats, intsOf("tile", call, 1, "repeats"));
  if (!repeats.found) // the result says how often
    KILN_TRY(checkRank("tile", "the result", out, x.rank()));
  if (!repeats.found)
    for (int64_t i = 0; i < x.rank(); ++i)
      repeats.values.push_back(x.dims[i] ? out.dims[i] / x.dims[i] : 1);
  if (repeats.values.size() != x.dims.size())
    return makeError(ErrorCode::E0404, "tile: needs one repeat per axis of ", printDims(x.dims));
  // The result, seen as [repeat 0, dim 0, repeat 1, dim 1, ...], is a broadcast of the operand.
  Dims dims, space, from;
  const Dims dense = denseStrides(x.dims);
  for (int64_t i = 0; i < x.rank(); ++i) {
    const int64_t repeat = repeats.values[i];
    const std::optional<int64_t> dim = checkedMul(repeat, x.dims[i]);
    if (repeat < 0 || !dim)
      return makeError(ErrorCode::E0513, "tile: repeat ", repeat, " is out of range");
    dims.push_back(*dim);
    space.insert(space.end(), {repeat, x.dims[i]});
    from.insert(from.end(), {0, dense[i]});
  }
  KILN_TRY(checkMoved("tile", call, dims));
  copyStrided(x.dtype, space, x, 0, from, out, 0, denseStrides(space));
  return {};
}

Status op_shape(const OpCall &call) {
  KILN_TRY(checkCounts("shape", call, 1, 1));
  const TensorView &x = call.inputs[0], &out = call.outputs[0];
  const int64_t rank = x.rank();
  const auto clamp = [&](int64_t at) {
    return std::clamp<int64_t>(at < 0 ? std::max(at, -rank - 1) + rank : at, 0, rank);
  };
  const int64_t start = clamp(call.attributes.getInt("start", 0));
  const int64_t end = clamp(call.attributes.getInt("end", rank));
  const int64_t count = std::max<int64_t>(0, end - start);
  KILN_TRY(checkOutput("shape", call, DType::I64, std::span(&count, 1)));
  std::copy_n(x.dims.begin() + start, count, out.as<int64_t>());
  return {};
}

Status op_range(const OpCall &call) {
  KILN_TRY(checkCounts("range", call, 3, 3));
  const TensorView &out = call.outputs[0];
  const DType dtype = call.inputs[0].dtype;
  for (const TensorView &x : call.inputs) {
    KILN_TRY(checkType("range", "an operand", x, dtype));
    if (x.size() != 1)
      return makeError(ErrorCode::E0304, "range: an operand has dims ", printDims(x.dims), ", expected a scalar");
  }
  if (dtype == DType::Bool)
    return makeError(ErrorCode::E0203, "range is not defined for bool");
  return withCompute(dtype, call.accumulate, [&]<typename C>() -> Status {
    C value[3];
    for (int k = 0; k < 3; ++k)
      loadOf<C>(dtype)(call.inputs[k].data, 0, 0, 1, &value[k]);
    const auto [start, limit, delta] = value;
    if (delta == 0)
      return makeError(ErrorCode::E0513, "range: the step is 0");
    const int64_t count = rangeLength(start, limit, delta);
    if (count < 0)
      return makeError(ErrorCode::E0513, "range: the number of elements is out of range");
    KILN_TRY(checkOutput("range", call, dtype, std::span(&count, 1)));
    // Integers step in u64, where wrapping is defined.
    using W = std::conditional_t<std::is_floating_point_v<C>, C, uint64_t>;
    C run[runLength];
    for (int64_t begin = 0; begin < count; begin += runLength) {
      const int64_t n = std::min(runLength, count - begin);
      for (int64_t i = 0; i < n; ++i)
        run[i] = static_cast<C>(W(start) + W(begin + i) * W(delta));
      storeOf<C>(dtype)(run, n, out.data, begin, 1);
    }
    return {};
  });
}

Status op_bitcast(const OpCall &call) {
  KILN_TRY(checkCounts("bitcast", call, 1, 1));
  const TensorView &x = call.inputs[0];
  const std::string to = call.attributes.getString("to");
  const std::optional<DType> dtype = dtypeFromName(to);
  if (!dtype)
    return makeError(ErrorCode::E0411, "bitcast: unknown element type \"", to, "\"");
  if (dtypeBytes(*dtype) != dtypeBytes(x.dtype))
    return makeError(ErrorCode::E0305, "bitcast: an element of ", dtypeName(x.dtype), " has not the width of ", to);
  KILN_TRY(checkOutput("bitcast", call, *dtype, x.dims));
  if (x.size() > 0)
    std::memcpy(call.outputs[0].data, x.data, static_cast<size_t>(x.bytes()));
  return {};
}

} // namespace kiln::ref
