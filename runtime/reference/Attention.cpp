#include "runtime/reference/Element.h"
#include "runtime/reference/Kernels.h"
#include "runtime/reference/Product.h"
#include "runtime/reference/Strided.h"

namespace kiln::ref {

// softmax((q * scale) @ transpose(k) + mask) @ v, one batch at a time. A bool mask keeps where it
// is true.
Status op_attention(const OpCall &call) {
  KILN_TRY(checkCounts("attention", call, 3, 4));
  const TensorView &q = call.inputs[0], &k = call.inputs[1], &v = call.inputs[2];
  const TensorView mask = operand(call, 3), &out = call.outputs[0];
  KILN_TRY(checkType("attention", "the second operand", k, q.dtype));
  KILN_TRY(checkType("attention", "the third operand", v, q.dtype));
  for (const TensorView *view : {&q, &k, &v})
    if (view->rank() < 2)
      return makeError(ErrorCode::E0304, "attention: an operand has dims ", printDims(view->dims),
                       ", expected rank 2 or more");
  const auto batchOf = [](const TensorView &view) {
    return TensorView{nullptr, view.dtype, view.dims.first(view.dims.size() - 2)};
  };
  const auto size = [](const TensorView &view, int64_t fromEnd) { return view.dims[view.rank() - fromEnd]; };
  const int64_t s = size(q, 2), d = size(q, 1), t = size(k, 2), e = size(v, 1);
  if (size(k, 1) != d || size(v, 2) != t)
    return makeError(ErrorCode::E0304, "attention: dims ", printDims(q.dims), ", ", printDims(k.dims), " and ",
                     printDims(v.dims), " do not fit");
  const TensorView batches[] = {batchOf(q), batchOf(k), batchOf(v)};
  KILN_ASSIGN(const Dims batch, broadcastDims("attention", batches));
  Dims dims = batch, scores = batch;
  dims.insert(dims.end(), {s, e});
  scores.insert(scores.end(), {s, t});
  KILN_TRY(checkOutput("attention", call, q.dtype, dims));
  if (mask.present()) {
    if (mask.dtype != DType::Bool)
      KILN_TRY(checkType("attention", "the mask", mask, q.dtype));
    const TensorView both[] = {TensorView{nullptr, q.dtype, scores}, mask};
    KILN_ASSIGN(const Dims joint, broadcastDims("attention", both));
    if (joint != scores)
      return makeError(ErrorCode::E0304, "attention: the mask ", printDims(mask.dims), " does not broadcast to ",
                       printDims(scores));
  }
  const double scale = call.attributes.getFloat("scale", 1);

  // The mask's strides over [batch.., s, t], split into those over batches and those within a
  // matrix.
  const Dims maskStrides = mask.present() ? broadcastStrides(mask.dims, scores) : Dims(scores.size(), 0);
  const int64_t maskRow = maskStrides[batch.size()], maskColumn = maskStrides[batch.size() + 1];
  const Walk<5> walk(batch, {broadcastStrides(batches[0].dims, batch), broadcastStrides(batches[1].dims, batch),
                             broadcastStrides(batches[2].dims, batch), Dims(maskStrides.begin(), maskStrides.end() - 2),
                             broadcastStrides(batch, batch)});
  return withFloat("attention", q.dtype, call.accumulate, [&]<typename C>() {
    const Load<C> load = loadOf<C>(q.dtype);
    const Store<C> store = storeOf<C>(out.dtype);
    std::vector<C> queries(s * d), keys(d * t), values(t * e), score(s * t), result(s * e), row(t);
    const auto one = [&](int64_t qAt, int64_t kAt, int64_t vAt, int64_t maskAt, int64_t outAt) {
      load(q.data, qAt * s * d, 1, s * d, queries.data());
      for (C &x : queries)
        x *= static_cast<C>(scale);
      for (int64_t i = 0; i < d; ++i) // transposed
        load(k.data, kAt * t * d + i, d, t, keys.data() + i * t);
      load(v.data, vAt * t * e, 1, t * e, values.data());
      std::fill(score.begin(), score.end(), C(0));
      multiplyAdd<C>(s, t, d, queries.data(), d, keys.data(), t, score.data(), t);
      for (int64_t i = 0; i < s; ++i) {
        C *line = score.data() + i * t;
        if (mask.present()) {
          loadOf<C>(mask.dtype)(mask.data, maskAt + i * maskRow, maskColumn, t, row.data());
          for (int64_t j = 0; j < t; ++j)
            if (mask.dtype != DType::Bool)
              line[j] += row[j];
            else if (row[j] == 0)
              line[j] = -std::numeric_limits<C>::infinity();
        }
        C top = -std::numeric_limits<C>::infinity(), sum = 0;
        for (int64_t j = 0; j < t; ++j)
          top = line[j] > top || std::isnan(line[j]) ? line[j] : top;
        for (int64_t j = 0; j < t; ++j)
          sum += line[j] = std::exp(line[j] - top);
        for (int64_t j = 0; j < t; ++j)
          line[j] /= sum;
      }
      std::fill(result.begin(), result.end(), C(0));
      multiplyAdd<C>(s, e, t, score.data(), t, values.data(), e, result.data(), e);
      store(result.data(), s * e, out.data, outAt * s * e, 1);
    };
    walk.rows([&](const std::array<int64_t, 5> &at, int64_t n) {
      const auto &step = walk.inner();
      for (int64_t i = 0; i < n; ++i)
        one(at[0] + i * step[0], at[1] + i * step[1], at[2] + i * step[2], at[3] + i * step[3], at[4] + i * step[4]);
    });
    return Status();
  });
}

} // namespace kiln::ref
