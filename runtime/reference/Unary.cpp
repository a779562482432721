// Elementwise ops of one operand, and cast.
#include "runtime/reference/Elementwise.h"
#include "runtime/reference/Kernels.h"

#include <numbers>

namespace kiln::ref {
namespace {

/// f: C -> C for floating-point operands.
template <typename F> Status unaryFloat(std::string_view op, const OpCall &call, F f) {
  KILN_TRY(checkCounts(op, call, 1, 1));
  const DType dtype = call.inputs[0].dtype;
  KILN_TRY(checkType(op, "the result", call.outputs[0], dtype));
  return withFloat(op, dtype, call.accumulate, [&]<typename C>() { return mapElements<C, 1>(op, call, f); });
}

/// f: C -> C for numbers of every type.
template <typename F> Status unaryNumber(std::string_view op, const OpCall &call, F f) {
  KILN_TRY(checkCounts(op, call, 1, 1));
  const DType dtype = call.inputs[0].dtype;
  KILN_TRY(checkType(op, "the result", call.outputs[0], dtype));
  if (dtype == DType::Bool)
    return makeError(ErrorCode::E0203, op, " is not defined for bool");
  return withCompute(dtype, call.accumulate, [&]<typename C>() { return mapElements<C, 1>(op, call, f); });
}

template <typename C> C sigmoid(C x) {
  if (x >= 0)
    return C(1) / (C(1) + std::exp(-x));
  const C e = std::exp(x);
  return e / (C(1) + e);
}

/// Negation that wraps instead of overflowing.
template <typename C> C negate(C x) {
  if constexpr (std::is_floating_point_v<C>)
    return -x;
  else
    return static_cast<C>(uint64_t{0} - static_cast<uint64_t>(x));
}

} // namespace

// ---- numbers of every type

Status op_abs(const OpCall &call) {
  return unaryNumber("abs", call, []<typename C>(C x) -> C {
    if constexpr (std::is_floating_point_v<C>)
      return std::fabs(x);
    else
      return x < 0 ? negate(x) : x;
  });
}

Status op_neg(const OpCall &call) {
  return unaryNumber("neg", call, []<typename C>(C x) -> C { return negate(x); });
}

Status op_sign(const OpCall &call) {
  return unaryNumber("sign", call, []<typename C>(C x) -> C {
    return x > 0 ? C(1) : x < 0 ? C(-1) : x == 0 ? C(0) : x; // NaN stays
  });
}

Status op_relu(const OpCall &call) {
  return unaryNumber("relu", call, []<typename C>(C x) -> C { return x <= 0 ? C(0) : x; });
}

// ---- bool

Status op_not(const OpCall &call) {
  KILN_TRY(checkCounts("not", call, 1, 1));
  KILN_TRY(checkType("not", "the operand", call.inputs[0], DType::Bool));
  KILN_TRY(checkType("not", "the result", call.outputs[0], DType::Bool));
  return mapElements<uint64_t, 1>("not", call, [](uint64_t x) -> uint64_t { return !x; });
}

Status op_isnan(const OpCall &call) {
  KILN_TRY(checkCounts("isnan", call, 1, 1));
  KILN_TRY(checkType("isnan", "the result", call.outputs[0], DType::Bool));
  return withFloat("isnan", call.inputs[0].dtype, call.accumulate, [&]<typename C>() {
    return mapElements<C, 1>("isnan", call, [](C x) -> uint64_t { return std::isnan(x); });
  });
}

// ---- floating point: one line of libm each

#define KILN_UNARY(name, expression)                                                 \
  Status op_##name(const OpCall &call) {                                             \
    return unaryFloat(#name, call, []<typename C>(C x) -> C { return expression; }); \
  }
KILN_UNARY(ceil, std::ceil(x))
KILN_UNARY(floor, std::floor(x))
KILN_UNARY(round, std::nearbyint(x)) // half to even, the default rounding mode
KILN_UNARY(exp, std::exp(x))
KILN_UNARY(log, std::log(x))
KILN_UNARY(sqrt, std::sqrt(x))
KILN_UNARY(rsqrt, C(1) / std::sqrt(x))
KILN_UNARY(reciprocal, C(1) / x)
KILN_UNARY(sin, std::sin(x))
KILN_UNARY(cos, std::cos(x))
KILN_UNARY(tan, std::tan(x))
KILN_UNARY(tanh, std::tanh(x))
KILN_UNARY(atan, std::atan(x))
KILN_UNARY(asin, std::asin(x))
KILN_UNARY(acos, std::acos(x))
KILN_UNARY(sinh, std::sinh(x))
KILN_UNARY(cosh, std::cosh(x))
KILN_UNARY(asinh, std::asinh(x))
KILN_UNARY(acosh, std::acosh(x))
KILN_UNARY(atanh, std::atanh(x))
KILN_UNARY(erf, std::erf(x))
KILN_UNARY(sigmoid, sigmoid(x))
KILN_UNARY(softplus, std::fmax(x, C(0)) + std::log1p(std::exp(-std::fabs(x))))
KILN_UNARY(softsign, x / (C(1) + std::fabs(x)))
KILN_UNARY(silu, (x * sigmoid(x)))
KILN_UNARY(hard_swish, (x * std::fmin(std::fmax(x / C(6) + C(0.5), C(0)), C(1))))
#undef KILN_UNARY

// ---- floating point with attributes

Status op_leaky_relu(const OpCall &call) {
  const double alpha = call.attributes.getFloat("alpha", 0.01);
  return unaryFloat("leaky_relu", call, [=]<typename C>(C x) -> C { return x < 0 ? C(alpha) * x : x; });
}

Status op_elu(const OpCall &call) {
  const double alpha = call.attributes.getFloat("alpha", 1);
  return unaryFloat("elu", call, [=]<typename C>(C x) -> C { return x < 0 ? C(alpha) * std::expm1(x) : x; });
}

Status op_selu(const OpCall &call) {
  const double alpha = call.attributes.getFloat("alpha", 1.67326319217681884765625);
  const double gamma = call.attributes.getFloat("gamma", 1.05070102214813232421875);
  return unaryFloat("selu", call,
                    [=]<typename C>(C x) -> C { return C(gamma) * (x <= 0 ? C(alpha) * std::expm1(x) : x); });
}

Status op_celu(const OpCall &call) {
  const double alpha = call.attributes.getFloat("alpha", 1);
  return unaryFloat("celu", call, [=]<typename C>(C x) -> C {
    // Not fmax and fmin, which drop a NaN.
    const C low = C(alpha) * std::expm1(x / C(alpha));
    return (x < 0 ? C(0) : x) + (low > 0 ? C(0) : low);
  });
}

Status op_hard_sigmoid(const OpCall &call) {
  const double alpha = call.attributes.getFloat("alpha", 0.2);
  const double beta = call.attributes.getFloat("beta", 0.5);
  return unaryFloat("hard_sigmoid", call, [=]<typename C>(C x) -> C {
    const C y = C(alpha) * x + C(beta);
    return y <= 0 ? C(0) : y >= 1 ? C(1) : y; // NaN stays
  });
}

Status op_thresholded_relu(const OpCall &call) {
  const double alpha = call.attributes.getFloat("alpha", 1);
  return unaryFloat("thresholded_relu", call, [=]<typename C>(C x) -> C { return x > C(alpha) ? x : C(0); });
}

Status op_gelu(const OpCall &call) {
  if (call.attributes.getInt("tanh"))
    return unaryFloat("gelu", call, []<typename C>(C x) -> C {
      // 0.5 * (1 + tanh(u)) as sigmoid(2u), which does not cancel for negative u.
      const C u = C(std::numbers::sqrt2 / std::sqrt(std::numbers::pi)) * (x + C(0.044715) * x * x * x);
      return x * sigmoid(C(2) * u);
    });
  return unaryFloat("gelu", call, []<typename C>(C x) -> C {
    return C(0.5) * x * std::erfc(-x * C(std::numbers::sqrt2 / 2)); // erfc: 1 + erf(x) cancels
  });
}

// ---- cast

Status op_cast(const OpCall &call) {
  KILN_TRY(checkCounts("cast", call, 1, 1));
  const TensorView &in = call.inputs[0];
  if (const std::string *to = call.attributes.findString("to")) {
    const std::optional<DType> dtype = dtypeFromName(*to);
    if (!dtype)
      return makeError(ErrorCode::E0411, "cast: unknown element type \"", *to, "\"");
    KILN_TRY(checkType("cast", "the result", call.outputs[0], *dtype));
  }
  // Wide, so that nothing is rounded before the conversion itself.
  return withCompute(in.dtype, Accumulate::Wide,
                     [&]<typename C>() { return mapElements<C, 1>("cast", call, [](C x) { return x; }); });
}

} // namespace kiln::ref
