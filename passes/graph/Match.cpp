#include "passes/graph/Match.h"

#include <cmath>

using namespace mlir;

namespace kiln {

bool isSplat(Value value, double expected) {
  auto constant = splatValue(value);
  return constant && *constant == expected;
}

bool isConstantFor(double value, double expected, Type element) {
  // Six digits as exporters write them; in f64 they would show in the result.
  double tolerance = element.isF64() ? 1e-14 : 1e-5;
  auto closeTo = [&](double a, double b) { return std::fabs(a - b) <= tolerance * std::fabs(b); };
  auto rounded = [&](double number) {
    bool inexact;
    APFloat result(number);
    result.convert(cast<FloatType>(element).getFloatSemantics(), APFloat::rmNearestTiesToEven, &inexact);
    return result.convertToDouble();
  };
  return closeTo(value, expected) || closeTo(value, rounded(expected)) || closeTo(1 / value, rounded(1 / expected));
}

std::optional<WithConstant> scaledBy(Value value) {
  if (auto product = withConstant<MulOp>(value))
    return product;
  auto div = value.getDefiningOp<DivOp>();
  if (!div || !isFloatTensor(value) || div.getX().getType() != value.getType())
    return std::nullopt;
  auto constant = splatValue(div.getY());
  if (!constant || *constant == 0)
    return std::nullopt;
  return WithConstant{div.getX(), 1 / *constant};
}

Value squareOf(Value value) {
  if (auto mul = value.getDefiningOp<MulOp>(); mul && mul.getX() == mul.getY())
    return mul.getX();
  auto pow = value.getDefiningOp<PowOp>();
  if (pow && isSplat(pow.getY(), 2) && pow.getX().getType() == value.getType())
    return pow.getX();
  return {};
}

bool swapsLastTwo(ArrayRef<int64_t> perm) {
  int64_t rank = perm.size();
  if (rank < 2 || perm[rank - 2] != rank - 1 || perm[rank - 1] != rank - 2)
    return false;
  for (int64_t i = 0; i + 2 < rank; ++i)
    if (perm[i] != i)
      return false;
  return true;
}

mlir::Value buildTranspose(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value x, llvm::ArrayRef<int64_t> perm) {
  Dims from = getDims(x), to;
  for (int64_t d : perm)
    to.push_back(from[d]);
  return buildOp(builder, makeTensorType(to, elementOf(x)), loc, "transpose", x, attribute("perm", perm));
}

} // namespace kiln
