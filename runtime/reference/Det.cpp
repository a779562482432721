#include "runtime/reference/Element.h"
#include "runtime/reference/Indices.h"
#include "runtime/reference/Kernels.h"

namespace kiln::ref {

/// By elimination, with the largest element of a column as its pivot.
template <typename C> static C determinant(std::vector<C> &a, int64_t n) {
  C result = 1;
  for (int64_t k = 0; k < n; ++k) {
    int64_t pivot = k;
    for (int64_t i = k + 1; i < n; ++i)
      if (std::abs(a[i * n + k]) > std::abs(a[pivot * n + k]))
        pivot = i;
    if (pivot != k) {
      result = -result;
      for (int64_t j = 0; j < n; ++j)
        std::swap(a[k * n + j], a[pivot * n + j]);
    }
    result *= a[k * n + k];
    if (a[k * n + k] == 0)
      return result;
    for (int64_t i = k + 1; i < n; ++i) {
      const C factor = a[i * n + k] / a[k * n + k];
      for (int64_t j = k + 1; j < n; ++j)
        a[i * n + j] -= factor * a[k * n + j];
    }
  }
  return result;
}

Status op_det(const OpCall &call) {
  KILN_TRY(checkCounts("det", call, 1, 1));
  const TensorView &x = call.inputs[0], &out = call.outputs[0];
  if (x.rank() < 2 || x.dims[x.rank() - 1] != x.dims[x.rank() - 2])
    return makeError(ErrorCode::E0304, "det: the operand has dims ", printDims(x.dims), ", expected square matrices");
  KILN_TRY(checkOutput("det", call, x.dtype, x.dims.first(static_cast<size_t>(x.rank() - 2))));
  const int64_t n = x.dims.back();
  return withFloat("det", x.dtype, call.accumulate, [&]<typename C>() {
    std::vector<C> matrix(static_cast<size_t>(n * n));
    for (int64_t i = 0; i < out.size(); ++i) {
      loadOf<C>(x.dtype)(x.data, i * n * n, 1, n * n, matrix.data());
      const C value = determinant(matrix, n);
      storeOf<C>(x.dtype)(&value, 1, out.data, i, 1);
    }
    return Status();
  });
}

} // namespace kiln::ref
