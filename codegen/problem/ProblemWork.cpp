// How much work a problem is: floating-point operations and bytes, as expressions over its symbols.
#include "codegen/problem/Problem.h"

#include "dialects/kiln/OpTable.h"

#include <algorithm>

namespace kiln {

SizeExpr elementCount(std::span<const SizeExpr> dims) { return SizeExpr::product(dims); }

SizeExpr opFlops(const Problem &problem, const Problem::Op &op) {
  auto operand = [&](size_t i) -> const Problem::Value * {
    return i < op.operands.size() && op.operands[i] != Problem::absent ? &problem.value(op.operands[i]) : nullptr;
  };
  const Problem::Value &result = problem.value(op.result);
  const Problem::Value *first = operand(0);
  SizeExpr count = elementCount(result.dims);
  bool real = isFloat(result.dtype) || (first && isFloat(first->dtype));
  const OpInfo *info = findOp(op.mnemonic);
  if (!real || !info)
    return 0;

  if (op.mnemonic == "matmul" && first && first->rank() >= 2) {
    size_t k = first->dims.size() - (op.attributes.getBool("transpose_a") ? 2 : 1);
    return count * first->dims[k] * 2;
  }
  if (op.mnemonic == "conv" && operand(1) && operand(1)->rank() >= 2) {
    std::span<const SizeExpr> w(operand(1)->dims);
    return count * (elementCount(w.subspan(1)) * 2 + (operand(2) ? 1 : 0));
  }
  if (op.mnemonic == "conv_transpose" && first && operand(1) && operand(1)->rank() >= 2) {
    std::span<const SizeExpr> w(operand(1)->dims);
    return elementCount(first->dims) * elementCount(w.subspan(1)) * 2 + (operand(2) ? count : SizeExpr(0));
  }
  if (op.mnemonic == "max_pool" || op.mnemonic == "avg_pool" || op.mnemonic == "lp_pool") {
    SizeExpr window = op.mnemonic == "lp_pool" ? 2 : 1;
    for (int64_t k : op.attributes.getInts("kernel"))
      window = window * SizeExpr(k);
    return count * window;
  }
  if (op.mnemonic == "resize" || op.mnemonic == "grid_sample") {
    // A product and a sum for each element read: along one axis after the other, or of all their combinations.
    const std::string mode = op.attributes.getString("mode");
    const int64_t taps = mode == "nearest" ? 0 : mode == "cubic" ? 4 : 2;
    SizeExpr reads = taps;
    for (int64_t axis = 3; axis < result.rank() && op.mnemonic == "grid_sample"; ++axis)
      reads = reads * SizeExpr(taps);
    return count * reads * 2;
  }
  if (op.mnemonic == "attention" && first && operand(1) && operand(2) && first->rank() >= 2 &&
      operand(1)->rank() >= 2 && operand(2)->rank() >= 1) {
    // Two products, and per score: scale, softmax (5), mask.
    std::span<const SizeExpr> q(first->dims);
    SizeExpr scores = elementCount(q.first(q.size() - 1)) * operand(1)->dims[operand(1)->dims.size() - 2];
    return scores * (q.back() * 2 + operand(2)->dims.back() * 2 + 6 + (operand(3) ? 1 : 0));
  }
  bool perOperand = info->role == "Reduction" && first;
  return (perOperand ? elementCount(first->dims) : count) * std::max(info->flops, 0);
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
