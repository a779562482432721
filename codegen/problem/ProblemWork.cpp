// How much work a problem is: floating-point operations and bytes, as expressions over its symbols.
#include "codegen/problem/Problem.h"

#include "dialects/kiln/Flops.h"

namespace kiln {

SizeExpr opFlops(std::string_view mnemonic, const Attributes &attributes,
                 std::span<const Problem::Value *const> operands, const Problem::Value &result) {
  const OpInfo *info = findOp(mnemonic);
  bool real = isFloat(result.dtype) || (!operands.empty() && operands[0] && isFloat(operands[0]->dtype));
  if (!real || !info)
    return 0;
  OpSizes sizes{attributes, {}, result.dims};
  for (const Problem::Value *operand : operands)
    sizes.operands.push_back(operand ? std::optional<std::span<const SizeExpr>>(operand->dims) : std::nullopt);
  return flopsOf(*info, sizes);
}

SizeExpr opFlops(const Problem &problem, const Problem::Op &op) {
  std::vector<const Problem::Value *> operands;
  for (Problem::ValueId id : op.operands)
    operands.push_back(id == Problem::absent ? nullptr : &problem.value(id));
  return opFlops(op.mnemonic, op.attributes, operands, problem.value(op.result()));
}

SizeExpr flops(const Problem &problem) {
  SizeExpr sum = 0;
  for (const Problem::Op &op : problem.ops)
    sum = sum + opFlops(problem, op);
  return sum;
}

SizeExpr bytes(const Problem &problem) {
  SizeExpr sum = 0;
  auto add = [&](const Problem::Value &v) { sum = sum + SizeExpr::product(v.dims) * dtypeBytes(v.dtype); };
  for (Problem::ValueId id : problem.inputs())
    add(problem.value(id));
  for (Problem::ValueId id : problem.outputs)
    add(problem.value(id));
  return sum;
}

} // namespace kiln
