#include "codegen/families/common/ChannelOperands.h"

namespace kiln {

static bool isChannelOp(const Problem::Op &op) { return op.mnemonic == "batch_norm" || op.mnemonic == "group_norm"; }

bool hasChannelOperands(const Problem &problem) {
  for (const Problem::Op &op : problem.ops)
    if (isChannelOp(op))
      return true;
  return false;
}

// Gives operand k of `op` the dims [C, 1, ...] that align with `axis` of the first operand.
static bool align(Problem &problem, const Problem::Op &op, size_t k, int64_t axis, const std::vector<int> &uses) {
  Problem::ValueId id = op.operands[k];
  if (id == Problem::absent)
    return k == 2 && op.mnemonic == "group_norm";
  Problem::Value &v = problem.values[size_t(id)];
  if (!v.isBuffer() || v.rank() != 1 || uses[size_t(id)] != 1 || v.dtype != problem.value(op.operands[0]).dtype)
    return false;
  v.dims.resize(size_t(problem.value(op.operands[0]).rank() - axis), SizeExpr(1));
  return true;
}

std::optional<Problem> alignChannelOperands(const Problem &problem) {
  Problem out = problem;
  std::vector<int> uses = problem.useCounts();
  for (size_t i = 0; i < problem.ops.size(); ++i) {
    Problem::Op op = out.ops[i];
    if (!isChannelOp(op))
      continue;
    bool batch = op.mnemonic == "batch_norm";
    int64_t rank = problem.value(op.operands[0]).rank();
    int64_t axis = batch ? op.attributes.getInt("channel_axis", 1) : 1;
    if (axis < 0)
      axis += rank;
    if (axis < 0 || axis >= rank || op.operands.size() != (batch ? 5u : 3u))
      return std::nullopt;
    for (size_t k = 1; k < op.operands.size(); ++k)
      if (!align(out, op, k, axis, uses))
        return std::nullopt;
    if (!batch)
      continue;
    // (x - mean) * (scale / sqrt(variance + epsilon)) + bias; the op itself becomes the last step.
    DType dtype = problem.value(op.operands[0]).dtype;
    std::vector<SizeExpr> channel = out.value(op.operands[1]).dims, full = out.value(op.result()).dims;
    Problem::ValueId epsilon = out.addScalar(dtype, op.attributes.getFloat("epsilon", 1e-5));
    Problem::ValueId shifted = out.addOp("add", {op.operands[4], epsilon}, {}, dtype, channel);
    Problem::ValueId root = out.addOp("sqrt", {shifted}, {}, dtype, channel);
    Problem::ValueId factor = out.addOp("div", {op.operands[1], root}, {}, dtype, channel);
    Problem::ValueId centered = out.addOp("sub", {op.operands[0], op.operands[3]}, {}, dtype, full);
    Problem::ValueId scaled = out.addOp("mul", {centered, factor}, {}, dtype, full);
    out.ops[i] = {"add", {scaled, op.operands[2]}, {}, op.results};
  }
  return out;
}

} // namespace kiln
