// Operators of quantized numbers besides those of the standard, as ONNX Runtime's quantizer writes them (domain
// com.microsoft): on the numbers that the elements stand for, in f32, and quantized again. Kernels take the whole as
// they take any elementwise work. Scales and zero points are one number for all elements.
#include "compiler/import/onnx/OpTable.h"
#include "compiler/import/onnx/ops/Shared.h"

#include <numeric>

namespace kiln::onnx {
namespace {

/// A scale or zero point as a scalar.
Result<Value> scalarOf(NodeImport &node, size_t index) {
  Value value = node.operand(index);
  if (!value)
    return makeError(ErrorCode::E0306, "input ", index, " is missing");
  if (node.rank(value) > 1)
    return makeError(ErrorCode::E0304, "input ", index, " has rank ", node.rank(value), "; expected one element");
  if (node.rank(value) == 1)
    KILN_TRY(node.requireEqual(node.dims(value)[0], 1).withContext("scale and zero point: "));
  return node.reshape(value, {});
}

/// Operand `x`, with its scale and zero point behind it, as numbers.
Result<Value> numbers(NodeImport &node, size_t x) {
  Value value = node.operand(x);
  if (!value)
    return makeError(ErrorCode::E0306, "input ", x, " is missing");
  if (node.dtype(value) != DType::U8 && node.dtype(value) != DType::I8)
    return makeError(ErrorCode::E0203, "quantized ", dtypeName(node.dtype(value)), " are not supported");
  KILN_ASSIGN(value, node.cast(value, DType::I32));
  if (node.has(x + 2)) {
    KILN_ASSIGN(Value zero, scalarOf(node, x + 2));
    KILN_ASSIGN(zero, node.cast(zero, DType::I32));
    KILN_ASSIGN(value, node.emit("sub", {value, zero}));
  }
  KILN_ASSIGN(value, node.cast(value, DType::F32));
  KILN_ASSIGN(Value scale, scalarOf(node, x + 1));
  return node.emit("mul", {value, scale});
}

/// Numbers as elements of the result, whose scale and zero point are operands from `scale` on. Without a zero point it
/// is 0, of operand 0's type.
Status quantized(NodeImport &node, Result<Value> y, size_t scale) {
  KILN_TRY(y.status());
  KILN_ASSIGN(Value divisor, scalarOf(node, scale));
  KILN_ASSIGN(Value elements, node.emit("div", {*y, divisor}));
  KILN_ASSIGN(elements, node.emit("round", {elements}));
  DType to = node.dtype(node.operand(node.has(scale + 1) ? scale + 1 : 0));
  if (to != DType::U8 && to != DType::I8)
    return makeError(ErrorCode::E0203, "quantization to ", dtypeName(to), " is not supported");
  if (node.has(scale + 1)) {
    KILN_ASSIGN(Value zero, scalarOf(node, scale + 1));
    KILN_ASSIGN(zero, node.cast(zero, DType::F32));
    KILN_ASSIGN(elements, node.emit("add", {elements, zero}));
  }
  return node.setResult(node.cast(elements, to)); // saturates
}

Status binary(NodeImport &node, const char *mnemonic) {
  KILN_TRY(node.expectOperands(2, 8));
  KILN_ASSIGN(Value a, numbers(node, 0));
  KILN_ASSIGN(Value b, numbers(node, 3));
  return quantized(node, node.emit(mnemonic, {a, b}), 6);
}
Status add(NodeImport &node) { return binary(node, "add"); }
Status mul(NodeImport &node) { return binary(node, "mul"); }

/// Of an operand with scale and zero point, and those of the result.
Status unary(NodeImport &node, llvm::function_ref<Result<Value>(Value)> compute) {
  KILN_TRY(node.expectOperands(2, 5));
  KILN_ASSIGN(Value x, numbers(node, 0));
  return quantized(node, compute(x), 3);
}

Status sigmoid(NodeImport &node) {
  return unary(node, [&](Value x) { return node.emit("sigmoid", {x}); });
}

Status leakyRelu(NodeImport &node) {
  KILN_ASSIGN(double alpha, node.floatAttribute("alpha", 0.01f));
  Attributes attributes;
  attributes.set("alpha", alpha);
  return unary(node, [&](Value x) { return node.emit("leaky_relu", {x}, attributes); });
}

/// `opset` says by which version of Softmax: up to 12 it goes over all dims from the axis on.
Status softmax(NodeImport &node) {
  KILN_ASSIGN(int64_t axis, node.axisAttribute("axis", -1, node.operand(0)));
  KILN_ASSIGN(int64_t opset, node.intAttribute("opset", 13));
  if (opset < 13 && axis != node.rank(node.operand(0)) - 1)
    return makeError(ErrorCode::E0203, "a softmax over several dims is not supported");
  return unary(node, [&](Value x) { return node.emit("softmax", {x}, axisOf(axis)); });
}

Status refuseChannelsLast(NodeImport &node) {
  KILN_ASSIGN(int64_t channelsLast, node.intAttribute("channels_last", 0));
  if (channelsLast)
    return makeError(ErrorCode::E0203, "channels_last is not supported");
  return Status();
}

Result<Value> mean(NodeImport &node, Value x, const Ints &axes, bool keepdims) {
  Attributes attributes;
  attributes.set("kind", "mean");
  attributes.set("axes", axes);
  attributes.set("keepdims", keepdims);
  return node.emit("reduce", {x}, attributes);
}

Status globalAveragePool(NodeImport &node) {
  KILN_TRY(refuseChannelsLast(node));
  return unary(node, [&](Value x) {
    Ints axes(size_t(std::max<int64_t>(0, node.rank(x) - 2)));
    std::iota(axes.begin(), axes.end(), 2);
    return mean(node, x, axes, true);
  });
}

Status averagePool(NodeImport &node) {
  KILN_TRY(refuseChannelsLast(node));
  return unary(node, [&](Value x) { return emitAveragePool(node, x); });
}

Status reduceMean(NodeImport &node) {
  KILN_ASSIGN(Ints axes, node.intsAttribute("axes"));
  KILN_ASSIGN(int64_t keepdims, node.intAttribute("keepdims", 1));
  return unary(node, [&](Value x) -> Result<Value> {
    if (axes.empty()) {
      axes.resize(size_t(node.rank(x)));
      std::iota(axes.begin(), axes.end(), 0);
    }
    KILN_ASSIGN(axes, node.normalizeAxes(axes, node.rank(x)));
    return mean(node, x, axes, keepdims != 0);
  });
}

/// The result's scale and zero point come first.
Status concat(NodeImport &node) {
  if (node.operandCount() < 5 || node.operandCount() % 3 != 2)
    return makeError(ErrorCode::E0306, "has ", node.operandCount(), " inputs; expected 2 and three for each part");
  std::vector<Value> parts;
  for (size_t i = 2; i < node.operandCount(); i += 3) {
    KILN_ASSIGN(parts.emplace_back(), numbers(node, i));
  }
  KILN_TRY(node.requireAttribute("axis"));
  KILN_ASSIGN(int64_t axis, node.axisAttribute("axis", 0, parts[0]));
  return quantized(node, node.emit("concat", parts, axisOf(axis)), 0);
}

Status where(NodeImport &node) {
  KILN_TRY(node.expectOperands(3, 9));
  KILN_ASSIGN(Value x, numbers(node, 1));
  KILN_ASSIGN(Value y, numbers(node, 4));
  return quantized(node, node.emit("where", {node.operand(0), x, y}), 7);
}

constexpr std::string_view domain = "com.microsoft";
constexpr OpEntry table[] = {
    {"QLinearAdd", 1, add, domain},
    {"QLinearMul", 1, mul, domain},
    {"QLinearSigmoid", 1, sigmoid, domain},
    {"QLinearLeakyRelu", 1, leakyRelu, domain},
    {"QLinearSoftmax", 1, softmax, domain},
    {"QLinearGlobalAveragePool", 1, globalAveragePool, domain},
    {"QLinearAveragePool", 1, averagePool, domain},
    {"QLinearReduceMean", 1, reduceMean, domain},
    {"QLinearConcat", 1, concat, domain},
    {"QLinearWhere", 1, where, domain},
};

} // namespace

std::span<const OpEntry> quantizedNodeOps() { return table; }

} // namespace kiln::onnx
