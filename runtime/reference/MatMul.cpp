#include "runtime/reference/Element.h"
#include "runtime/reference/Kernels.h"
#include "runtime/reference/Product.h"
#include "runtime/reference/Strided.h"

namespace kiln::ref {

Status op_matmul(const OpCall &call) {
  KILN_TRY(checkCounts("matmul", call, 2, 2));
  const TensorView &a = call.inputs[0], &b = call.inputs[1], &out = call.outputs[0];
  KILN_TRY(checkType("matmul", "the second operand", b, a.dtype));
  if (a.rank() < 2 || b.rank() < 2)
    return makeError(ErrorCode::E0304, "matmul: operands have dims ", printDims(a.dims), " and ", printDims(b.dims),
                     ", expected rank 2 or more");
  const bool transposeA = call.attributes.getBool("transpose_a");
  const bool transposeB = call.attributes.getBool("transpose_b");
  const auto lastTwo = [](const TensorView &view, bool swap) {
    const int64_t r = view.dims[view.rank() - 2], c = view.dims[view.rank() - 1];
    return swap ? std::pair(c, r) : std::pair(r, c);
  };
  const auto [m, k] = lastTwo(a, transposeA);
  const auto [kOfB, n] = lastTwo(b, transposeB);
  if (k != kOfB)
    return makeError(ErrorCode::E0304, "matmul: operands have dims ", printDims(a.dims), " and ", printDims(b.dims),
                     "; the inner sizes ", k, " and ", kOfB, " differ");
  const auto aBatch = a.dims.first(a.dims.size() - 2), bBatch = b.dims.first(b.dims.size() - 2);
  const TensorView batches[] = {TensorView{nullptr, a.dtype, aBatch}, TensorView{nullptr, b.dtype, bBatch}};
  KILN_ASSIGN(const Dims batch, broadcastDims("matmul", batches));
  Dims dims = batch;
  dims.insert(dims.end(), {m, n});
  KILN_TRY(checkOutput("matmul", call, a.dtype, dims));
  if (a.dtype == DType::Bool)
    return makeError(ErrorCode::E0203, "matmul is not defined for bool");

  // Batches as axes of their own; a batch's offset is its index times the matrix size.
  const Walk<3> walk(
      batch, {broadcastStrides(aBatch, batch), broadcastStrides(bBatch, batch), broadcastStrides(batch, batch)});
  return withCompute(a.dtype, call.accumulate, [&]<typename C>() {
    const Load<C> load = loadOf<C>(a.dtype);
    const Store<C> store = storeOf<C>(out.dtype);
    std::vector<C> left(m * k), right(k * n), result(m * n);
    // Copies matrix `index` of a view, rows x columns, out of place when it is stored transposed.
    const auto read = [&](const TensorView &view, int64_t index, int64_t rows, int64_t columns, bool transposed,
                          std::vector<C> &to) {
      const int64_t offset = index * rows * columns;
      if (!transposed)
        return load(view.data, offset, 1, rows * columns, to.data());
      for (int64_t r = 0; r < rows; ++r)
        load(view.data, offset + r, rows, columns, to.data() + r * columns);
    };
    int64_t leftIndex = -1, rightIndex = -1;
    walk.rows([&](const std::array<int64_t, 3> &at, int64_t count) {
      const auto [aStep, bStep, outStep] = walk.inner();
      for (int64_t i = 0; i < count; ++i) {
        // A broadcast matrix is read once.
        if (const int64_t index = at[0] + i * aStep; index != leftIndex)
          read(a, leftIndex = index, m, k, transposeA, left);
        if (const int64_t index = at[1] + i * bStep; index != rightIndex)
          read(b, rightIndex = index, k, n, transposeB, right);
        std::fill(result.begin(), result.end(), C(0));
        multiplyAdd<C>(m, n, k, left.data(), k, right.data(), n, result.data(), n);
        store(result.data(), m * n, out.data, (at[2] + i * outStep) * m * n, 1);
      }
    });
    return Status();
  });
}

} // namespace kiln::ref
