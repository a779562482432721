// Emitter: constants and arithmetic.
#include "codegen/emit/Emitter.h"

#include "runtime/base/Tensor.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"

#include <bit>
#include <cmath>

namespace kiln::emit {

namespace arith = mlir::arith;
namespace math = mlir::math;
namespace LLVM = mlir::LLVM;

// --- Constants -----------------------------------------------------------------------------------------------------

Value Emitter::index(int64_t value) { return b_.create<arith::ConstantOp>(loc_, b_.getI64IntegerAttr(value)); }

static Value makeConstant(mlir::OpBuilder &b, mlir::Location loc, Type type, mlir::TypedAttr element) {
  if (auto vector = llvm::dyn_cast<mlir::VectorType>(type))
    return b.create<arith::ConstantOp>(loc, mlir::DenseElementsAttr::get(vector, mlir::Attribute(element)));
  return b.create<arith::ConstantOp>(loc, element);
}

Value Emitter::constant(Type type, double value) {
  if (isInteger(type))
    return constant(type, int64_t(value));
  return makeConstant(b_, loc_, type, b_.getFloatAttr(elementOf(type), value));
}

Value Emitter::constant(Type type, int64_t value) {
  if (isFloat(type))
    return constant(type, double(value));
  return makeConstant(b_, loc_, type, b_.getIntegerAttr(elementOf(type), value));
}

Value Emitter::constantVector(llvm::ArrayRef<float> values) {
  auto type = mlir::VectorType::get({int64_t(values.size())}, f32());
  return b_.create<arith::ConstantOp>(loc_, mlir::DenseElementsAttr::get(type, values));
}

Value Emitter::constantVector(Type element, llvm::ArrayRef<int64_t> values) {
  auto type = mlir::VectorType::get({int64_t(values.size())}, element);
  llvm::SmallVector<mlir::Attribute> elements;
  for (int64_t v : values)
    elements.push_back(b_.getIntegerAttr(element, v));
  return b_.create<arith::ConstantOp>(loc_, mlir::DenseElementsAttr::get(type, elements));
}

Value Emitter::undef(Type type) { return b_.create<LLVM::UndefOp>(loc_, type); }

bool Emitter::isConstant(Value v, double *value) {
  mlir::Attribute attribute;
  if (!mlir::matchPattern(v, mlir::m_Constant(&attribute)))
    return false;
  if (auto splat = llvm::dyn_cast<mlir::SplatElementsAttr>(attribute))
    attribute = splat.getSplatValue<mlir::Attribute>();
  if (auto f = llvm::dyn_cast<mlir::FloatAttr>(attribute)) {
    if (value)
      *value = f.getValueAsDouble();
    return true;
  }
  if (auto i = llvm::dyn_cast<mlir::IntegerAttr>(attribute)) {
    if (value)
      *value = double(i.getValue().getSExtValue());
    return true;
  }
  return false;
}

static bool isIndexConstant(Value v, int64_t &value) {
  llvm::APInt constant;
  if (!v.getType().isInteger(64) || !mlir::matchPattern(v, mlir::m_ConstantInt(&constant)))
    return false;
  value = constant.getSExtValue();
  return true;
}

// --- Arithmetic ----------------------------------------------------------------------------------------------------
// Index arithmetic on constants is folded here: it keeps the emitted code short enough to read. The constants may be a
// model's data too: what would overflow is left to the code, which wraps.

static arith::FastMathFlagsAttr contract(mlir::OpBuilder &b) {
  return arith::FastMathFlagsAttr::get(b.getContext(), arith::FastMathFlags::contract);
}

Value Emitter::add(Value a, Value b) {
  int64_t x, y;
  bool ca = isIndexConstant(a, x), cb = isIndexConstant(b, y);
  if (std::optional<int64_t> sum = ca && cb ? checkedAdd(x, y) : std::nullopt)
    return index(*sum);
  if (ca && x == 0)
    return b;
  if (cb && y == 0)
    return a;
  if (isFloat(a.getType()))
    return b_.create<arith::AddFOp>(loc_, a, b, contract(b_));
  return b_.create<arith::AddIOp>(loc_, a, b);
}

Value Emitter::sub(Value a, Value b) {
  int64_t x, y;
  bool ca = isIndexConstant(a, x), cb = isIndexConstant(b, y);
  if (std::optional<int64_t> difference = ca && cb ? checkedSub(x, y) : std::nullopt)
    return index(*difference);
  if (cb && y == 0)
    return a;
  if (isFloat(a.getType()))
    return b_.create<arith::SubFOp>(loc_, a, b, contract(b_));
  return b_.create<arith::SubIOp>(loc_, a, b);
}

Value Emitter::mul(Value a, Value b) {
  int64_t x, y;
  bool ca = isIndexConstant(a, x), cb = isIndexConstant(b, y);
  if (std::optional<int64_t> product = ca && cb ? checkedMul(x, y) : std::nullopt)
    return index(*product);
  if ((ca && x == 1) || (cb && y == 0))
    return b;
  if ((cb && y == 1) || (ca && x == 0))
    return a;
  if (isFloat(a.getType()))
    return b_.create<arith::MulFOp>(loc_, a, b, contract(b_));
  return b_.create<arith::MulIOp>(loc_, a, b);
}

Value Emitter::div(Value a, Value b) {
  int64_t x, y;
  bool ca = isIndexConstant(a, x), cb = isIndexConstant(b, y);
  if (cb && y == 1)
    return a;
  if (ca && cb && y > 0)
    return index(x / y);
  if (isFloat(a.getType()))
    return b_.create<arith::DivFOp>(loc_, a, b, contract(b_));
  return b_.create<arith::DivSIOp>(loc_, a, b);
}

Value Emitter::rem(Value a, Value b) {
  int64_t x, y;
  bool ca = isIndexConstant(a, x), cb = isIndexConstant(b, y);
  if (cb && y == 1)
    return index(0);
  if (ca && cb && y > 0)
    return index(x % y);
  return b_.create<arith::RemSIOp>(loc_, a, b);
}

Value Emitter::floorDiv(Value a, Value b) {
  int64_t x, y;
  if (isIndexConstant(b, y)) {
    if (y == 1)
      return a;
    if (isIndexConstant(a, x) && y > 0)
      return index(x / y - (x % y < 0));
    if (y > 0 && std::has_single_bit(uint64_t(y)))
      return shrSigned(a, index(std::countr_zero(uint64_t(y))));
  }
  Value q = div(a, b);
  Value below = cmp(Cmp::lt, sub(a, mul(q, b)), constant(a.getType(), 0));
  return sub(q, resizeInt(below, a.getType(), false));
}

Value Emitter::ceilDiv(Value a, Value b) { return floorDiv(add(a, sub(b, constant(b.getType(), 1))), b); }

Value Emitter::neg(Value a) {
  if (isFloat(a.getType()))
    return b_.create<arith::NegFOp>(loc_, a, contract(b_));
  return sub(constant(a.getType(), 0), a);
}

Value Emitter::abs(Value a) {
  if (isFloat(a.getType()))
    return b_.create<math::AbsFOp>(loc_, a, contract(b_));
  return select(cmp(Cmp::lt, a, constant(a.getType(), 0)), neg(a), a);
}

Value Emitter::fma(Value a, Value b, Value c) {
  if (isFloat(a.getType()))
    return b_.create<math::FmaOp>(loc_, a, b, c, contract(b_));
  return add(mul(a, b), c);
}

Value Emitter::multiplyAddPairs(Value a, Value b, Value sum) {
  Value half = like(a, 16);
  Value low = mul(shrSigned(shl(a, half), half), shrSigned(shl(b, half), half));
  return add(sum, add(low, mul(shrSigned(a, half), shrSigned(b, half))));
}

Value Emitter::multiplyAddQuads(Value a, Value b, Value sum) {
  for (int byte = 0; byte < 4; ++byte) {
    Value left = like(a, 24 - 8 * byte), right = like(a, 24);
    sum = add(sum, mul(shrUnsigned(shl(a, left), right), shrSigned(shl(b, left), right)));
  }
  return sum;
}

void Emitter::configureTiles(Value) { llvm_unreachable("the target has no tile registers"); }
void Emitter::loadTile(int, Value, Value) { llvm_unreachable("the target has no tile registers"); }
void Emitter::storeTile(int, Value, Value) { llvm_unreachable("the target has no tile registers"); }
void Emitter::clearTile(int) { llvm_unreachable("the target has no tile registers"); }
void Emitter::multiplyAddTiles(int, int, int, bool) { llvm_unreachable("the target has no tile registers"); }
void Emitter::releaseTiles() { llvm_unreachable("the target has no tile registers"); }

std::optional<Emitter::RoundedSum> Emitter::asRoundedSum(Value value) {
  int64_t n = 0;
  if (auto sum = value.getDefiningOp<arith::AddFOp>()) {
    double addend;
    if (!isConstant(sum.getRhs(), &addend) || addend != std::trunc(addend) || std::fabs(addend) > 0x1p20)
      return std::nullopt;
    n = int64_t(addend);
    value = sum.getLhs();
  }
  if (auto round = value.getDefiningOp<math::RoundEvenOp>())
    return RoundedSum{round.getOperand(), n};
  return std::nullopt;
}

Value Emitter::sqrt(Value a) { return b_.create<math::SqrtOp>(loc_, a); }
Value Emitter::floor(Value a) { return b_.create<math::FloorOp>(loc_, a); }
Value Emitter::ceil(Value a) { return b_.create<math::CeilOp>(loc_, a); }
Value Emitter::roundEven(Value a) { return b_.create<math::RoundEvenOp>(loc_, a); }
Value Emitter::trunc(Value a) { return b_.create<math::TruncOp>(loc_, a); }
Value Emitter::copySign(Value magnitude, Value sign) { return b_.create<math::CopySignOp>(loc_, magnitude, sign); }

// x86's min and max give their second operand when either is NaN; written so that the pattern is recognised.
Value Emitter::fastMin(Value a, Value b) { return select(cmp(Cmp::lt, a, b), a, b); }
Value Emitter::fastMax(Value a, Value b) { return select(cmp(Cmp::gt, a, b), a, b); }

static bool isOrdinaryConstant(Value v) {
  double d = 0;
  return Emitter::isConstant(v, &d) && !std::isnan(d);
}

Value Emitter::min(Value a, Value b) {
  int64_t x, y;
  if (isInteger(a.getType())) {
    if (isIndexConstant(a, x) && isIndexConstant(b, y))
      return index(std::min(x, y));
    return b_.create<arith::MinSIOp>(loc_, a, b);
  }
  if (isOrdinaryConstant(b))
    return fastMin(b, a);
  if (isOrdinaryConstant(a))
    return fastMin(a, b);
  return select(isNan(a), a, fastMin(a, b));
}

Value Emitter::max(Value a, Value b) {
  int64_t x, y;
  if (isInteger(a.getType())) {
    if (isIndexConstant(a, x) && isIndexConstant(b, y))
      return index(std::max(x, y));
    return b_.create<arith::MaxSIOp>(loc_, a, b);
  }
  if (isOrdinaryConstant(b))
    return fastMax(b, a);
  if (isOrdinaryConstant(a))
    return fastMax(a, b);
  return select(isNan(a), a, fastMax(a, b));
}

Value Emitter::cmp(Cmp predicate, Value a, Value b) {
  if (isFloat(a.getType())) {
    using P = arith::CmpFPredicate;
    constexpr P table[] = {P::OEQ, P::UNE, P::OLT, P::OLE, P::OGT, P::OGE};
    return b_.create<arith::CmpFOp>(loc_, table[int(predicate)], a, b);
  }
  using P = arith::CmpIPredicate;
  constexpr P integers[] = {P::eq, P::ne, P::slt, P::sle, P::sgt, P::sge};
  constexpr P truths[] = {P::eq, P::ne, P::ult, P::ule, P::ugt, P::uge}; // true is 1, and not -1
  return b_.create<arith::CmpIOp>(loc_, (bitsOf(a.getType()) == 1 ? truths : integers)[int(predicate)], a, b);
}

Value Emitter::isNan(Value a) { return b_.create<arith::CmpFOp>(loc_, arith::CmpFPredicate::UNO, a, a); }

Value Emitter::select(Value condition, Value a, Value b) { return b_.create<arith::SelectOp>(loc_, condition, a, b); }

Value Emitter::bitAnd(Value a, Value b) { return b_.create<arith::AndIOp>(loc_, a, b); }
Value Emitter::bitOr(Value a, Value b) { return b_.create<arith::OrIOp>(loc_, a, b); }
Value Emitter::bitXor(Value a, Value b) { return b_.create<arith::XOrIOp>(loc_, a, b); }
Value Emitter::bitNot(Value a) { return bitXor(a, constant(a.getType(), -1)); }
Value Emitter::shl(Value a, Value b) { return b_.create<arith::ShLIOp>(loc_, a, b); }
Value Emitter::shrSigned(Value a, Value b) { return b_.create<arith::ShRSIOp>(loc_, a, b); }
Value Emitter::shrUnsigned(Value a, Value b) { return b_.create<arith::ShRUIOp>(loc_, a, b); }

Value Emitter::bitcast(Value a, Type type) {
  if (a.getType() == type)
    return a;
  if (lanesOf(a.getType()) != lanesOf(type)) // which arith does not know
    return b_.create<LLVM::BitcastOp>(loc_, type, a);
  return b_.create<arith::BitcastOp>(loc_, type, a);
}

Value Emitter::intToFloat(Value a, Type type) {
  if (bitsOf(a.getType()) == 1)
    return b_.create<arith::UIToFPOp>(loc_, type, a);
  return b_.create<arith::SIToFPOp>(loc_, type, a);
}

Value Emitter::floatToInt(Value a, Type type) {
  unsigned bits = bitsOf(type);
  double limit = std::ldexp(1.0, int(bits) - 1);
  Value high = cmp(Cmp::ge, a, like(a, limit));
  Value low = cmp(Cmp::lt, a, like(a, -limit));
  Value outside = bitOr(bitOr(high, low), isNan(a));
  Value inside = floatToIntFast(select(outside, like(a, 0), a), type);
  int64_t most = int64_t((uint64_t(1) << (bits - 1)) - 1);
  return select(high, constant(type, most), select(low, constant(type, -most - 1), inside));
}

Value Emitter::floatToIntFast(Value a, Type type) { return b_.create<arith::FPToSIOp>(loc_, type, a); }

Value Emitter::resizeFloat(Value a, Type type) {
  if (a.getType() == type)
    return a;
  if (bitsOf(a.getType()) < bitsOf(type))
    return b_.create<arith::ExtFOp>(loc_, type, a);
  return b_.create<arith::TruncFOp>(loc_, type, a);
}

Value Emitter::resizeInt(Value a, Type type, bool isSigned) {
  unsigned from = bitsOf(a.getType()), to = bitsOf(type);
  if (from == to)
    return a;
  if (from > to)
    return b_.create<arith::TruncIOp>(loc_, type, a);
  if (isSigned)
    return b_.create<arith::ExtSIOp>(loc_, type, a);
  return b_.create<arith::ExtUIOp>(loc_, type, a);
}

bool Emitter::scalesByPowersOf2(Type) const { return false; }
Value Emitter::scaleByPowerOf2(Value, Value) { return {}; }
Value Emitter::reciprocalEstimate(Value) { return {}; }

Value Emitter::intrinsic(llvm::StringRef name, Type result, ValueRange arguments) {
  return b_.create<LLVM::CallIntrinsicOp>(loc_, result, b_.getStringAttr(name), arguments).getResult(0);
}

void Emitter::intrinsic(llvm::StringRef name, ValueRange arguments) {
  b_.create<LLVM::CallIntrinsicOp>(loc_, mlir::TypeRange(), b_.getStringAttr(name), arguments);
}

} // namespace kiln::emit
