#include "codegen/families/gemm/IntegerOperands.h"

#include "codegen/families/common/Expression.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace kiln::gemm {

using ValueId = Problem::ValueId;

bool isByte(DType dtype) { return dtype == DType::I8 || dtype == DType::U8; }

namespace {

bool collectOps(const Problem &problem, ValueId id, std::set<int> &ops) {
  const Problem::Value &value = problem.value(id);
  if (value.dtype != DType::I32 && !isByte(value.dtype))
    return false;
  if (value.kind != Problem::Kind::Result)
    return true;
  const Problem::Op &op = problem.ops[static_cast<size_t>(value.op)];
  if (op.mnemonic != "cast" && op.mnemonic != "sub")
    return false;
  ops.insert(value.op);
  return std::ranges::all_of(op.operands, [&](ValueId operand) { return collectOps(problem, operand, ops); });
}

/// The largest magnitude of an element, as far as types and literals tell.
double magnitude(const Problem &problem, ValueId id) {
  const Problem::Value &value = problem.value(id);
  if (std::optional<double> number = value.scalar())
    return std::fabs(*number);
  const Problem::Op *op = problem.producer(id);
  if (op && op->mnemonic == "cast" && isByte(problem.value(op->operands[0]).dtype))
    return 255;
  if (op && op->mnemonic == "sub")
    return magnitude(problem, op->operands[0]) + magnitude(problem, op->operands[1]);
  return 0x1p31;
}

} // namespace

std::optional<CenteredBuffer> centeredBuffer(const Problem &problem, ValueId id) {
  CenteredBuffer centered;
  if (const Problem::Op *op = problem.producer(id); op && op->mnemonic == "sub") {
    std::optional<double> zero = problem.value(op->operands[1]).scalar();
    if (!zero || std::fabs(*zero) > 255 || problem.value(op->operands[0]).dims != problem.value(id).dims)
      return std::nullopt;
    centered.zero = static_cast<int>(*zero);
    id = op->operands[0];
  }
  if (const Problem::Op *op = problem.producer(id); op && op->mnemonic == "cast")
    id = op->operands[0];
  const Problem::Value &value = problem.value(id);
  if (!value.isBuffer() || !(value.dtype == DType::I32 || isByte(value.dtype)))
    return std::nullopt;
  centered.buffer = id;
  return centered;
}

bool isReadOnce(const Problem &problem, ValueId id) {
  std::vector<int> uses = problem.useCounts();
  const Problem::Op *op = nullptr;
  do {
    if (uses[static_cast<size_t>(id)] != 1)
      return false;
    op = problem.producer(id);
    if (op)
      id = op->operands[0];
  } while (op);
  return true;
}

std::optional<std::vector<int>> centeringOps(const Problem &problem, ValueId id) {
  std::set<int> ops;
  if (problem.value(id).dtype != DType::I32 || !collectOps(problem, id, ops))
    return std::nullopt;
  std::vector<int> inOrder(ops.begin(), ops.end());
  if (!isExpression(problem, inOrder))
    return std::nullopt;
  return inOrder;
}

std::vector<ValueId> buffersBelow(const Problem &problem, ValueId id) {
  const Problem::Value &value = problem.value(id);
  if (value.isBuffer())
    return {id};
  std::vector<ValueId> buffers;
  if (const Problem::Op *op = problem.producer(id))
    for (ValueId operand : op->operands)
      for (ValueId buffer : buffersBelow(problem, operand))
        if (std::ranges::find(buffers, buffer) == buffers.end())
          buffers.push_back(buffer);
  return buffers;
}

bool fitsI16(const Problem &problem, ValueId id) { return magnitude(problem, id) < 0x1p15; }

} // namespace kiln::gemm
