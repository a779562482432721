// cumsum and cumprod.
#include "runtime/reference/Element.h"
#include "runtime/reference/Indices.h"
#include "runtime/reference/Kernels.h"

namespace kiln::ref {

/// The axis, which may be data.
static Result<int64_t> axisOf(std::string_view op, const OpCall &call) {
  const int64_t rank = call.inputs[0].rank();
  const TensorView along = operand(call, 1);
  if (!along.present())
    return normalizeAxis(op, call.attributes.getInt("axis"), rank);
  KILN_ASSIGN(const Dims given, readInts(op, "the axis", along));
  if (given.size() != 1)
    return makeError(ErrorCode::E0304, op, ": the axis has ", given.size(), " elements, expected one");
  if (given[0] < -rank || given[0] >= rank)
    return makeError(ErrorCode::E0513, op, ": axis ", given[0], " is out of range for rank ", rank);
  return given[0] < 0 ? given[0] + rank : given[0];
}

/// Joins each element to those before it, beginning with `start`.
template <typename F> static Status cumulate(std::string_view op, const OpCall &call, int64_t start, F join) {
  KILN_TRY(checkCounts(op, call, 1, 2));
  const TensorView &x = call.inputs[0], &out = call.outputs[0];
  if (x.dtype == DType::Bool)
    return makeError(ErrorCode::E0203, op, " is not defined for bool");
  KILN_ASSIGN(const int64_t axis, axisOf(op, call));
  KILN_TRY(checkOutput(op, call, x.dtype, x.dims));
  const bool exclusive = call.attributes.getBool("exclusive"), reverse = call.attributes.getBool("reverse");
  if (x.size() == 0)
    return {};
  const int64_t count = x.dims[axis], outer = productOf(x.dims.first(axis)), inner = x.size() / outer / count;
  return withCompute(x.dtype, call.accumulate, [&]<typename C>() {
    using W = std::conditional_t<std::is_floating_point_v<C>, C, uint64_t>; // integers wrap
    std::vector<C> line(count);
    for (int64_t o = 0; o < outer; ++o)
      for (int64_t i = 0; i < inner; ++i) {
        const int64_t first = o * count * inner + i;
        loadOf<C>(x.dtype)(x.data, first, inner, count, line.data());
        C joined = static_cast<C>(start);
        for (int64_t k = 0; k < count; ++k) {
          C &element = line[reverse ? count - 1 - k : k];
          const C next = static_cast<C>(join(W(joined), W(element)));
          element = exclusive ? joined : next;
          joined = next;
        }
        storeOf<C>(out.dtype)(line.data(), count, out.data, first, inner);
      }
    return Status();
  });
}

Status op_cumsum(const OpCall &call) {
  return cumulate("cumsum", call, 0, [](auto a, auto b) { return a + b; });
}
Status op_cumprod(const OpCall &call) {
  return cumulate("cumprod", call, 1, [](auto a, auto b) { return a * b; });
}

} // namespace kiln::ref
