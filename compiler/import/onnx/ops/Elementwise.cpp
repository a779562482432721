// Elementwise operators whose meaning changed between versions or that are spelled with other ops.
#include "compiler/import/onnx/OpTable.h"
#include "compiler/import/onnx/ops/Shared.h"

#include <limits>

namespace kiln::onnx {
namespace {

/// Before opset 7 operands broadcast only on request: `broadcast`, with the second operand's dims
/// at `axis` of the first's (default: at its end).
Result<Value> legacyBroadcast(NodeImport &node, Value a, Value b) {
  if (node.opset() >= 7)
    return b;
  KILN_ASSIGN(int64_t broadcast, node.intAttribute("broadcast", 0));
  int64_t rankA = node.rank(a), rankB = node.rank(b);
  if (!broadcast || !node.hasAttribute("axis") || rankB >= rankA)
    return b;
  KILN_ASSIGN(int64_t axis, node.intAttribute("axis", 0));
  KILN_ASSIGN(axis, node.normalizeAxis(axis, rankA));
  if (axis + rankB > rankA)
    return makeError(ErrorCode::E0411, "axis ", axis, " leaves no room for the second operand's rank ", rankB,
                     " in rank ", rankA);
  Dims dims = node.dims(b);
  dims.append(size_t(rankA - axis - rankB), SizeExpr(1));
  return node.reshape(b, dims);
}

Status binary(NodeImport &node, std::string_view mnemonic) {
  KILN_TRY(node.expectOperands(2, 2));
  KILN_ASSIGN(Value b, legacyBroadcast(node, node.operand(0), node.operand(1)));
  return node.setResult(node.emit(mnemonic, {node.operand(0), b}));
}
Status add(NodeImport &node) { return binary(node, "add"); }
Status sub(NodeImport &node) { return binary(node, "sub"); }
Status mul(NodeImport &node) { return binary(node, "mul"); }
Status div(NodeImport &node) { return binary(node, "div"); }
Status logicalAnd(NodeImport &node) { return binary(node, "and"); }
Status logicalOr(NodeImport &node) { return binary(node, "or"); }
Status logicalXor(NodeImport &node) { return binary(node, "xor"); }
Status equal(NodeImport &node) { return binary(node, "equal"); }
Status less(NodeImport &node) { return binary(node, "less"); }
Status greater(NodeImport &node) { return binary(node, "greater"); }

/// The exponent may have a type of its own; the result has the base's.
Status pow(NodeImport &node) {
  KILN_TRY(node.expectOperands(2, 2));
  Value x = node.operand(0);
  KILN_ASSIGN(Value y, legacyBroadcast(node, x, node.operand(1)));
  DType base = node.dtype(x), exponent = node.dtype(y);
  if (base == exponent)
    return node.setResult(node.emit("pow", {x, y}));
  if (isFloat(base) || !isFloat(exponent)) {
    KILN_ASSIGN(y, node.cast(y, base));
    return node.setResult(node.emit("pow", {x, y}));
  }
  KILN_ASSIGN(x, node.cast(x, exponent));
  KILN_ASSIGN(Value power, node.emit("pow", {x, y}));
  return node.setResult(node.cast(power, base));
}

/// Up to opset 6 one slope per channel; later it broadcasts.
Status prelu(NodeImport &node) {
  KILN_TRY(node.expectOperands(2, 2));
  Value x = node.operand(0), slope = node.operand(1);
  if (node.opset() < 7 && node.rank(slope) == 1 && node.rank(x) > 2) {
    Dims dims = node.dims(slope);
    dims.append(size_t(node.rank(x) - 2), SizeExpr(1));
    KILN_ASSIGN(slope, node.reshape(slope, dims));
  }
  return node.setResult(node.emit("prelu", {x, slope}));
}

Result<Value> fold(NodeImport &node, std::string_view mnemonic) {
  KILN_ASSIGN(std::vector<Value> values, node.allOperands());
  Value result = values[0];
  for (size_t i = 1; i < values.size(); ++i) {
    KILN_ASSIGN(result, node.emit(mnemonic, {result, values[i]}));
  }
  return result;
}
Status maximum(NodeImport &node) { return node.setResult(fold(node, "max")); }
Status minimum(NodeImport &node) { return node.setResult(fold(node, "min")); }
Status sum(NodeImport &node) { return node.setResult(fold(node, "add")); }
Status mean(NodeImport &node) {
  KILN_ASSIGN(Value total, fold(node, "add"));
  if (node.operandCount() == 1)
    return node.setResult(total);
  return node.setResult(node.emit("div", {total, node.scalar(double(node.operandCount()), node.dtype(total))}));
}

/// Bounds are attributes up to opset 10, then optional operands.
Status clip(NodeImport &node) {
  KILN_TRY(node.expectOperands(1, node.opset() < 11 ? 1 : 3));
  Value x = node.operand(0), low = node.operand(1), high = node.operand(2);
  if (node.opset() < 11) {
    DType dtype = node.dtype(x);
    if (node.hasAttribute("min")) {
      KILN_ASSIGN(double bound, node.floatAttribute("min", 0));
      if (bound > -double(std::numeric_limits<float>::max()))
        low = node.scalar(bound, dtype);
    }
    if (node.hasAttribute("max")) {
      KILN_ASSIGN(double bound, node.floatAttribute("max", 0));
      if (bound < double(std::numeric_limits<float>::max()))
        high = node.scalar(bound, dtype);
    }
  }
  if (low) {
    KILN_ASSIGN(x, node.emit("max", {x, low}));
  }
  if (high) {
    KILN_ASSIGN(x, node.emit("min", {x, high}));
  }
  return node.setResult(x);
}

Result<DType> castTarget(NodeImport &node) {
  KILN_TRY(node.requireAttribute("to"));
  if (node.attribute("to")->type == AttributeProto::String) { // opset 1..5: the type's name
    KILN_ASSIGN(std::string name, node.textAttribute("to", ""));
    for (char &c : name)
      c = char(std::tolower(static_cast<unsigned char>(c)));
#define X(type, id, text)                  \
  if (name == text && dtypeFromOnnxId(id)) \
    return *dtypeFromOnnxId(id);
    KILN_ONNX_DTYPES(X)
#undef X
    return makeError(ErrorCode::E0203, "a cast to ", name, " is not supported");
  }
  KILN_ASSIGN(int64_t id, node.intAttribute("to", 0));
  if (std::optional<DType> dtype = dtypeFromOnnxId(id))
    return *dtype;
  return makeError(ErrorCode::E0203, "a cast to ", onnxTypeName(int32_t(id)), " is not supported");
}
Status cast(NodeImport &node) {
  KILN_TRY(node.expectOperands(1, 1));
  KILN_ASSIGN(DType to, castTarget(node));
  return node.setResult(node.cast(node.operand(0), to));
}
Status castLike(NodeImport &node) {
  KILN_TRY(node.expectOperands(2, 2));
  return node.setResult(node.cast(node.operand(0), node.dtype(node.operand(1))));
}

Status gelu(NodeImport &node) {
  KILN_TRY(node.expectOperands(1, 1));
  KILN_ASSIGN(std::string approximate, node.textAttribute("approximate", "none"));
  if (approximate != "none" && approximate != "tanh")
    return makeError(ErrorCode::E0411, "approximate is \"", approximate, "\"; expected \"none\" or \"tanh\"");
  Attributes attributes;
  attributes.set("tanh", approximate == "tanh");
  return node.setResult(node.emit("gelu", {node.operand(0)}, attributes));
}

/// The alpha-like attributes of activations, where the default is not the dialect's or changed
/// between versions.
Status activation(NodeImport &node, std::string_view mnemonic,
                  std::initializer_list<std::pair<const char *, double>> defaults) {
  KILN_TRY(node.expectOperands(1, 1));
  Attributes attributes;
  for (auto [name, fallback] : defaults) {
    KILN_ASSIGN(double value, node.floatAttribute(name, fallback));
    attributes.set(name, value);
  }
  return node.setResult(node.emit(mnemonic, {node.operand(0)}, attributes));
}
Status leakyRelu(NodeImport &node) { return activation(node, "leaky_relu", {{"alpha", double(0.01f)}}); }
Status elu(NodeImport &node) { return activation(node, "elu", {{"alpha", 1.0}}); }
Status celu(NodeImport &node) { return activation(node, "celu", {{"alpha", 1.0}}); }
Status thresholdedRelu(NodeImport &node) { return activation(node, "thresholded_relu", {{"alpha", 1.0}}); }
Status hardSigmoid(NodeImport &node) {
  return activation(node, "hard_sigmoid", {{"alpha", double(0.2f)}, {"beta", 0.5}});
}
Status selu(NodeImport &node) {
  if (node.opset() < 6)
    return activation(node, "selu", {{"alpha", double(1.6732f)}, {"gamma", double(1.0507f)}});
  return activation(node, "selu",
                    {{"alpha", double(1.67326319217681884765625f)}, {"gamma", double(1.05070102214813232421875f)}});
}

/// x * tanh(softplus(x))
Status mish(NodeImport &node) {
  KILN_TRY(node.expectOperands(1, 1));
  Value x = node.operand(0);
  KILN_ASSIGN(Value soft, node.emit("softplus", {x}));
  KILN_ASSIGN(Value gate, node.emit("tanh", {soft}));
  return node.setResult(node.emit("mul", {x, gate}));
}
Status swish(NodeImport &node) {
  KILN_TRY(node.expectOperands(1, 1));
  KILN_ASSIGN(double alpha, node.floatAttribute("alpha", 1.0));
  return node.setResult(emitSwish(node, node.operand(0), alpha));
}
Status swiGlu(NodeImport &node) {
  KILN_TRY(node.expectOperands(2, 2));
  KILN_ASSIGN(double alpha, node.floatAttribute("alpha", 1.0));
  KILN_ASSIGN(Value gate, emitSwish(node, node.operand(0), alpha));
  return node.setResult(node.emit("mul", {gate, node.operand(1)}));
}
/// x + bias below -lambd, x - bias above lambd, else 0
Status shrink(NodeImport &node) {
  KILN_TRY(node.expectOperands(1, 1));
  Value x = node.operand(0);
  DType dtype = node.dtype(x);
  KILN_ASSIGN(double bias, node.floatAttribute("bias", 0.0));
  KILN_ASSIGN(double lambd, node.floatAttribute("lambd", 0.5));
  KILN_ASSIGN(Value below, node.emit("less", {x, node.scalar(-lambd, dtype)}));
  KILN_ASSIGN(Value above, node.emit("greater", {x, node.scalar(lambd, dtype)}));
  KILN_ASSIGN(Value raised, node.emit("add", {x, node.scalar(bias, dtype)}));
  KILN_ASSIGN(Value lowered, node.emit("sub", {x, node.scalar(bias, dtype)}));
  KILN_ASSIGN(Value inner, node.emit("where", {above, lowered, node.scalar(0, dtype)}));
  return node.setResult(node.emit("where", {below, raised, inner}));
}
Status isInf(NodeImport &node) {
  KILN_TRY(node.expectOperands(1, 1));
  Value x = node.operand(0);
  KILN_ASSIGN(int64_t positive, node.intAttribute("detect_positive", 1));
  KILN_ASSIGN(int64_t negative, node.intAttribute("detect_negative", 1));
  if (positive && negative) {
    KILN_ASSIGN(x, node.emit("abs", {x}));
  }
  double infinity = std::numeric_limits<double>::infinity();
  if (!positive && !negative) { // nothing is to be found: x < -inf never holds
    return node.setResult(node.emit("less", {x, node.scalar(-infinity, node.dtype(x))}));
  }
  return node.setResult(node.emit("equal", {x, node.scalar(positive ? infinity : -infinity, node.dtype(x))}));
}
Status bitwiseNot(NodeImport &node) {
  KILN_TRY(node.expectOperands(1, 1));
  Value x = node.operand(0);
  DType dtype = node.dtype(x);
  if (!isInteger(dtype))
    return makeError(ErrorCode::E0305, "expected integers, got ", dtypeName(dtype));
  KILN_ASSIGN(Value ones, node.allOnes(dtype));
  return node.setResult(node.emit("bitwise_xor", {x, ones}));
}

Status bitShift(NodeImport &node) {
  KILN_TRY(node.expectOperands(2, 2));
  KILN_TRY(node.requireAttribute("direction"));
  KILN_ASSIGN(std::string direction, node.textAttribute("direction", ""));
  if (direction != "LEFT" && direction != "RIGHT")
    return makeError(ErrorCode::E0411, "direction is \"", direction, "\"; expected \"LEFT\" or \"RIGHT\"");
  return node.setResult(
      node.emit(direction == "LEFT" ? "shift_left" : "shift_right", {node.operand(0), node.operand(1)}));
}
Status bitCast(NodeImport &node) {
  KILN_TRY(node.expectOperands(1, 1));
  KILN_ASSIGN(DType to, castTarget(node));
  Attributes attributes;
  attributes.set("to", Attribute(std::string(dtypeName(to))));
  return node.setResult(node.emit("bitcast", {node.operand(0)}, attributes));
}

constexpr OpEntry table[] = {
    {"Add", 1, add},
    {"Sub", 1, sub},
    {"Mul", 1, mul},
    {"Div", 1, div},
    {"And", 1, logicalAnd},
    {"Or", 1, logicalOr},
    {"Xor", 1, logicalXor},
    {"Equal", 1, equal},
    {"Less", 1, less},
    {"Greater", 1, greater},
    {"Pow", 1, pow},
    {"PRelu", 1, prelu},
    {"Max", 1, maximum},
    {"Min", 1, minimum},
    {"Sum", 1, sum},
    {"Mean", 1, mean},
    {"Clip", 1, clip},
    {"Cast", 1, cast},
    {"CastLike", 15, castLike},
    {"Gelu", 20, gelu},
    {"LeakyRelu", 1, leakyRelu},
    {"Elu", 1, elu},
    {"Selu", 1, selu},
    {"Celu", 12, celu},
    {"ThresholdedRelu", 1, thresholdedRelu}, // experimental before 10, same meaning
    {"HardSigmoid", 1, hardSigmoid},
    {"Mish", 18, mish},
    {"Swish", 24, swish},
    {"SwiGLU", 28, swiGlu},
    {"BitShift", 11, bitShift},
    {"BitCast", 26, bitCast},
    {"Shrink", 9, shrink},
    {"IsInf", 10, isInf},
    {"BitwiseNot", 18, bitwiseNot},
};

} // namespace

std::span<const OpEntry> elementwiseOps() { return table; }

} // namespace kiln::onnx
