#include "passes/graph/Quantization.h"

#include <cmath>

using namespace mlir;

namespace kiln {

bool isByteTensor(Value value) { return elementOf(value).isInteger(8); }

static bool isI32(Value value) { return elementOf(value).isSignlessInteger(32); }

/// Whether `value` is a zero point that a run tells: one byte, widened.
static bool isZeroOfRun(Value value) {
  auto cast = value.getDefiningOp<CastOp>();
  return cast && isI32(value) && isByteTensor(cast.getX()) &&
         llvm::all_of(getDims(value), [](const SizeExpr &dim) { return dim.isConstant(1); });
}

bool widensBytes(Operation *op) {
  if (isa_and_nonnull<CastOp>(op))
    return !isByteTensor(op->getResult(0)) && !elementOf(op->getResult(0)).isInteger(1) &&
           (isByteTensor(op->getOperand(0)) || widensBytes(op->getOperand(0).getDefiningOp()));
  return isa_and_nonnull<SubOp, MulOp>(op) && op->getOperand(0).getType() == op->getResult(0).getType() &&
         (splatValue(op->getOperand(1)) || (isa<SubOp>(op) && isZeroOfRun(op->getOperand(1)))) &&
         widensBytes(op->getOperand(0).getDefiningOp());
}

/// The operand of a cast to `value`'s type, of the same dims.
static Value castOperand(Value value) {
  auto cast = value.getDefiningOp<CastOp>();
  return cast ? cast.getX() : Value();
}

std::optional<Dequantized> dequantized(Value value) {
  auto mul = value.getDefiningOp<MulOp>();
  if (!mul || !elementOf(value).isF32())
    return std::nullopt;
  Value difference = castOperand(mul.getX());
  if (!difference || getDims(difference) != getDims(value))
    return std::nullopt;
  if (isByteTensor(difference))
    return Dequantized{difference, {}, mul.getY()};
  if (!isI32(difference))
    return std::nullopt;
  Dequantized result{{}, {}, mul.getY()};
  if (auto sub = difference.getDefiningOp<SubOp>()) {
    result.zero = sub.getY();
    difference = sub.getX();
  }
  result.bytes = castOperand(difference);
  if (!result.bytes || !isByteTensor(result.bytes) || getDims(result.bytes) != getDims(value))
    return std::nullopt;
  return result;
}

std::optional<Quantized> quantized(Value value) {
  Value sum = castOperand(value);
  if (!sum || !isByteTensor(value) || !elementOf(sum).isF32())
    return std::nullopt;
  double zero = 0;
  if (auto shifted = withConstant<AddOp>(sum)) {
    zero = shifted->constant;
    sum = shifted->x;
  }
  auto round = sum.getDefiningOp<RoundOp>();
  if (!round || std::fabs(zero) > 255)
    return std::nullopt;
  bool isUnsigned = elementOf(value).isUnsignedInteger();
  return Quantized{round.getX(), round, zero, (isUnsigned ? 0 : -128) - zero, (isUnsigned ? 255 : 127) - zero};
}

Value centeredBytes(OpBuilder &builder, Location loc, Value bytes, Value zero) {
  Type type = makeTensorType(getDims(bytes), builder.getI32Type());
  Value wide = buildOp(builder, type, loc, "cast", bytes, Attributes({{"to", std::string("i32")}}));
  if (!zero || isSplat(zero, 0))
    return wide;
  if (auto common = splatValue(zero))
    zero = makeScalar(builder, loc, builder.getI32Type(), *common);
  return buildOp(builder, type, loc, "sub", {wide, zero});
}

bool isModerateScale(double scale) { return scale > 1e-12 && scale < 1e12; }

} // namespace kiln
