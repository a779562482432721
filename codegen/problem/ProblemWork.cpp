// How much work a problem is: floating-point operations and bytes, as expressions over its symbols.
#include "codegen/problem/Problem.h"

#include "dialects/kiln/OpTable.h"

#include <algorithm>

namespace kiln {

SizeExpr elementCount(std::span<const SizeExpr> dims) { return SizeExpr::product(dims); }

SizeExpr opFlops(std::string_view mnemonic, const Attributes &attributes,
                 std::span<const Problem::Value *const> operands, const Problem::Value &result) {
  auto operand = [&](size_t i) { return i < operands.size() ? operands[i] : nullptr; };
  const Problem::Value *first = operand(0);
  SizeExpr count = elementCount(result.dims);
  bool real = isFloat(result.dtype) || (first && isFloat(first->dtype));
  const OpInfo *info = findOp(mnemonic);
  if (!real || !info)
    return 0;

  if (mnemonic == "matmul" && first && first->rank() >= 2) {
    size_t k = first->dims.size() - (attributes.getBool("transpose_a") ? 2 : 1);
    return count * first->dims[k] * 2;
  }
  if (mnemonic == "conv" && operand(1) && operand(1)->rank() >= 2) {
    std::span<const SizeExpr> w(operand(1)->dims);
    return count * (elementCount(w.subspan(1)) * 2 + (operand(2) ? 1 : 0));
  }
  if (mnemonic == "conv_transpose" && first && operand(1) && operand(1)->rank() >= 2) {
    std::span<const SizeExpr> w(operand(1)->dims);
    return elementCount(first->dims) * elementCount(w.subspan(1)) * 2 + (operand(2) ? count : SizeExpr(0));
  }
  if (mnemonic == "max_pool" || mnemonic == "max_pool_indices" || mnemonic == "avg_pool" || mnemonic == "lp_pool") {
    SizeExpr window = mnemonic == "lp_pool" ? 2 : 1;
    for (int64_t k : attributes.getInts("kernel"))
      window = window * SizeExpr(k);
    return count * window;
  }
  if (mnemonic == "resize" || mnemonic == "grid_sample") {
    // A product and a sum for each element read: along one axis after the other, or of all their combinations.
    const std::string mode = attributes.getString("mode");
    const int64_t taps = mode == "nearest" ? 0 : mode == "cubic" ? 4 : 2;
    SizeExpr reads = taps;
    for (int64_t axis = 3; axis < result.rank() && mnemonic == "grid_sample"; ++axis)
      reads = reads * SizeExpr(taps);
    return count * reads * 2;
  }
  if ((mnemonic == "rnn" || mnemonic == "gru" || mnemonic == "lstm") && first && first->rank() >= 1 && operand(1) &&
      operand(2)) {
    // Two products at each step; per gate a bias, an activation and a step of the state.
    std::span<const SizeExpr> x(first->dims);
    const int64_t gates = mnemonic == "rnn" ? 1 : mnemonic == "gru" ? 3 : 4;
    return elementCount(x.first(x.size() - 1)) * (elementCount(operand(1)->dims) + elementCount(operand(2)->dims)) * 2 +
           count * (3 * gates);
  }
  if (mnemonic == "deform_conv" && operand(1) && operand(1)->rank() >= 2) {
    std::span<const SizeExpr> w(operand(1)->dims);
    return count * (elementCount(w.subspan(1)) * 2 + (operand(3) ? 1 : 0));
  }
  if (mnemonic == "roi_align") { // where data says how many samples there are, as if there were one
    const int64_t samples = std::max<int64_t>(attributes.getInt("sampling_ratio"), 1);
    return count * (samples * samples * 8);
  }
  if (mnemonic == "linear_attention" && operand(1) && operand(2) && operand(2)->rank() >= 1)
    // A product to read the state and one to write it; beta reads it once more, decay changes it.
    return operand(2)->dims.back() *
           (elementCount(first->dims) * 2 +
            elementCount(operand(1)->dims) * (2 + (operand(4) ? 1 : 0) + (operand(5) ? 2 : 0)));
  if (mnemonic == "det" && first && first->rank() >= 1)
    return elementCount(first->dims) * first->dims.back();
  if (mnemonic == "dft" && first && first->rank() >= 2 && !operand(2)) {
    int64_t axis = attributes.getInt("axis", -2);
    axis += axis < 0 ? first->rank() : 0;
    return axis >= 0 && axis < first->rank() ? count * first->dims[size_t(axis)] * 4 : SizeExpr(0);
  }
  if (mnemonic == "attention" && first && operand(1) && operand(2) && first->rank() >= 2 && operand(1)->rank() >= 2 &&
      operand(2)->rank() >= 1) {
    // Two products, and per score: scale, softmax (5), mask.
    std::span<const SizeExpr> q(first->dims);
    SizeExpr scores = elementCount(q.first(q.size() - 1)) * operand(1)->dims[operand(1)->dims.size() - 2];
    return scores * (q.back() * 2 + operand(2)->dims.back() * 2 + 6 + (operand(3) ? 1 : 0));
  }
  bool perOperand = info->role == "Reduction" && first;
  return (perOperand ? elementCount(first->dims) : count) * std::max(info->flops, 0);
}

SizeExpr opFlops(const Problem &problem, const Problem::Op &op) {
  std::vector<const Problem::Value *> operands;
  for (Problem::ValueId id : op.operands)
    operands.push_back(id == Problem::absent ? nullptr : &problem.value(id));
  return opFlops(op.mnemonic, op.attributes, operands, problem.value(op.result));
}

SizeExpr flops(const Problem &problem) {
  SizeExpr sum = 0;
  for (const Problem::Op &op : problem.ops)
    sum = sum + opFlops(problem, op);
  return sum;
}

SizeExpr bytes(const Problem &problem) {
  SizeExpr sum = 0;
  auto add = [&](const Problem::Value &v) { sum = sum + elementCount(v.dims) * dtypeBytes(v.dtype); };
  for (Problem::ValueId id : problem.inputs())
    add(problem.value(id));
  for (Problem::ValueId id : problem.outputs)
    add(problem.value(id));
  return sum;
}

} // namespace kiln
