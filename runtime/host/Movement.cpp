// concat, expand and reverse_sequence: copies of whole rows.
#include "runtime/host/Kernels.h"
#include "runtime/reference/Strided.h"

#include <algorithm>

namespace kiln::host {

using ref::OpCall;

Status concat(const OpCall &call) {
  if (call.inputs.empty() || call.outputs.size() != 1 || call.inputs[0].rank() == 0)
    return reference("concat", call);
  const TensorView &first = call.inputs[0], &out = call.outputs[0];
  int64_t axis = call.attributes.getInt("axis");
  axis += axis < 0 ? first.rank() : 0;
  if (axis < 0 || axis >= first.rank())
    return reference("concat", call);
  ref::Dims dims(first.dims.begin(), first.dims.end());
  dims[axis] = 0;
  for (const TensorView &x : call.inputs) {
    if (!x.present() || x.dtype != first.dtype || x.rank() != first.rank())
      return reference("concat", call);
    for (int64_t d = 0; d < x.rank(); ++d)
      if (d != axis && x.dims[d] != dims[d])
        return reference("concat", call);
    dims[axis] += x.dims[axis];
  }
  KILN_TRY(ref::checkOutput("concat", call, first.dtype, dims));
  const int64_t outer = product(first.dims.first(axis));
  const int64_t width = product(first.dims.subspan(axis + 1)) * dtypeBytes(first.dtype), row = dims[axis] * width;
  char *to = out.as<char>();
  for (const TensorView &x : call.inputs) {
    const int64_t own = x.dims[axis] * width;
    for (int64_t o = 0; o < outer && own > 0; ++o)
      std::memcpy(to + o * row, x.as<char>() + o * own, static_cast<size_t>(own));
    to += own;
  }
  return {};
}

Status expand(const OpCall &call) {
  if (call.inputs.empty() || call.inputs.size() > 2 || call.outputs.size() != 1)
    return reference("expand", call);
  const TensorView &x = call.inputs[0], &out = call.outputs[0], shape = ref::operand(call, 1);
  ref::Dims asked(out.dims.begin(), out.dims.end()); // the result says, unless the operand does
  if (shape.present()) {
    KILN_ASSIGN(asked, ref::readInts("expand", "the shape", shape));
    for (size_t i = 0; i < asked.size(); ++i)
      if (asked[i] == -1 && asked.size() - i <= x.dims.size())
        asked[i] = 1; // keeps the dim
  }
  if (!elementCount(asked) || out.dtype != x.dtype)
    return reference("expand", call);
  const TensorView both[] = {{nullptr, x.dtype, asked}, x};
  const Result<ref::Dims> dims = ref::broadcastDims("expand", both);
  if (!dims.ok())
    return reference("expand", call);
  KILN_TRY(ref::checkOutput("expand", call, x.dtype, *dims));
  const ref::Walk<2> walk(*dims, {ref::broadcastStrides(x.dims, *dims), denseStrides(*dims)});
  withBytes(dtypeBytes(x.dtype), [&](auto width) {
    const bool repeats = walk.inner()[0] == 0;
    walk.rows([&](const std::array<int64_t, 2> &offsets, int64_t n) {
      const char *from = x.as<char>() + offsets[0] * width;
      char *to = out.as<char>() + offsets[1] * width;
      if (repeats)
        for (int64_t i = 0; i < n; ++i)
          std::memcpy(to + i * width, from, width);
      else
        std::memcpy(to, from, static_cast<size_t>(n * width));
    });
  });
  return {};
}

Status reverseSequence(const OpCall &call) {
  constexpr std::string_view op = "reverse_sequence";
  if (call.inputs.size() != 2 || call.outputs.size() != 1)
    return reference(op, call);
  const TensorView &x = call.inputs[0], &lengths = call.inputs[1], &out = call.outputs[0];
  const int64_t batch = call.attributes.getInt("batch_axis", 1), time = call.attributes.getInt("time_axis", 0);
  if (x.rank() < 2 || batch + time != 1 || batch * time != 0 || lengths.rank() != 1 ||
      lengths.dims[0] != x.dims[batch] || (lengths.dtype != DType::I64 && lengths.dtype != DType::I32))
    return reference(op, call);
  const int64_t steps = x.dims[time], batches = x.dims[batch];
  const auto lengthOf = [&](int64_t b) -> int64_t {
    return lengths.dtype == DType::I64 ? lengths.as<int64_t>()[b] : lengths.as<int32_t>()[b];
  };
  for (int64_t b = 0; b < batches; ++b)
    if (lengthOf(b) < 0 || lengthOf(b) > steps)
      return reference(op, call);
  KILN_TRY(ref::checkOutput(op, call, x.dtype, x.dims));
  const int64_t timeStep = time == 0 ? batches : 1, batchStep = time == 0 ? 1 : steps;
  withBytes(product(x.dims.subspan(2)) * dtypeBytes(x.dtype), [&](auto width) {
    for (int64_t b = 0; b < batches; ++b)
      for (int64_t t = 0, length = lengthOf(b); t < steps; ++t) {
        const int64_t from = t < length ? length - 1 - t : t;
        std::memcpy(out.as<char>() + (b * batchStep + t * timeStep) * width,
                    x.as<char>() + (b * batchStep + from * timeStep) * width, width);
      }
  });
  return {};
}

} // namespace kiln::host
