#include "codegen/families/gemm/ElementTypes.h"

#include "codegen/families/common/Expression.h"

#include <algorithm>

namespace kiln::gemm {

std::optional<ElementTypes> ElementTypes::of(DType operand) {
  switch (operand) {
  case DType::F32:
  case DType::F64: return ElementTypes{operand, operand, operand, 1};
  case DType::F16: return ElementTypes{operand, DType::F32, operand, 1};
  // Two bf16 are widened by one instruction each from the same 32 bits.
  case DType::BF16: return ElementTypes{operand, DType::F32, operand, 2};
  default: return std::nullopt;
  }
}

Exactness productExactness(const Problem &problem, const ElementTypes &types) {
  double sums = 1e-5 * (types.accumulator == DType::F64 ? 0x1p-29 : 1); // about 170 units in the last place
  bool narrower = std::ranges::any_of(problem.values, [&](const Problem::Value &value) {
    return isFloat(value.dtype) && dtypeBits(value.dtype) < dtypeBits(types.accumulator);
  });
  ExpressionError rounding = narrower ? expressionError(problem) : ExpressionError();
  return {sums + rounding.relative, sums + rounding.scaled};
}

} // namespace kiln::gemm
