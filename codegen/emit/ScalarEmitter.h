// ScalarEmitter: elementwise maths as inline code, on vectors and scalars alike. This is the vocabulary in which scalar
// bodies (of the op definitions, and of families that fuse such ops) are written; names and meaning follow the
// reference kernels.
//
// No function calls anything: exp, log and their relatives are polynomials. Largest errors over a dense sample of the
// whole range, against libm in double precision, in units in the last place of an f32 result
// (test/codegen/ScalarMathTest.cpp holds them to it):
//
//   exp 1   log 2   expm1 3   log1p 3   tanh 5   sigmoid 3   erf 6   normalCdf 8   sin cos 2   tan 4   atan 3   pow 2
//
// Results that would be subnormal may come out as zero. sin, cos and tan hold to |x| < 2^28, and beyond lose accuracy
// but stay defined. On f64: exp, log, expm1, log1p, tanh, sigmoid and pow to a few units; the other functions are f32
// only (see supports()).
#pragma once

#include "codegen/emit/Emitter.h"

#include <string_view>

namespace kiln::emit {

class ScalarEmitter {
public:
  using Value = mlir::Value;

  explicit ScalarEmitter(Emitter &emitter) : e(emitter) {}
  Emitter &emitter() { return e; }

  /// Whether `function` (a name below) can be emitted for elements of `dtype`.
  static bool supports(std::string_view function, DType dtype);

  Value constant(Value like, double value) { return e.constant(like.getType(), value); }
  /// Of the type set by setConstantType: generated scalar bodies have no operand at hand.
  Value constant(double value) { return e.constant(constantType_, value); }
  void setConstantType(mlir::Type type) { constantType_ = type; }

  // --- Any number type. Integers wrap; divisions by zero and of the smallest number by -1 are defined (0, and itself).
  Value add(Value x, Value y) { return e.add(x, y); }
  Value sub(Value x, Value y) { return e.sub(x, y); }
  Value mul(Value x, Value y) { return e.mul(x, y); }
  Value div(Value x, Value y);
  Value neg(Value x) { return e.neg(x); }
  Value abs(Value x) { return e.abs(x); }
  Value sign(Value x);
  Value maximum(Value x, Value y) { return e.max(x, y); } // NaN wins
  Value minimum(Value x, Value y) { return e.min(x, y); }
  Value mod(Value x, Value y);  // sign of the divisor; integers only
  Value fmod(Value x, Value y); // sign of the dividend; integers only
  Value equal(Value x, Value y) { return e.cmp(Cmp::eq, x, y); }
  Value notEqual(Value x, Value y) { return e.cmp(Cmp::ne, x, y); }
  Value less(Value x, Value y) { return e.cmp(Cmp::lt, x, y); }
  Value lessEqual(Value x, Value y) { return e.cmp(Cmp::le, x, y); }
  Value greater(Value x, Value y) { return e.cmp(Cmp::gt, x, y); }
  Value greaterEqual(Value x, Value y) { return e.cmp(Cmp::ge, x, y); }
  Value where(Value condition, Value x, Value y) { return e.select(condition, x, y); }
  Value isNan(Value x) { return e.isNan(x); }
  /// Between register types: truncates and saturates to integers (NaN gives 0), keeps low bits between integers, tests
  /// for nonzero to bool. `dtype` is the element type to convert to, by name.
  Value cast(Value x, std::string_view dtype);
  Value cast(Value x, DType dtype);
  /// Of an unsigned type: the low bits, which is what arithmetic in registers (wider, see Emitter.h) comes to.
  Value wrap(Value x, DType dtype);

  // --- Booleans and bits
  Value logicalAnd(Value x, Value y) { return e.bitAnd(x, y); }
  Value logicalOr(Value x, Value y) { return e.bitOr(x, y); }
  Value logicalXor(Value x, Value y) { return e.bitXor(x, y); }
  Value logicalNot(Value x) { return e.bitNot(x); }
  Value bitwiseAnd(Value x, Value y) { return e.bitAnd(x, y); }
  Value bitwiseOr(Value x, Value y) { return e.bitOr(x, y); }
  Value bitwiseXor(Value x, Value y) { return e.bitXor(x, y); }
  Value shiftLeft(Value x, Value y);  // 0 unless 0 <= y < width
  Value shiftRight(Value x, Value y); // nothing but the sign unless 0 <= y < width

  // --- Floating point
  Value fma(Value x, Value y, Value z) { return e.fma(x, y, z); }
  Value sqrt(Value x) { return e.sqrt(x); }
  Value floor(Value x) { return e.floor(x); }
  Value ceil(Value x) { return e.ceil(x); }
  Value round(Value x) { return e.roundEven(x); } // halves to even
  Value exp(Value x);
  Value expNonPositive(Value x); // the same for x <= 0 (or NaN), a little cheaper
  Value expm1(Value x);
  Value log(Value x);
  Value log1p(Value x);
  Value tanh(Value x);
  Value sigmoid(Value x);
  Value erf(Value x);
  Value normalCdf(Value x); // of the standard normal distribution, accurate in the lower tail too
  Value sin(Value x);
  Value cos(Value x);
  Value tan(Value x);
  Value atan(Value x);
  Value pow(Value x, Value y);

  /// 1 / x to about 2 units, without a division. x finite and normal.
  Value reciprocalFast(Value x);

private:
  Value roundedToByte(Value x, DType dtype);
  Value polynomial(Value x, llvm::ArrayRef<double> coefficients); // constant term first
  Value scaleByPowerOf2(Value x, Value n, Value nBits);
  enum class ExpRange { All, NonPositive, Tail }; // Tail: -104 <= x <= 0
  Value expReduced(Value x, Value correction, ExpRange range);
  Value exp64(Value x);
  Value log64(Value x);
  Value sinCos(Value x, int quadrant);
  Value convertFloat(Value x, Type element);

  Emitter &e;
  mlir::Type constantType_;
};

} // namespace kiln::emit
