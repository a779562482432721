// One result element from one element of each operand; operands broadcast as in numpy.
include "dialects/kiln/KilnBase.td"

// The element type of the result.
class ElementRule<string name> { string cppName = name; }
def Rule_Same  : ElementRule<"Same">;   // that of all operands
def Rule_Bool  : ElementRule<"Bool">;
def Rule_Where : ElementRule<"Where">;  // that of the second and third operand; the first is bool
def Rule_Cast  : ElementRule<"Cast">;   // that named by `to`

class Kiln_Elementwise<string mnemonic, ElementRule rule, Body body_, bit sizeValues = 0>
    : Kiln_Op<mnemonic, Role_Elementwise, sizeValues> {
  let body = body_.expression;
  let bodyTypes = body_.types;
  let bodyCost = body_.cost;
  let flops = body_.flops;
  let shapeCode = [{
    Result<ResultShapes> $cppClass::inferShapes(ShapeContext &context) {
      return inferElementwise(getOperation(), context, ElementRule::}] # rule.cppName # [{);
    }
  }] # !if(sizeValues, [{
    std::optional<SizeValues> $cppClass::inferSizeValues(ShapeContext &context) {
      return elementwiseSizeValues(getOperation(), context);
    }
  }], "");
}

class Kiln_Unary<string mnemonic, Body body_, string onnx = "", string aten = "", bit sizeValues = 0, ElementRule rule = Rule_Same>
    : Kiln_Elementwise<mnemonic, rule, body_, sizeValues> {
  let arguments = (ins AnyRankedTensor:$x);
  let onnxName = onnx;
  let atenName = aten;
}

class Kiln_Binary<string mnemonic, Body body_, string onnx = "", string aten = "", bit sizeValues = 0, ElementRule rule = Rule_Same>
    : Kiln_Elementwise<mnemonic, rule, body_, sizeValues> {
  let arguments = (ins AnyRankedTensor:$x, AnyRankedTensor:$y);
  let onnxName = onnx;
  let atenName = aten;
}

class Kiln_Compare<string mnemonic, Body body, string onnx, string aten, bit sizeValues = 1>
    : Kiln_Binary<mnemonic, body, onnx, aten, sizeValues, Rule_Bool>;

// --- one operand

def Kiln_AbsOp : Kiln_Unary<"abs", Body<"abs(x)", Types_Numbers, 1>, "Abs", "abs"> { let summary = "absolute value; the smallest integer stays itself"; }
def Kiln_NegOp : Kiln_Unary<"neg", Body<"-x", Types_Numbers, 1>, "Neg", "neg", 1> { let summary = "negation; integers wrap"; }
def Kiln_SignOp : Kiln_Unary<"sign", Body<"sign(x)", Types_Numbers, 5>, "Sign", "sgn"> { let summary = "-1, 0 or 1"; }
def Kiln_CeilOp : Kiln_Unary<"ceil", Body<"ceil(x)", Types_Floats, 1>, "Ceil", "ceil"> { let summary = "towards plus infinity"; }
def Kiln_FloorOp : Kiln_Unary<"floor", Body<"floor(x)", Types_Floats, 1>, "Floor", "floor"> { let summary = "towards minus infinity"; }
def Kiln_RoundOp : Kiln_Unary<"round", Body<"round(x)", Types_Floats, 1>, "Round", "round"> { let summary = "to the nearest integer, halves to even"; }
def Kiln_ExpOp : Kiln_Unary<"exp", Body<"exp(x)", Types_Floats, 16>, "Exp", "exp"> { let summary = "exponential"; }
def Kiln_LogOp : Kiln_Unary<"log", Body<"log(x)", Types_Floats, 26>, "Log", "log"> { let summary = "natural logarithm"; }
def Kiln_SqrtOp : Kiln_Unary<"sqrt", Body<"sqrt(x)", Types_Floats, 8>, "Sqrt", "sqrt"> { let summary = "square root"; }
def Kiln_RsqrtOp : Kiln_Unary<"rsqrt", Body<"1 / sqrt(x)", Types_Floats, 14>, "", "rsqrt"> { let summary = "reciprocal square root"; }
def Kiln_ReciprocalOp : Kiln_Unary<"reciprocal", Body<"1 / x", Types_Floats, 8>, "Reciprocal", "reciprocal"> { let summary = "one over x"; }
def Kiln_SinOp : Kiln_Unary<"sin", Body<"sin(x)", Types_Floats, 40>, "Sin", "sin"> { let summary = "sine"; }
def Kiln_CosOp : Kiln_Unary<"cos", Body<"cos(x)", Types_Floats, 40>, "Cos", "cos"> { let summary = "cosine"; }
def Kiln_TanOp : Kiln_Unary<"tan", Body<"tan(x)", Types_Floats, 80>, "Tan", "tan"> { let summary = "tangent"; }
def Kiln_TanhOp : Kiln_Unary<"tanh", Body<"tanh(x)", Types_Floats, 25>, "Tanh", "tanh"> { let summary = "hyperbolic tangent"; }
def Kiln_AtanOp : Kiln_Unary<"atan", Body<"atan(x)", Types_Floats, 25>, "Atan", "atan"> { let summary = "arc tangent"; }
def Kiln_AsinOp : Kiln_Unary<"asin", Body<"atan(x / sqrt((1 - x) * (1 + x)))", Types_Floats, 45>, "Asin", "asin"> { let summary = "arc sine"; }
def Kiln_AcosOp : Kiln_Unary<"acos", Body<"2 * atan(sqrt((1 - x) / (1 + x)))", Types_Floats, 45>, "Acos", "acos"> { let summary = "arc cosine"; }
def Kiln_SinhOp : Kiln_Unary<"sinh", Body<
    "sign(x) * where(abs(x) > 22, exp(0.5 * abs(x)) * 0.5 * exp(0.5 * abs(x)), 0.5 * (expm1(abs(x)) + expm1(abs(x)) / (expm1(abs(x)) + 1)))",
    Types_Floats, 60>, "Sinh", "sinh"> { let summary = "hyperbolic sine"; }
def Kiln_CoshOp : Kiln_Unary<"cosh", Body<
    "exp(0.5 * abs(x)) * 0.5 * exp(0.5 * abs(x)) + 0.5 / exp(0.5 * abs(x)) / exp(0.5 * abs(x))", Types_Floats, 45>, "Cosh", "cosh"> {
  let summary = "hyperbolic cosine";
}
def Kiln_AsinhOp : Kiln_Unary<"asinh", Body<
    "sign(x) * where(abs(x) > 1000000000.0, log(abs(x)) + 0.6931471805599453, log1p(abs(x) + x * x / (1 + sqrt(x * x + 1))))", Types_Floats, 75>,
    "Asinh", "asinh"> { let summary = "inverse hyperbolic sine"; }
def Kiln_AcoshOp : Kiln_Unary<"acosh", Body<
    "where(x > 1000000000.0, log(x) + 0.6931471805599453, log1p(x - 1 + sqrt(x - 1) * sqrt(x + 1)))", Types_Floats, 75>, "Acosh", "acosh"> {
  let summary = "inverse hyperbolic cosine";
}
def Kiln_AtanhOp : Kiln_Unary<"atanh", Body<"sign(x) * (0.5 * log1p(2 * abs(x) / (1 - abs(x))))", Types_Floats, 45>, "Atanh", "atanh"> {
  let summary = "inverse hyperbolic tangent";
}
def Kiln_ErfOp : Kiln_Unary<"erf", Body<"erf(x)", Types_Floats, 25>, "Erf", "erf"> { let summary = "error function"; }
def Kiln_SigmoidOp : Kiln_Unary<"sigmoid", Body<"sigmoid(x)", Types_Floats, 26>, "Sigmoid", "sigmoid"> { let summary = "1 / (1 + exp(-x))"; }
def Kiln_SoftplusOp : Kiln_Unary<"softplus", Body<"maximum(x, 0) + log1p(exp(-abs(x)))", Types_Floats, 55>, "Softplus"> { let summary = "log(1 + exp(x))"; }
def Kiln_SoftsignOp : Kiln_Unary<"softsign", Body<"x / (1 + abs(x))", Types_Floats, 9>, "Softsign"> { let summary = "x / (1 + |x|)"; }
def Kiln_ReluOp : Kiln_Unary<"relu", Body<"maximum(x, 0)", Types_Numbers, 1>, "Relu", "relu"> { let summary = "max(x, 0)"; }
def Kiln_HardSwishOp : Kiln_Unary<"hard_swish", Body<"x * maximum(minimum(x * 0.16666666666666666 + 0.5, 1), 0)", Types_Floats, 5>, "HardSwish", "hardswish"> {
  let summary = "x * hard_sigmoid(x) with alpha = 1/6, beta = 1/2";
}
def Kiln_SiluOp : Kiln_Unary<"silu", Body<"x * sigmoid(x)", Types_Floats, 27>, "", "silu"> { let summary = "x * sigmoid(x)"; }
def Kiln_NotOp : Kiln_Unary<"not", Body<"logical_not(x)", Types_Bool, 1>, "Not", "logical_not", 1, Rule_Bool> { let summary = "logical negation"; }
def Kiln_IsNanOp : Kiln_Unary<"isnan", Body<"isnan(x)", Types_Floats, 1>, "IsNaN", "isnan", 0, Rule_Bool> { let summary = "whether x is not a number"; }

def Kiln_LeakyReluOp : Kiln_Unary<"leaky_relu", Body<"where(x < 0, alpha * x, x)", Types_Floats, 3>, "LeakyRelu", "leaky_relu"> {
  let summary = "x, scaled by alpha below zero";
  let arguments = (ins AnyRankedTensor:$x, Default<F64Attr, "0.01">:$alpha);
}
def Kiln_EluOp : Kiln_Unary<"elu", Body<"where(x < 0, alpha * expm1(x), x)", Types_Floats, 30>, "Elu"> {
  let summary = "x, alpha * (exp(x) - 1) below zero";
  let arguments = (ins AnyRankedTensor:$x, Default<F64Attr, "1.0">:$alpha);
}
def Kiln_SeluOp : Kiln_Unary<"selu", Body<"gamma * where(x <= 0, alpha * expm1(x), x)", Types_Floats, 30>, "Selu"> {
  let summary = "scaled elu";
  let arguments = (ins AnyRankedTensor:$x, Default<F64Attr, "1.67326319217681884765625">:$alpha,
                       Default<F64Attr, "1.05070102214813232421875">:$gamma);
}
def Kiln_CeluOp : Kiln_Unary<"celu", Body<"maximum(x, 0) + minimum(alpha * expm1(x / alpha), 0)", Types_Floats, 35>, "Celu", "celu"> {
  let summary = "continuously differentiable elu";
  let arguments = (ins AnyRankedTensor:$x, Default<F64Attr, "1.0">:$alpha);
}
def Kiln_HardSigmoidOp : Kiln_Unary<"hard_sigmoid", Body<"maximum(minimum(alpha * x + beta, 1), 0)", Types_Floats, 4>, "HardSigmoid"> {
  let summary = "alpha * x + beta clipped to 0..1";
  let arguments = (ins AnyRankedTensor:$x, Default<F64Attr, "0.2">:$alpha, Default<F64Attr, "0.5">:$beta);
}
def Kiln_GeluOp : Kiln_Unary<"gelu", Body<"x * sigmoid(1.5957691216057308 * (x + 0.044715 * x * x * x)) if tanh else x * normal_cdf(x)", Types_Floats, 40>> {
  let summary = "x times the normal distribution function, exactly or in its tanh approximation";
  let arguments = (ins AnyRankedTensor:$x, Default<I64Attr, "0">:$tanh);
}
def Kiln_ThresholdedReluOp : Kiln_Unary<"thresholded_relu", Body<"where(x > alpha, x, 0)", Types_Floats, 2>, "ThresholdedRelu"> {
  let summary = "x above alpha, else zero";
  let arguments = (ins AnyRankedTensor:$x, Default<F64Attr, "1.0">:$alpha);
}
def Kiln_CastOp : Kiln_Elementwise<"cast", Rule_Cast, Body<"cast(x, to)", Types_Any, 2, 0>, 1> {
  let summary = "conversion; floats to integers truncate and saturate, NaN gives 0; anything but 0 is true";
  let arguments = (ins AnyRankedTensor:$x, StrAttr:$to);
}

// --- two operands

def Kiln_AddOp : Kiln_Binary<"add", Body<"x + y", Types_Numbers, 1>, "Add", "", 1> { let summary = "sum; integers wrap"; }
def Kiln_SubOp : Kiln_Binary<"sub", Body<"x - y", Types_Numbers, 1>, "Sub", "", 1> { let summary = "difference; integers wrap"; }
def Kiln_MulOp : Kiln_Binary<"mul", Body<"x * y", Types_Numbers, 1>, "Mul", "mul", 1> { let summary = "product; integers wrap"; }
def Kiln_DivOp : Kiln_Binary<"div", Body<"x / y", Types_Numbers, 8>, "Div", "", 1> { let summary = "quotient; integers truncate, division by zero gives 0"; }
def Kiln_PowOp : Kiln_Binary<"pow", Body<"pow(x, y)", Types_Numbers, 120>> { let summary = "power, in the type of x"; }
def Kiln_ModOp : Kiln_Elementwise<"mod", Rule_Same, Body<"fmod(x, y) if fmod else mod(x, y)", Types_Numbers, 30>, 1> {
  let summary = "remainder with the divisor's sign, or with the dividend's if fmod";
  let arguments = (ins AnyRankedTensor:$x, AnyRankedTensor:$y, Default<I64Attr, "0">:$fmod);
  let onnxName = "Mod";
}
def Kiln_MaxOp : Kiln_Binary<"max", Body<"maximum(x, y)", Types_Numbers, 2>, "", "maximum", 1> { let summary = "maximum; NaN wins"; }
def Kiln_MinOp : Kiln_Binary<"min", Body<"minimum(x, y)", Types_Numbers, 2>, "", "minimum", 1> { let summary = "minimum; NaN wins"; }
def Kiln_PreluOp : Kiln_Binary<"prelu", Body<"where(x < 0, y * x, x)", Types_Numbers, 3>, "PRelu"> { let summary = "x, scaled by y below zero"; }

def Kiln_AndOp : Kiln_Compare<"and", Body<"logical_and(x, y)", Types_Bool, 1>, "And", "logical_and"> { let summary = "logical and"; }
def Kiln_OrOp : Kiln_Compare<"or", Body<"logical_or(x, y)", Types_Bool, 1>, "Or", "logical_or"> { let summary = "logical or"; }
def Kiln_XorOp : Kiln_Compare<"xor", Body<"logical_xor(x, y)", Types_Bool, 1>, "Xor", "logical_xor", 0> { let summary = "exclusive or"; }
def Kiln_EqualOp : Kiln_Compare<"equal", Body<"x == y", Types_Any, 1>, "Equal", "eq"> { let summary = "x == y"; }
def Kiln_LessOp : Kiln_Compare<"less", Body<"x < y", Types_Any, 1>, "Less", "lt"> { let summary = "x < y"; }
def Kiln_LessEqualOp : Kiln_Compare<"less_equal", Body<"x <= y", Types_Any, 1>, "LessOrEqual", "le"> { let summary = "x <= y"; }
def Kiln_GreaterOp : Kiln_Compare<"greater", Body<"x > y", Types_Any, 1>, "Greater", "gt"> { let summary = "x > y"; }
def Kiln_GreaterEqualOp : Kiln_Compare<"greater_equal", Body<"x >= y", Types_Any, 1>, "GreaterOrEqual", "ge"> { let summary = "x >= y"; }

def Kiln_BitwiseAndOp : Kiln_Binary<"bitwise_and", Body<"bitwise_and(x, y)", Types_Integers, 1>, "BitwiseAnd", "bitwise_and"> { let summary = "bits of both"; }
def Kiln_BitwiseOrOp : Kiln_Binary<"bitwise_or", Body<"bitwise_or(x, y)", Types_Integers, 1>, "BitwiseOr", "bitwise_or"> { let summary = "bits of either"; }
def Kiln_ShiftLeftOp : Kiln_Binary<"shift_left", Body<"shift_left(x, y)", Types_Integers, 3>> {
  let summary = "bits moved up by y places, 0 for y of the width or more; y counts as unsigned";
}
def Kiln_ShiftRightOp : Kiln_Binary<"shift_right", Body<"shift_right(x, y)", Types_Integers, 3>> {
  let summary = "bits moved down by y places, of signed types with copies of the sign; for y of the width or more nothing else is left; y counts as unsigned";
}
def Kiln_BitwiseXorOp : Kiln_Binary<"bitwise_xor", Body<"bitwise_xor(x, y)", Types_Integers, 1>, "BitwiseXor", "bitwise_xor"> { let summary = "bits of one"; }

// --- three operands

def Kiln_WhereOp : Kiln_Elementwise<"where", Rule_Where, Body<"where(condition, x, y)", Types_Any, 1, 0>, 1> {
  let summary = "x where the condition holds, else y";
  let arguments = (ins AnyRankedTensor:$condition, AnyRankedTensor:$x, AnyRankedTensor:$y);
  let onnxName = "Where";
  let atenName = "where";
}
