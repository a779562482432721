#include "runtime/reference/Element.h"
#include "runtime/reference/Indices.h"
#include "runtime/reference/Kernels.h"

#include <algorithm>
#include <numeric>

namespace kiln::ref {

/// NaN is larger than every number.
template <typename C> static bool less(C a, C b) { return b != b ? a == a : a < b; }

Status op_topk(const OpCall &call) {
  KILN_TRY(checkCounts("topk", call, 1, 2, 2));
  const TensorView &x = call.inputs[0], &values = call.outputs[0], &indices = call.outputs[1];
  if (x.dtype == DType::Bool)
    return makeError(ErrorCode::E0203, "topk is not defined for bool");
  KILN_ASSIGN(const int64_t axis, normalizeAxis("topk", call.attributes.getInt("axis", -1), x.rank()));
  int64_t k = call.attributes.getInt("k");
  if (const TensorView count = operand(call, 1); count.present()) {
    KILN_ASSIGN(const Dims given, readInts("topk", "k", count));
    if (given.size() != 1)
      return makeError(ErrorCode::E0304, "topk: k has ", given.size(), " elements, expected one");
    k = given[0];
  }
  const int64_t size = x.dims[axis];
  if (k < 0 || k > size)
    return makeError(ErrorCode::E0513, "topk: k is ", k, ", axis ", axis, " has ", size, " elements");
  Dims dims(x.dims.begin(), x.dims.end());
  dims[axis] = k;
  KILN_TRY(checkOutput("topk", call, x.dtype, dims, 0));
  KILN_TRY(checkOutput("topk", call, DType::I64, dims, 1));
  if (values.size() == 0)
    return {};
  const bool largest = call.attributes.getBool("largest", true);
  const int64_t outer = productOf(x.dims.first(axis)), inner = x.size() / outer / size;
  return withCompute(x.dtype, call.accumulate, [&]<typename C>() {
    std::vector<C> line(size), top(k);
    std::vector<int64_t> order(size);
    for (int64_t o = 0; o < outer; ++o)
      for (int64_t i = 0; i < inner; ++i) {
        loadOf<C>(x.dtype)(x.data, o * size * inner + i, inner, size, line.data());
        std::iota(order.begin(), order.end(), 0);
        std::partial_sort(order.begin(), order.begin() + k, order.end(), [&](int64_t a, int64_t b) {
          const bool ahead = largest ? less(line[b], line[a]) : less(line[a], line[b]);
          const bool behind = largest ? less(line[a], line[b]) : less(line[b], line[a]);
          return ahead || (!behind && a < b);
        });
        for (int64_t j = 0; j < k; ++j)
          top[j] = line[order[j]];
        storeOf<C>(x.dtype)(top.data(), k, values.data, o * k * inner + i, inner);
        storeOf<int64_t>(DType::I64)(order.data(), k, indices.data, o * k * inner + i, inner);
      }
    return Status();
  });
}

} // namespace kiln::ref
