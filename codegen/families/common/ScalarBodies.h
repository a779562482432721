// Scalar bodies of elementwise ops, as templates over the emitter's vocabulary (codegen/cpu/ScalarEmitter.h).
#pragma once

#include "runtime/base/Attributes.h"

#include "mlir/IR/Value.h"

namespace kiln {

#define KILN_BODY(Name)                                                                                               \
  template <typename E>                                                                                               \
  mlir::Value emit##Name(E &e, llvm::ArrayRef<mlir::Value> x, [[maybe_unused]] const Attributes &a)

#define KILN_BODY_1(Name, function)                                                                                   \
  KILN_BODY(Name) { return e.function(x[0]); }
#define KILN_BODY_2(Name, function)                                                                                   \
  KILN_BODY(Name) { return e.function(x[0], x[1]); }

KILN_BODY_1(Abs, abs)
KILN_BODY_1(Neg, neg)
KILN_BODY_1(Sign, sign)
KILN_BODY_1(Ceil, ceil)
KILN_BODY_1(Floor, floor)
KILN_BODY_1(Round, round)
KILN_BODY_1(Exp, exp)
KILN_BODY_1(Log, log)
KILN_BODY_1(Sqrt, sqrt)
KILN_BODY_1(Sin, sin)
KILN_BODY_1(Cos, cos)
KILN_BODY_1(Tan, tan)
KILN_BODY_1(Tanh, tanh)
KILN_BODY_1(Atan, atan)
KILN_BODY_1(Erf, erf)
KILN_BODY_1(Sigmoid, sigmoid)
KILN_BODY_1(Not, logicalNot)
KILN_BODY_1(IsNan, isnan)
KILN_BODY_2(Add, add)
KILN_BODY_2(Sub, sub)
KILN_BODY_2(Mul, mul)
KILN_BODY_2(Div, div)
KILN_BODY_2(Pow, pow)
KILN_BODY_2(Max, maximum)
KILN_BODY_2(Min, minimum)
KILN_BODY_2(And, logicalAnd)
KILN_BODY_2(Or, logicalOr)
KILN_BODY_2(Xor, logicalXor)
KILN_BODY_2(Equal, eq)
KILN_BODY_2(Less, lt)
KILN_BODY_2(LessEqual, le)
KILN_BODY_2(Greater, gt)
KILN_BODY_2(GreaterEqual, ge)
KILN_BODY_2(BitwiseAnd, bitwiseAnd)
KILN_BODY_2(BitwiseOr, bitwiseOr)
KILN_BODY_2(BitwiseXor, bitwiseXor)

KILN_BODY(Rsqrt) { return e.div(e.constant(x[0], 1), e.sqrt(x[0])); }
KILN_BODY(Reciprocal) { return e.div(e.constant(x[0], 1), x[0]); }
KILN_BODY(Relu) { return e.maximum(x[0], e.constant(x[0], 0)); }
KILN_BODY(Softplus) {
  return e.add(e.maximum(x[0], e.constant(x[0], 0)), e.log1p(e.exp(e.neg(e.abs(x[0])))));
}
KILN_BODY(Softsign) { return e.div(x[0], e.add(e.constant(x[0], 1), e.abs(x[0]))); }
KILN_BODY(HardSwish) {
  auto y = e.add(e.mul(x[0], e.constant(x[0], 0.16666666666666666)), e.constant(x[0], 0.5));
  return e.mul(x[0], e.maximum(e.minimum(y, e.constant(x[0], 1)), e.constant(x[0], 0)));
}
KILN_BODY(Silu) { return e.mul(x[0], e.sigmoid(x[0])); }
KILN_BODY(LeakyRelu) {
  auto scaled = e.mul(e.constant(x[0], a.getFloat("alpha", 0.01)), x[0]);
  return e.where(e.lt(x[0], e.constant(x[0], 0)), scaled, x[0]);
}
KILN_BODY(Elu) {
  auto low = e.mul(e.constant(x[0], a.getFloat("alpha", 1)), e.expm1(x[0]));
  return e.where(e.lt(x[0], e.constant(x[0], 0)), low, x[0]);
}
KILN_BODY(Selu) {
  auto low = e.mul(e.constant(x[0], a.getFloat("alpha", 1.67326319217681884765625)), e.expm1(x[0]));
  return e.mul(e.constant(x[0], a.getFloat("gamma", 1.05070102214813232421875)),
               e.where(e.le(x[0], e.constant(x[0], 0)), low, x[0]));
}
KILN_BODY(Celu) {
  auto alpha = e.constant(x[0], a.getFloat("alpha", 1)), zero = e.constant(x[0], 0);
  return e.add(e.maximum(x[0], zero), e.minimum(e.mul(alpha, e.expm1(e.div(x[0], alpha))), zero));
}
KILN_BODY(HardSigmoid) {
  auto y = e.add(e.mul(e.constant(x[0], a.getFloat("alpha", 0.2)), x[0]), e.constant(x[0], a.getFloat("beta", 0.5)));
  return e.maximum(e.minimum(y, e.constant(x[0], 1)), e.constant(x[0], 0));
}
KILN_BODY(Gelu) {
  if (!a.getBool("tanh"))
    return e.mul(x[0], e.normalCdf(x[0]));
  auto cubic = e.mul(e.mul(e.mul(e.constant(x[0], 0.044715), x[0]), x[0]), x[0]);
  return e.mul(x[0], e.sigmoid(e.mul(e.constant(x[0], 1.5957691216057308), e.add(x[0], cubic))));
}
KILN_BODY(ThresholdedRelu) {
  return e.where(e.le(x[0], e.constant(x[0], a.getFloat("alpha", 1))), e.constant(x[0], 0), x[0]);
}
KILN_BODY(Cast) { return e.cast(x[0], a.getString("to", "f32")); }
KILN_BODY(Mod) { return a.getBool("fmod") ? e.fmod(x[0], x[1]) : e.mod(x[0], x[1]); }
KILN_BODY(Prelu) { return e.where(e.lt(x[0], e.constant(x[0], 0)), e.mul(x[1], x[0]), x[0]); }
KILN_BODY(Where) { return e.where(x[0], x[1], x[2]); }

#undef KILN_BODY_2
#undef KILN_BODY_1
#undef KILN_BODY

} // namespace kiln
