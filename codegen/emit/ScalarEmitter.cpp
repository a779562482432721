#include "codegen/emit/ScalarEmitter.h"

#include <bit>
#include <cmath>
#include <limits>

namespace kiln::emit {

static constexpr double infinity = std::numeric_limits<double>::infinity();
static constexpr double notANumber = std::numeric_limits<double>::quiet_NaN();

bool ScalarEmitter::supports(std::string_view function, DType dtype) {
  static constexpr std::string_view integersOnly[] = {"mod",         "fmod",       "bitwise_and", "bitwise_or",
                                                      "bitwise_xor", "shift_left", "shift_right"};
  static constexpr std::string_view singleOnly[] = {"erf", "normal_cdf", "sin", "cos", "tan", "atan"};
  static constexpr std::string_view floatOnly[] = {"exp", "expm1", "log",   "log1p", "tanh",  "sigmoid",
                                                   "pow", "sqrt",  "floor", "ceil",  "round", "isnan"};
  auto in = [&](auto &list) { return std::find(std::begin(list), std::end(list), function) != std::end(list); };
  if (dtype == DType::U64)
    return false;
  if (in(integersOnly))
    return kiln::isInteger(dtype);
  if (in(singleOnly))
    return kiln::isFloat(dtype) && dtype != DType::F64;
  if (in(floatOnly))
    return kiln::isFloat(dtype);
  return true;
}

Value ScalarEmitter::polynomial(Value x, llvm::ArrayRef<double> coefficients) {
  Value sum = constant(x, coefficients.back());
  for (size_t i = coefficients.size() - 1; i-- > 0;)
    sum = e.fma(sum, x, constant(x, coefficients[i]));
  return sum;
}

// --- Numbers of every type -----------------------------------------------------------------------------------------

Value ScalarEmitter::div(Value x, Value y) {
  if (Emitter::isFloat(x.getType()))
    return e.div(x, y);
  Value zero = constant(y, 0), one = constant(y, 1);
  Value byZero = equal(y, zero), byMinusOne = equal(y, constant(y, -1));
  Value quotient = e.div(x, where(e.bitOr(byZero, byMinusOne), one, y));
  return where(byZero, zero, where(byMinusOne, e.neg(x), quotient));
}

Value ScalarEmitter::fmod(Value x, Value y) {
  Value one = constant(y, 1);
  Value trivial = e.bitOr(equal(y, constant(y, 0)), equal(y, constant(y, -1)));
  return e.rem(x, where(trivial, one, y)); // 0 for both
}

Value ScalarEmitter::mod(Value x, Value y) {
  Value r = fmod(x, y);
  Value zero = constant(y, 0);
  Value signsDiffer = less(e.bitXor(r, y), zero);
  return where(e.bitAnd(notEqual(r, zero), e.bitAnd(signsDiffer, notEqual(y, zero))), e.add(r, y), r);
}

Value ScalarEmitter::shiftLeft(Value x, Value y) {
  Value width = constant(y, Emitter::bitsOf(y.getType())), zero = constant(y, 0);
  Value inside = e.bitAnd(e.cmp(Cmp::ge, y, zero), less(y, width)); // of signed types alone: see supports
  return where(inside, e.shl(x, where(inside, y, zero)), zero);
}

Value ScalarEmitter::shiftRight(Value x, Value y) {
  Value last = constant(y, Emitter::bitsOf(y.getType()) - 1), zero = constant(y, 0);
  Value inside = e.bitAnd(e.cmp(Cmp::ge, y, zero), less(y, last));
  return e.shrSigned(x, where(inside, y, last));
}

Value ScalarEmitter::sign(Value x) {
  Value zero = constant(x, 0);
  Value positive = where(greater(x, zero), constant(x, 1), zero);
  Value signedOne = where(less(x, zero), constant(x, -1), positive);
  return Emitter::isFloat(x.getType()) ? where(e.isNan(x), x, signedOne) : signedOne;
}

/// The largest number of an unsigned type of at most 32 bits.
static double mostOf(DType dtype) { return double((uint64_t(1) << dtypeBits(dtype)) - 1); }

Value ScalarEmitter::cast(Value x, std::string_view dtype) {
  return cast(x, dtypeFromName(dtype).value_or(DType::F32)); // the op's verifier has refused other names
}

Value ScalarEmitter::cast(Value x, DType dtype) {
  Type from = x.getType();
  Type to = e.vec(e.registerType(dtype), Emitter::lanesOf(from));
  if (dtype == DType::Bool)
    return Emitter::bitsOf(from) == 1 ? x : notEqual(x, constant(x, 0));
  if (kiln::isFloat(dtype))
    return Emitter::isFloat(from) ? e.resizeFloat(x, to) : e.intToFloat(x, to);
  if (Emitter::isFloat(from)) {
    if (Value byte = dtypeBits(dtype) == 8 ? roundedToByte(x, dtype) : Value())
      return byte;
    x = e.floatToInt(x, to);
    return isUnsignedInt(dtype) ? e.min(e.max(x, constant(x, 0)), constant(x, mostOf(dtype))) : x;
  }
  x = e.resizeInt(x, to, /*isSigned=*/Emitter::bitsOf(from) != 1);
  return isUnsignedInt(dtype) ? wrap(x, dtype) : x;
}

// saturate(roundEven(y) + n) of f32: within the bounds of a byte, adding 1.5 * 2^23 leaves the rounded number in the
// low bits. Null for any other x.
Value ScalarEmitter::roundedToByte(Value x, DType dtype) {
  auto sum = Emitter::asRoundedSum(x);
  if (!sum || Emitter::bitsOf(x.getType()) != 32 || std::abs(sum->n) > 255)
    return {};
  constexpr float magic = 12582912;
  const bool isSigned = dtype == DType::I8;
  int64_t least = isSigned ? -128 : 0, most = isSigned ? 127 : 255;
  Value y = sum->x;
  if (isSigned) // NaN becomes 0; in a u8 the maximum below makes it that
    y = where(isNan(y), constant(y, double(-sum->n)), y);
  y = e.fastMin(e.fastMax(y, constant(y, double(least - sum->n))), constant(y, double(most - sum->n)));
  Type wide = e.vec(e.i32(), Emitter::lanesOf(y.getType()));
  Value bits = e.bitcast(e.add(y, constant(y, magic)), wide);
  Value number = e.add(bits, e.constant(wide, sum->n - std::bit_cast<int32_t>(magic)));
  return e.resizeInt(number, e.vec(e.registerType(dtype), Emitter::lanesOf(y.getType())));
}

Value ScalarEmitter::wrap(Value x, DType dtype) { return e.bitAnd(x, constant(x, mostOf(dtype))); }

// --- Exponentials --------------------------------------------------------------------------------------------------

// 2^n * x. `nBits` holds the integer n in its low bits (whatever lies above is shifted out).
Value ScalarEmitter::scaleByPowerOf2(Value x, Value n, Value nBits) {
  Type type = x.getType();
  if (e.scalesByPowersOf2(type))
    return e.scaleByPowerOf2(x, n);
  // Adding to the exponent field: x is close to 1, and callers replace results that leave the normal range.
  int mantissa = Emitter::bitsOf(type) == 32 ? 23 : 52;
  Value shifted = e.shl(nBits, e.like(nBits, mantissa));
  return e.bitcast(e.add(e.bitcast(x, nBits.getType()), shifted), type);
}

// exp(x + correction) for f32, |correction| tiny (null: none).
Value ScalarEmitter::expReduced(Value x, Value correction, ExpRange range) {
  // The bounds keep the reduction finite; the results beyond them are what select or scaling make of the last value.
  constexpr double high = 88.722839, low = -87.336541;
  bool scales = e.scalesByPowersOf2(x.getType());
  Value clamped = x; // NaN passes through both bounds
  if (range == ExpRange::All)
    clamped = e.fastMin(constant(x, 89.5), clamped);
  if (range != ExpRange::Tail)
    clamped = e.fastMax(constant(x, scales ? -110.0 : -88.0), clamped);
  constexpr double roundingMagic = 12582912.0; // 1.5 * 2^23
  Value t = e.fma(clamped, constant(x, 1.44269504088896341), constant(x, roundingMagic));
  Value n = e.sub(t, constant(x, roundingMagic));
  Value r = e.fma(n, constant(x, -0.693359375), clamped);
  r = e.fma(n, constant(x, 2.12194440e-4), r);
  if (correction)
    r = e.add(r, correction);
  Value p = polynomial(
      r, {0.4999999403953552, 0.166665181517601, 0.041668422520160675, 0.008369063958525658, 0.0013813880505040288});
  Value y = e.fma(p, e.mul(r, r), r);
  y = e.add(y, constant(x, 1.0));
  Type bits = e.vec(e.i32(), Emitter::lanesOf(x.getType()));
  y = scaleByPowerOf2(y, n, e.bitcast(t, bits));
  if (scales)
    return y;
  if (range == ExpRange::All)
    y = where(greater(x, constant(x, high)), constant(x, infinity), y);
  y = where(less(x, constant(x, low)), constant(x, 0.0), y);
  return where(e.isNan(x), x, y);
}

Value ScalarEmitter::exp64(Value x) {
  Value clamped = e.fastMax(constant(x, -746.0), e.fastMin(constant(x, 710.0), x));
  constexpr double roundingMagic = 6755399441055744.0; // 1.5 * 2^52
  Value t = e.fma(clamped, constant(x, 1.4426950408889634074), constant(x, roundingMagic));
  Value n = e.sub(t, constant(x, roundingMagic));
  Value r = e.fma(n, constant(x, -6.93147180369123816490e-01), clamped);
  r = e.fma(n, constant(x, -1.90821492927058770002e-10), r);
  llvm::SmallVector<double> coefficients; // 1/2!, 1/3!, ...
  double factorial = 1;
  for (int k = 2; k <= 13; ++k) {
    factorial *= k;
    coefficients.push_back(1 / factorial);
  }
  Value y = e.fma(polynomial(r, coefficients), e.mul(r, r), r);
  y = e.add(y, constant(x, 1.0));
  Value bits = e.bitcast(t, e.vec(e.i64(), Emitter::lanesOf(x.getType())));
  y = scaleByPowerOf2(y, n, bits);
  y = where(greater(x, constant(x, 709.78271289338397)), constant(x, infinity), y);
  y = where(less(x, constant(x, -708.39641853226408)), constant(x, 0.0), y);
  return where(e.isNan(x), x, y);
}

Value ScalarEmitter::exp(Value x) {
  return Emitter::bitsOf(x.getType()) == 64 ? exp64(x) : expReduced(x, Value(), ExpRange::All);
}

Value ScalarEmitter::expNonPositive(Value x) {
  return Emitter::bitsOf(x.getType()) == 64 ? exp64(x) : expReduced(x, Value(), ExpRange::NonPositive);
}

Value ScalarEmitter::expm1(Value x) {
  // Near zero the series, elsewhere exp(x) - 1 loses at most two bits.
  Value far = e.sub(exp(x), constant(x, 1.0));
  llvm::SmallVector<double> coefficients; // 1/2!, 1/3!, ... of (exp(x) - 1 - x) / x^2
  double factorial = 1;
  int terms = Emitter::bitsOf(x.getType()) == 64 ? 16 : 9;
  for (int k = 2; k <= terms; ++k) {
    factorial *= k;
    coefficients.push_back(1 / factorial);
  }
  Value near = e.fma(polynomial(x, coefficients), e.mul(x, x), x);
  return where(less(e.abs(x), constant(x, 0.5)), near, far);
}

Value ScalarEmitter::sigmoid(Value x) {
  Value one = constant(x, 1.0);
  return e.div(one, e.add(one, exp(e.neg(x))));
}

Value ScalarEmitter::tanh(Value x) {
  if (Emitter::bitsOf(x.getType()) == 64) {
    // expm1(2|x|) / (expm1(2|x|) + 2), with the sign of x.
    Value twice = e.fastMin(constant(x, 44.0), e.mul(e.abs(x), constant(x, 2.0)));
    Value m = expm1(twice);
    return e.copySign(e.div(m, e.add(m, constant(x, 2.0))), x);
  }
  // An odd rational minimax form; beyond the bound tanh is 1 in f32.
  constexpr double bound = 7.90531110763549805;
  Value c = e.fastMax(constant(x, -bound), e.fastMin(constant(x, bound), x));
  Value square = e.mul(c, c);
  Value p = polynomial(square, {4.89352455891786e-03, 6.37261928875436e-04, 1.48572235717979e-05, 5.12229709037114e-08,
                                -8.60467152213735e-11, 2.00018790482477e-13, -2.76076847742355e-16});
  Value q =
      polynomial(square, {4.89352518554385e-03, 2.26843463243900e-03, 1.18534705686654e-04, 1.19825839466702e-06});
  Value y = e.div(e.mul(c, p), q);
  return where(less(e.abs(x), constant(x, 0.0004)), x, y);
}

// --- Logarithms ----------------------------------------------------------------------------------------------------

// Splits x > 0 into m in [sqrt(1/2), sqrt(2)) and exponent n (as a float).
static std::pair<Value, Value> splitExponent(Emitter &e, Value x) {
  bool wide = Emitter::bitsOf(x.getType()) == 64;
  Type bits = e.vec(wide ? e.i64() : e.i32(), Emitter::lanesOf(x.getType()));
  // Subnormals are scaled up first.
  double smallest = wide ? 2.2250738585072014e-308 : 1.17549435e-38, scale = wide ? 18014398509481984.0 : 33554432.0;
  Value small = e.cmp(Cmp::lt, x, e.like(x, smallest));
  x = e.select(small, e.mul(x, e.like(x, scale)), x);
  Value i = e.bitcast(x, bits);
  // 0x3f3504f3 is sqrt(1/2): subtracting it makes the exponent field count from there.
  int64_t half = wide ? int64_t(0x3fe6a09e667f3bcd) : int64_t(0x3f3504f3);
  int mantissa = wide ? 52 : 23;
  Value shifted = e.sub(i, e.constant(bits, half));
  Value n = e.shrSigned(shifted, e.like(i, mantissa));
  Value m = e.bitcast(e.sub(i, e.shl(n, e.like(i, mantissa))), x.getType());
  Value nf = e.intToFloat(n, x.getType());
  nf = e.select(small, e.sub(nf, e.like(nf, wide ? 54 : 25)), nf);
  return {m, nf};
}

static Value logSpecialCases(Emitter &e, Value x, Value y) {
  y = e.select(e.cmp(Cmp::eq, x, e.like(x, 0.0)), e.like(x, -infinity), y);
  y = e.select(e.cmp(Cmp::lt, x, e.like(x, 0.0)), e.like(x, notANumber), y);
  y = e.select(e.cmp(Cmp::eq, x, e.like(x, infinity)), x, y);
  return e.select(e.isNan(x), x, y);
}

Value ScalarEmitter::log64(Value x) {
  auto [m, n] = splitExponent(e, x);
  Value one = constant(x, 1.0);
  Value f = e.sub(m, one);
  Value s = e.div(f, e.add(m, one));
  Value z = e.mul(s, s);
  llvm::SmallVector<double> coefficients; // 2 atanh(s) = 2s (1 + z/3 + z^2/5 + ...)
  for (int k = 3; k <= 23; k += 2)
    coefficients.push_back(2.0 / k);
  Value tail = e.mul(e.mul(polynomial(z, coefficients), z), s);
  Value high = e.mul(n, constant(x, 6.93147180369123816490e-01));
  Value low = e.fma(n, constant(x, 1.90821492927058770002e-10), tail);
  Value y = e.add(high, e.fma(s, constant(x, 2.0), low));
  return logSpecialCases(e, x, y);
}

Value ScalarEmitter::log(Value x) {
  if (Emitter::bitsOf(x.getType()) == 64)
    return log64(x);
  auto [m, n] = splitExponent(e, x);
  Value f = e.sub(m, constant(x, 1.0));
  Value z = e.mul(f, f);
  Value p = polynomial(f, {3.3333331174E-1, -2.4999993993E-1, 2.0000714765E-1, -1.6668057665E-1, 1.4249322787E-1,
                           -1.2420140846E-1, 1.1676998740E-1, -1.1514610310E-1, 7.0376836292E-2});
  Value y = e.mul(e.mul(p, z), f);
  y = e.fma(n, constant(x, -2.12194440e-4), y);
  y = e.fma(z, constant(x, -0.5), y);
  y = e.add(f, y);
  y = e.fma(n, constant(x, 0.693359375), y);
  return logSpecialCases(e, x, y);
}

Value ScalarEmitter::log1p(Value x) {
  // log(u) * x / (u - 1) with u = 1 + x rounded: the rounding error of u cancels.
  Value one = constant(x, 1.0);
  Value u = e.add(one, x);
  Value d = e.sub(u, one);
  Value y = e.mul(log(u), e.div(x, d));
  y = where(equal(d, constant(x, 0.0)), x, y);
  return where(equal(u, constant(x, infinity)), u, y);
}

// --- Normal distribution -------------------------------------------------------------------------------------------

Value ScalarEmitter::reciprocalFast(Value x) {
  Value y = e.reciprocalEstimate(x);
  if (!y)
    return e.div(constant(x, 1.0), x);
  return e.fma(y, e.fma(e.neg(x), y, constant(x, 1.0)), y);
}

Value ScalarEmitter::normalCdf(Value x) {
  // The lower tail is exp(-x^2/2) R(|x|), R a polynomial in 1 / (1 + 0.35 |x|): no cancellation anywhere. What squaring
  // rounds off goes back into the exponent, where it would otherwise be an error of x^2 ulp.
  Value a = e.fastMin(constant(x, 14.4), e.abs(x));
  Value u = reciprocalFast(e.fma(a, constant(x, 0.35), constant(x, 1.0)));
  Value r = polynomial(u, {0.139621302485466, 0.139863520860672, 0.11982129514217377, 0.10555247217416763,
                           -0.02321227453649044, 0.15931956470012665, -0.25583887100219727, 0.1440308541059494,
                           -0.029157869517803192});
  Value half = e.mul(a, constant(x, -0.5));
  Value square = e.mul(a, half);
  Value rest = e.fma(a, half, e.neg(square));
  Value tail = e.mul(expReduced(square, rest, ExpRange::Tail), e.mul(r, u));
  return where(greaterEqual(x, constant(x, 0.0)), e.sub(constant(x, 1.0), tail), tail); // NaN is in the tail
}

Value ScalarEmitter::erf(Value x) {
  constexpr double bound = 4.0; // erf(4) is 1 in f32
  Value c = e.fastMax(constant(x, -bound), e.fastMin(constant(x, bound), x));
  Value square = e.mul(c, c);
  Value p =
      polynomial(square, {-1.60960333262415e-02, -2.95459980854025e-03, -7.34990630326855e-04, -5.69250639462346e-05,
                          -2.10102402082508e-06, 2.77068142495902e-08, -2.72614225801306e-10});
  Value q = polynomial(square, {-1.42647390514189e-02, -7.37332916720468e-03, -1.68282697438203e-03,
                                -2.13374055278905e-04, -1.45660718464996e-05});
  return e.mul(c, e.div(p, q)); // in this order no small x underflows
}

// --- Trigonometry --------------------------------------------------------------------------------------------------

Value ScalarEmitter::convertFloat(Value x, Type element) {
  return e.resizeFloat(x, e.vec(element, Emitter::lanesOf(x.getType())));
}

// sin(x + quadrant * pi/2). The argument is reduced in f64, which is exact enough far beyond what f32 resolves.
Value ScalarEmitter::sinCos(Value x, int quadrant) {
  Value wide = convertFloat(x, e.f64());
  constexpr double roundingMagic = 6755399441055744.0;
  Value t = e.fma(wide, constant(wide, 0.63661977236758134308), constant(wide, roundingMagic));
  Value n = e.sub(t, constant(wide, roundingMagic));
  Value r = e.fma(n, constant(wide, -1.57079632679489655800), wide);
  r = e.fma(n, constant(wide, -6.12323399573676603587e-17), r);
  Type int32 = e.vec(e.i32(), Emitter::lanesOf(x.getType()));
  Value i = e.resizeInt(e.bitcast(t, e.vec(e.i64(), Emitter::lanesOf(x.getType()))), int32);
  i = e.add(i, e.constant(int32, quadrant));
  Value f = convertFloat(r, e.f32());
  Value z = e.mul(f, f);
  Value sine = polynomial(z, {-1.6666654611E-1, 8.3321608736E-3, -1.9515295891E-4});
  sine = e.fma(e.mul(sine, z), f, f);
  Value cosine = polynomial(z, {4.166664568298827E-002, -1.388731625493765E-003, 2.443315711809948E-005});
  cosine = e.fma(e.mul(cosine, z), z, e.fma(z, constant(x, -0.5), constant(x, 1.0)));
  Value odd = e.cmp(Cmp::ne, e.bitAnd(i, e.constant(int32, 1)), e.constant(int32, 0));
  Value y = where(odd, cosine, sine);
  Value negative = e.cmp(Cmp::ne, e.bitAnd(i, e.constant(int32, 2)), e.constant(int32, 0));
  y = where(negative, e.neg(y), y);
  // Infinite arguments have no sine; huge ones leave the reduced range.
  Value reduced = lessEqual(e.abs(f), constant(x, 1.6));
  Value finite = less(e.abs(x), constant(x, infinity));
  return where(reduced, y, where(finite, constant(x, 0.0), constant(x, notANumber)));
}

Value ScalarEmitter::sin(Value x) { return sinCos(x, 0); }
Value ScalarEmitter::cos(Value x) { return sinCos(x, 1); }
Value ScalarEmitter::tan(Value x) { return e.div(sinCos(x, 0), sinCos(x, 1)); }

Value ScalarEmitter::atan(Value x) {
  Value a = e.abs(x);
  Value one = constant(x, 1.0);
  Value large = greater(a, constant(x, 2.414213562373095));
  Value middle = greater(a, constant(x, 0.4142135623730950));
  // One division serves both reductions: -1/a and (a-1)/(a+1).
  Value numerator = where(large, constant(x, -1.0), where(middle, e.sub(a, one), a));
  Value denominator = where(large, a, where(middle, e.add(a, one), one));
  Value f = e.div(numerator, denominator);
  Value base =
      where(large, constant(x, 1.5707963267948966), where(middle, constant(x, 0.7853981633974483), constant(x, 0.0)));
  Value z = e.mul(f, f);
  Value p = polynomial(z, {-3.33329491539E-1, 1.99777106478E-1, -1.38776856032E-1, 8.05374449538e-2});
  Value y = e.add(base, e.fma(e.mul(p, z), f, f));
  return e.copySign(y, x);
}

// --- Power ---------------------------------------------------------------------------------------------------------

Value ScalarEmitter::pow(Value x, Value y) {
  double exponent = 0;
  if (Emitter::isConstant(y, &exponent)) {
    if (exponent == 1)
      return x;
    if (exponent == 2)
      return e.mul(x, x);
    if (exponent == 3)
      return e.mul(e.mul(x, x), x);
    if (exponent == -1)
      return e.div(constant(x, 1.0), x);
  }
  // exp(y * log|x|) in f64, then the sign and the cases that logarithms do not know.
  Value a = convertFloat(e.abs(x), e.f64()), b = convertFloat(y, e.f64());
  Value magnitude = e.resizeFloat(exp64(e.mul(b, log64(a))), x.getType());
  Value zero = constant(x, 0.0), one = constant(x, 1.0);
  Value isInteger = equal(e.floor(y), y);
  Value half = e.mul(y, constant(x, 0.5));
  Value isOdd = e.bitAnd(isInteger, notEqual(e.floor(half), half));
  Value negative = less(e.copySign(one, x), zero); // -0 too
  Value result = where(e.bitAnd(negative, isOdd), e.neg(magnitude), magnitude);
  Value infinite = equal(e.abs(y), constant(x, infinity));
  Value undefined = e.bitAnd(less(x, zero), e.bitNot(e.bitOr(isInteger, infinite)));
  undefined = e.bitAnd(undefined, greater(x, constant(x, -infinity)));
  result = where(undefined, constant(x, notANumber), result);
  result = where(e.bitOr(e.isNan(x), e.isNan(y)), constant(x, notANumber), result);
  Value minusOneToInfinity = e.bitAnd(equal(e.abs(x), one), infinite);
  return where(e.bitOr(e.bitOr(equal(x, one), equal(y, zero)), minusOneToInfinity), one, result);
}

} // namespace kiln::emit
