// Elementwise ops of two operands, and where.
#include "runtime/reference/Elementwise.h"
#include "runtime/reference/Kernels.h"

namespace kiln::ref {
namespace {

template <typename F> Status arithmetic(std::string_view op, const OpCall &call, F f) {
  KILN_TRY(checkCounts(op, call, 2, 2));
  const DType dtype = call.inputs[0].dtype;
  KILN_TRY(checkType(op, "the second operand", call.inputs[1], dtype));
  KILN_TRY(checkType(op, "the result", call.outputs[0], dtype));
  if (dtype == DType::Bool)
    return makeError(ErrorCode::E0203, op, " is not defined for bool");
  return withCompute(dtype, call.accumulate, [&]<typename C>() { return mapElements<C, 2>(op, call, f); });
}

template <typename F> Status comparison(std::string_view op, const OpCall &call, F f) {
  KILN_TRY(checkCounts(op, call, 2, 2));
  const DType dtype = call.inputs[0].dtype;
  KILN_TRY(checkType(op, "the second operand", call.inputs[1], dtype));
  KILN_TRY(checkType(op, "the result", call.outputs[0], DType::Bool));
  return withCompute(dtype, call.accumulate, [&]<typename C>() { return mapElements<C, 2>(op, call, f); });
}

enum class Bits { Bool, Integer };

template <typename F> Status bitwise(std::string_view op, Bits on, const OpCall &call, F f) {
  KILN_TRY(checkCounts(op, call, 2, 2));
  const DType dtype = call.inputs[0].dtype;
  if (on == Bits::Bool ? dtype != DType::Bool : !isInteger(dtype))
    return makeError(ErrorCode::E0203, op, " is not defined for ", dtypeName(dtype));
  KILN_TRY(checkType(op, "the second operand", call.inputs[1], dtype));
  KILN_TRY(checkType(op, "the result", call.outputs[0], dtype));
  return mapElements<uint64_t, 2>(op, call, f);
}

/// Integer arithmetic goes through u64, where wrapping is defined; the store keeps the low bits.
template <typename C> using Wrapping = std::conditional_t<std::is_floating_point_v<C>, C, uint64_t>;

/// Quotient towards zero; 0 for a zero divisor; the minimum by -1 wraps to itself.
template <typename C> C divide(C a, C b) {
  if constexpr (std::is_floating_point_v<C>)
    return a / b;
  else {
    if (b == 0)
      return 0;
    if constexpr (std::is_signed_v<C>)
      if (b == -1)
        return static_cast<C>(uint64_t{0} - static_cast<uint64_t>(a));
    return a / b;
  }
}

/// Remainder with the sign of the divisor (floor) or of the dividend (trunc). Integers by zero give
/// 0.
template <typename C> C remainder(C a, C b, bool trunc) {
  if constexpr (std::is_floating_point_v<C>) {
    const C r = std::fmod(a, b);
    if (trunc || r == 0)
      return trunc ? r : std::copysign(r, b);
    return (r < 0) != (b < 0) ? r + b : r;
  } else {
    if (b == 0)
      return 0;
    if constexpr (std::is_signed_v<C>) {
      if (b == -1)
        return 0;
      const C r = a % b;
      return !trunc && r != 0 && (r < 0) != (b < 0) ? r + b : r;
    }
    return a % b;
  }
}

/// Integer power that wraps; a negative exponent gives the true value truncated (1 and -1 stay
/// units), 0 for base 0.
template <typename C> C power(C base, C exponent) {
  if constexpr (std::is_floating_point_v<C>)
    return std::pow(base, exponent);
  else {
    if constexpr (std::is_signed_v<C>)
      if (exponent < 0)
        return base == 1 ? 1 : base == -1 ? (exponent % 2 ? -1 : 1) : 0;
    uint64_t result = 1, square = static_cast<uint64_t>(base);
    for (uint64_t left = static_cast<uint64_t>(exponent); left; left >>= 1) {
      if (left & 1)
        result *= square;
      square *= square;
    }
    return static_cast<C>(result);
  }
}

template <typename C> bool isNan(C x) {
  if constexpr (std::is_floating_point_v<C>)
    return std::isnan(x);
  else
    return false;
}

} // namespace

#define KILN_ARITHMETIC(name, expression)                                                 \
  Status op_##name(const OpCall &call) {                                                  \
    return arithmetic(#name, call, []<typename C>(C a, C b) -> C { return expression; }); \
  }
KILN_ARITHMETIC(add, static_cast<C>(Wrapping<C>(a) + Wrapping<C>(b)))
KILN_ARITHMETIC(sub, static_cast<C>(Wrapping<C>(a) - Wrapping<C>(b)))
KILN_ARITHMETIC(mul, static_cast<C>(Wrapping<C>(a) * Wrapping<C>(b)))
KILN_ARITHMETIC(div, divide(a, b))
KILN_ARITHMETIC(max, isNan(a) ? a : isNan(b) || b > a ? b : a)
KILN_ARITHMETIC(min, isNan(a) ? a : isNan(b) || b < a ? b : a)
KILN_ARITHMETIC(prelu, a < 0 ? static_cast<C>(Wrapping<C>(a) * Wrapping<C>(b)) : a)
#undef KILN_ARITHMETIC

Status op_mod(const OpCall &call) {
  const bool trunc = call.attributes.getBool("fmod");
  return arithmetic("mod", call, [=]<typename C>(C a, C b) -> C { return remainder(a, b, trunc); });
}

Status op_pow(const OpCall &call) {
  KILN_TRY(checkCounts("pow", call, 2, 2));
  const DType base = call.inputs[0].dtype, exponent = call.inputs[1].dtype;
  if (base == exponent)
    return arithmetic("pow", call, []<typename C>(C a, C b) -> C { return power(a, b); });
  // The result has the base's type; a floating-point side makes the computation floating point.
  KILN_TRY(checkType("pow", "the result", call.outputs[0], base));
  if (base == DType::Bool || exponent == DType::Bool)
    return makeError(ErrorCode::E0203, "pow is not defined for bool");
  auto run = [&]<typename C>() { return mapElements<C, 2>("pow", call, [](C a, C b) -> C { return power(a, b); }); };
  if (!isFloat(base) && !isFloat(exponent))
    return isSignedInt(base) || isSignedInt(exponent) ? run.operator()<int64_t>() : run.operator()<uint64_t>();
  const bool own = call.accumulate == Accumulate::Own && isFloat(base) && base != DType::F64;
  return own ? run.operator()<float>() : run.operator()<double>();
}

#define KILN_COMPARISON(name, operation)                                                            \
  Status op_##name(const OpCall &call) {                                                            \
    return comparison(#name, call, []<typename C>(C a, C b) -> uint64_t { return a operation b; }); \
  }
KILN_COMPARISON(equal, ==)
KILN_COMPARISON(less, <)
KILN_COMPARISON(less_equal, <=)
KILN_COMPARISON(greater, >)
KILN_COMPARISON(greater_equal, >=)
#undef KILN_COMPARISON

#define KILN_BITWISE(name, on, operation)                                                              \
  Status op_##name(const OpCall &call) {                                                               \
    return bitwise(#name, on, call, [](uint64_t a, uint64_t b) -> uint64_t { return a operation b; }); \
  }
KILN_BITWISE(and, Bits::Bool, &)
KILN_BITWISE(or, Bits::Bool, |)
KILN_BITWISE(xor, Bits::Bool, ^)
KILN_BITWISE(bitwise_and, Bits::Integer, &)
KILN_BITWISE(bitwise_or, Bits::Integer, |)
KILN_BITWISE(bitwise_xor, Bits::Integer, ^)
#undef KILN_BITWISE

template <typename F> static Status shift(std::string_view op, const OpCall &call, F f) {
  const DType dtype = call.inputs.empty() ? DType::Bool : call.inputs[0].dtype;
  if (call.inputs.size() == 2 && !isInteger(dtype))
    return makeError(ErrorCode::E0203, op, " is not defined for ", dtypeName(dtype));
  const uint64_t width = 8 * static_cast<uint64_t>(dtypeBytes(dtype));
  // A negative count is a large one: unsigned, it is beyond every width.
  return arithmetic(op, call, [=]<typename C>(C a, C b) -> C { return f(a, static_cast<uint64_t>(b), width); });
}

Status op_shift_left(const OpCall &call) {
  return shift("shift_left", call, []<typename C>(C a, uint64_t count, uint64_t width) {
    if constexpr (std::is_floating_point_v<C>)
      return a; // refused above
    else
      return count < width ? static_cast<C>(static_cast<uint64_t>(a) << count) : C(0);
  });
}

Status op_shift_right(const OpCall &call) {
  return shift("shift_right", call, []<typename C>(C a, uint64_t count, uint64_t width) {
    if constexpr (std::is_floating_point_v<C>)
      return a; // refused above
    else
      return count < width ? static_cast<C>(a >> count) : static_cast<C>(a < 0 ? -1 : 0);
  });
}

Status op_where(const OpCall &call) {
  KILN_TRY(checkCounts("where", call, 3, 3));
  const TensorView &condition = call.inputs[0], &x = call.inputs[1], &y = call.inputs[2];
  KILN_TRY(checkType("where", "the condition", condition, DType::Bool));
  KILN_TRY(checkType("where", "the third operand", y, x.dtype));
  KILN_ASSIGN(const Dims space, broadcastDims("where", call.inputs));
  KILN_TRY(checkOutput("where", call, x.dtype, space));
  return dispatch(x.dtype, [&]<typename T>() {
    const Walk<4> walk(space, {broadcastStrides(condition.dims, space), broadcastStrides(x.dims, space),
                               broadcastStrides(y.dims, space), broadcastStrides(space, space)});
    const auto [cStep, xStep, yStep, outStep] = walk.inner();
    walk.rows([&](const std::array<int64_t, 4> &at, int64_t n) {
      const Bool *c = condition.as<Bool>() + at[0];
      const T *a = x.as<T>() + at[1], *b = y.as<T>() + at[2];
      T *out = call.outputs[0].as<T>() + at[3];
      for (int64_t i = 0; i < n; ++i)
        out[i * outStep] = c[i * cStep].byte ? a[i * xStep] : b[i * yStep];
    });
    return Status();
  });
}

} // namespace kiln::ref
