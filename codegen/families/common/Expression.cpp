#include "codegen/families/common/Expression.h"

#include "codegen/families/common/ScalarOps.h"

#include <algorithm>
#include <numeric>

namespace kiln {

using mlir::Value;

Value emitLiteral(emit::Emitter &e, const Problem::Value &literal, int64_t lanes) {
  mlir::Type type = e.vec(e.registerType(literal.dtype), lanes);
  if (const auto *integers = std::get_if<std::vector<int64_t>>(&literal.literal))
    return e.constant(type, integers->front());
  return e.constant(type, std::get<std::vector<double>>(literal.literal).front());
}

Value Expression::get(Problem::ValueId id) {
  if (auto it = values_.find(id); it != values_.end())
    return it->second;
  const Problem::Value &v = problem_.value(id);
  Value value;
  if (v.kind == Problem::Kind::Literal) {
    value = emitLiteral(scalars_.emitter(), v, lanes_);
  } else if (v.isBuffer()) {
    value = leaf_(id);
  } else {
    const Problem::Op &op = problem_.ops[size_t(v.op)];
    llvm::SmallVector<Value, 4> operands;
    for (Problem::ValueId operand : op.operands)
      operands.push_back(get(operand));
    value = emitScalarOp(scalars_, problem_, op, operands);
  }
  values_[id] = value;
  return value;
}

static size_t literalSize(const Problem::Value &v) {
  return std::visit([](const auto &elements) { return elements.size(); }, v.literal);
}

bool isExpression(const Problem &problem, std::span<const int> ops) {
  for (int index : ops) {
    const Problem::Op &op = problem.ops[size_t(index)];
    if (!supportsScalarOp(problem, op))
      return false;
    for (Problem::ValueId id : op.operands)
      if (problem.value(id).kind == Problem::Kind::Literal && literalSize(problem.value(id)) != 1)
        return false;
  }
  return true;
}

static std::vector<int> allOps(const Problem &problem) {
  std::vector<int> ops(problem.ops.size());
  std::iota(ops.begin(), ops.end(), 0);
  return ops;
}

bool isExpression(const Problem &problem) { return isExpression(problem, allOps(problem)); }

int expressionCost(const Problem &problem, std::span<const int> ops) {
  int cost = 0;
  for (int index : ops)
    cost += scalarOpCost(problem.ops[size_t(index)]);
  return cost;
}

unsigned widestElement(const Problem &problem) {
  int bits = 32;
  for (const Problem::Value &v : problem.values)
    bits = std::max(bits, v.dtype == DType::U32 ? 64 : dtypeBits(v.dtype));
  return unsigned(bits);
}

ExpressionError expressionError(const Problem &problem) {
  // A few ulp per op; the scaled part covers cancellation.
  ExpressionError error;
  double ulp = 0;
  for (const Problem::Value &v : problem.values) {
    if (v.dtype == DType::BF16)
      ulp = std::max(ulp, 0x1p-8);
    else if (v.dtype == DType::F16)
      ulp = std::max(ulp, 0x1p-11);
    else if (v.dtype == DType::F32)
      ulp = std::max(ulp, 0x1p-24);
    else if (v.dtype == DType::F64)
      ulp = std::max(ulp, 0x1p-53);
  }
  double ops = double(problem.ops.size());
  error.relative = ulp * (8 + 4 * ops);
  error.scaled = ulp * (2 + ops);
  return error;
}

} // namespace kiln
