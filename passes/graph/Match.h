// What patterns over kiln ops ask of values. All answers are about values that are surely so; "no" may mean "not
// known".
#pragma once

#include "dialects/kiln/Build.h"
#include "dialects/kiln/Ops.h"
#include "mlir/IR/PatternMatch.h"

#include <optional>

namespace kiln {

inline mlir::RankedTensorType tensorTypeOf(mlir::Value value) {
  return mlir::cast<mlir::RankedTensorType>(value.getType());
}
inline mlir::Type elementOf(mlir::Value value) { return tensorTypeOf(value).getElementType(); }
inline bool isFloatTensor(mlir::Value value) { return mlir::isa<mlir::FloatType>(elementOf(value)); }

/// Whether `value` is a constant with all elements equal to `expected`.
bool isSplat(mlir::Value value, double expected);

/// The other operand of a commutative `OpT` one of whose operands is the given one; null if `value` is no such op.
template <typename OpT> mlir::Value otherOperand(mlir::Value value, mlir::Value known) {
  auto op = value.getDefiningOp<OpT>();
  if (!op)
    return {};
  if (op->getOperand(0) == known)
    return op->getOperand(1);
  return op->getOperand(1) == known ? op->getOperand(0) : mlir::Value();
}

/// x and c of a commutative `OpT` of x and a splat constant.
struct WithConstant {
  mlir::Value x;
  double constant;
};
template <typename OpT> std::optional<WithConstant> withConstant(mlir::Value value) {
  auto op = value.getDefiningOp<OpT>();
  if (!op)
    return std::nullopt;
  for (unsigned i : {1u, 0u})
    if (auto constant = splatValue(op->getOperand(i)); constant && op->getOperand(1 - i).getType() == value.getType())
      return WithConstant{op->getOperand(1 - i), *constant};
  return std::nullopt;
}
/// x and c of x * c or x / c', c = 1 / c'.
std::optional<WithConstant> scaledBy(mlir::Value value);
/// x of x * x, pow(x, 2).
mlir::Value squareOf(mlir::Value value);

/// Whether `value`, an attribute, a constant or a product of constants in a model, stands for `expected`: that number,
/// or it or its reciprocal as the element type holds it, up to the last of the digits that exporters write.
bool isConstantFor(double value, double expected, mlir::Type element);

/// `perm` swaps the last two dims and leaves the others.
bool swapsLastTwo(llvm::ArrayRef<int64_t> perm);

/// A transpose of `x`.
mlir::Value buildTranspose(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value x, llvm::ArrayRef<int64_t> perm);

/// Attributes of one or more integers.
inline Attributes attribute(const char *name, int64_t value) { return Attributes({{name, value}}); }
inline Attributes attribute(const char *name, double value) { return Attributes({{name, value}}); }
inline Attributes attribute(const char *name, llvm::ArrayRef<int64_t> value) {
  return Attributes({{name, std::vector<int64_t>(value.begin(), value.end())}});
}

} // namespace kiln
