#include "codegen/families/gemm/ElementTypes.h"

#include "codegen/families/common/Expression.h"

#include <algorithm>

namespace kiln::gemm {

std::optional<ElementTypes> ElementTypes::of(DType operand) {
  DType wide = operand == DType::F16 || operand == DType::BF16 ? DType::F32 : operand;
  switch (wide) {
  case DType::F32:
  case DType::F64:
  case DType::I32:
  case DType::I64: break;
  default: return std::nullopt;
  }
  ElementTypes types;
  types.operand = types.source = types.panel = operand;
  types.row = types.accumulator = wide;
  return types;
}

ElementTypes ElementTypes::packedWide() const {
  ElementTypes types = *this;
  types.panel = accumulator;
  types.kPack = 1;
  types.zero = 0;
  return types;
}

ElementTypes ElementTypes::packedConstant(int64_t inner) const {
  ElementTypes types = *this;
  if (source == DType::BF16 && inner % 2 == 0)
    types.kPack = 2; // two steps are widened from the same 32 bits by one instruction each
  return types;
}

Exactness productExactness(const Problem &problem, const ElementTypes &types) {
  double sums = 1e-5; // about 170 units in the last place
  if (types.exact())
    sums = 0;
  else if (types.accumulator == DType::F64)
    sums *= 0x1p-29;
  bool rounds = std::ranges::any_of(problem.values, [&](const Problem::Value &value) {
    return isFloat(value.dtype) && (types.exact() || dtypeBits(value.dtype) < dtypeBits(types.accumulator));
  });
  ExpressionError rounding = rounds ? expressionError(problem) : ExpressionError();
  return {sums + rounding.relative, sums + rounding.scaled};
}

} // namespace kiln::gemm
