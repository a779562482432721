#include "dialects/kiln/Flops.h"

#include <algorithm>

namespace kiln {

SizeExpr flopsOf(const OpInfo &info, const OpSizes &op) {
  if (info.flopFormula)
    return info.flopFormula(op);
  bool perOperand = info.role == FusionRole::Reduction && op.has(0);
  return (perOperand ? op.elements(0) : op.results()) * info.flops;
}

SizeExpr flops_matmul(const OpSizes &op) {
  if (!op.hasRank(0, 2))
    return 0;
  std::span<const SizeExpr> a = op.dims(0);
  return op.results() * a[a.size() - (op.attributes.getBool("transpose_a") ? 2 : 1)] * 2;
}

/// Multiply-adds for each element that a filter makes.
static SizeExpr filterFlops(const OpSizes &op, size_t filter) {
  return SizeExpr::product(op.dims(filter).subspan(1)) * 2;
}

SizeExpr flops_conv(const OpSizes &op) {
  return op.hasRank(1, 2) ? op.results() * (filterFlops(op, 1) + (op.has(2) ? 1 : 0)) : SizeExpr(0);
}

SizeExpr flops_conv_transpose(const OpSizes &op) {
  if (!op.has(0) || !op.hasRank(1, 2))
    return 0;
  return op.elements(0) * filterFlops(op, 1) + (op.has(2) ? op.results() : SizeExpr(0));
}

SizeExpr flops_deform_conv(const OpSizes &op) {
  return op.hasRank(1, 2) ? op.results() * (filterFlops(op, 1) + (op.has(3) ? 1 : 0)) : SizeExpr(0);
}

static SizeExpr poolFlops(const OpSizes &op, int64_t perElement) {
  SizeExpr window = perElement;
  for (int64_t k : op.attributes.getInts("kernel"))
    window = window * SizeExpr(k);
  return op.results() * window;
}
SizeExpr flops_max_pool(const OpSizes &op) { return poolFlops(op, 1); }
SizeExpr flops_max_pool_indices(const OpSizes &op) { return poolFlops(op, 1); }
SizeExpr flops_avg_pool(const OpSizes &op) { return poolFlops(op, 1); }
SizeExpr flops_lp_pool(const OpSizes &op) { return poolFlops(op, 2); }

/// How many elements along an axis make one between them.
static int64_t tapsOf(const OpSizes &op) {
  const std::string mode = op.attributes.getString("mode");
  return mode == "nearest" ? 0 : mode == "cubic" ? 4 : 2;
}
// A product and a sum for each element read: along one axis after the other, or of all their combinations.
SizeExpr flops_resize(const OpSizes &op) { return op.results() * (tapsOf(op) * 2); }
SizeExpr flops_grid_sample(const OpSizes &op) {
  SizeExpr reads = tapsOf(op);
  for (size_t axis = 3; axis < op.result.size(); ++axis)
    reads = reads * SizeExpr(tapsOf(op));
  return op.results() * reads * 2;
}

SizeExpr flops_roi_align(const OpSizes &op) { // where data says how many samples there are, as if there were one
  const SizeExpr samples = std::max<int64_t>(op.attributes.getInt("sampling_ratio"), 1);
  return op.results() * samples * samples * 8;
}

/// Two products at each step; per gate a bias, an activation and a step of the state.
static SizeExpr recurrentFlops(const OpSizes &op, int64_t gates) {
  if (!op.hasRank(0, 1) || !op.has(1) || !op.has(2))
    return 0;
  std::span<const SizeExpr> x = op.dims(0);
  return SizeExpr::product(x.first(x.size() - 1)) * (op.elements(1) + op.elements(2)) * 2 + op.results() * (3 * gates);
}
SizeExpr flops_rnn(const OpSizes &op) { return recurrentFlops(op, 1); }
SizeExpr flops_gru(const OpSizes &op) { return recurrentFlops(op, 3); }
SizeExpr flops_lstm(const OpSizes &op) { return recurrentFlops(op, 4); }

SizeExpr flops_linear_attention(const OpSizes &op) {
  if (!op.has(0) || !op.has(1) || !op.hasRank(2, 1))
    return 0;
  // A product to read the state and one to write it; beta reads it once more, decay changes it.
  return op.dims(2).back() * (op.elements(0) * 2 + op.elements(1) * (2 + (op.has(4) ? 1 : 0) + (op.has(5) ? 2 : 0)));
}

SizeExpr flops_det(const OpSizes &op) { return op.hasRank(0, 1) ? op.elements(0) * op.dims(0).back() : SizeExpr(0); }

SizeExpr flops_dft(const OpSizes &op) {
  if (!op.hasRank(0, 2) || op.has(2))
    return 0;
  const int64_t rank = int64_t(op.dims(0).size());
  int64_t axis = op.attributes.getInt("axis", -2);
  axis += axis < 0 ? rank : 0;
  return axis >= 0 && axis < rank ? op.results() * op.dims(0)[size_t(axis)] * 4 : SizeExpr(0);
}

SizeExpr flops_attention(const OpSizes &op) {
  if (!op.hasRank(0, 2) || !op.hasRank(1, 2) || !op.hasRank(2, 1))
    return 0;
  // Two products, and per score: scale, softmax (5), mask.
  std::span<const SizeExpr> q = op.dims(0), k = op.dims(1);
  SizeExpr scores = SizeExpr::product(q.first(q.size() - 1)) * k[k.size() - 2];
  return scores * (q.back() * 2 + op.dims(2).back() * 2 + 6 + (op.has(3) ? 1 : 0));
}

} // namespace kiln
