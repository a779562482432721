// Fourier transforms and the windows for them.
#include "compiler/import/onnx/OpTable.h"
#include "compiler/import/onnx/ops/Shared.h"

#include <numbers>

namespace kiln::onnx {
namespace {

/// The one integer of an operand that steers, where it is known now.
Result<std::optional<int64_t>> knownInt(NodeImport &node, size_t index, std::string_view what) {
  std::optional<Ints> values = node.knownInts(node.operand(index));
  if (!values)
    return std::optional<int64_t>();
  if (values->size() != 1)
    return makeError(ErrorCode::E0404, what, " has ", values->size(), " entries; expected one");
  return std::optional<int64_t>(values->front());
}

/// The axis is an attribute, from opset 20 on an operand; length and axis may be computed.
Status dft(NodeImport &node) {
  const bool isOperand = node.opset() >= 20;
  KILN_TRY(node.expectOperands(1, isOperand ? 3 : 2));
  Value x = node.operand(0), count, along;
  KILN_ASSIGN(int64_t inverse, node.intAttribute("inverse", 0));
  KILN_ASSIGN(int64_t onesided, node.intAttribute("onesided", 0));
  Attributes attributes;
  attributes.set("inverse", inverse != 0);
  attributes.set("onesided", onesided != 0);
  int64_t axis = -2;
  if (!isOperand) {
    KILN_ASSIGN(axis, node.intAttribute("axis", 1));
  } else if (node.has(2)) {
    KILN_ASSIGN(std::optional<int64_t> known, knownInt(node, 2, "axis"));
    axis = known.value_or(axis);
    along = known ? Value() : node.operand(2);
  }
  if (!along) {
    KILN_ASSIGN(axis, node.normalizeAxis(axis, node.rank(x)));
    attributes.set("axis", axis);
  }
  if (node.has(1)) {
    KILN_ASSIGN(std::optional<int64_t> known, knownInt(node, 1, "dft_length"));
    if (known && *known < 1)
      return makeError(ErrorCode::E0411, "dft_length is ", *known, "; expected 1 or more");
    attributes.set("length", known.value_or(0));
    count = known ? Value() : node.operand(1);
  }
  return node.setResult(node.emit("dft", {x, count, along}, attributes));
}

Result<Value> integer(NodeImport &node, size_t index) {
  KILN_ASSIGN(Value value, node.reshape(node.operand(index), {}));
  return node.cast(value, DType::I64);
}

/// Fourier transforms of frames of the signal [N, size, 1 or 2], a step apart, each times the window. Exporters write
/// [N, size] for real numbers, too.
Status stft(NodeImport &node) {
  KILN_TRY(node.expectOperands(2, 4));
  Value signal = node.operand(0), window = node.operand(2);
  if (node.rank(signal) == 2) {
    KILN_ASSIGN(signal, node.reshape(signal, {node.dims(signal)[0], node.dims(signal)[1], SizeExpr(1)}));
  }
  if (node.rank(signal) != 3)
    return makeError(ErrorCode::E0304, "the signal has rank ", node.rank(signal), "; expected 3");
  KILN_ASSIGN(int64_t onesided, node.intAttribute("onesided", 1));
  if (onesided)
    KILN_TRY(node.requireEqual(node.dims(signal)[2], 1).withContext("a onesided transform needs real numbers: "));
  if (window && node.rank(window) != 1)
    return makeError(ErrorCode::E0304, "the window has rank ", node.rank(window), "; expected 1");
  KILN_ASSIGN(Value size, node.sizeOf(signal, 1));
  KILN_ASSIGN(Value step, integer(node, 1));
  KILN_ASSIGN(Value length, node.has(3) ? integer(node, 3) : window ? node.sizeOf(window, 0) : Result<Value>(size));
  Value one = node.scalar(1, DType::I64);
  KILN_ASSIGN(Value last, node.emit("sub", {size, length}));
  KILN_ASSIGN(last, node.emit("add", {last, one}));
  KILN_ASSIGN(Value starts, node.emit("range", {node.scalar(0, DType::I64), last, step}));
  KILN_ASSIGN(starts, node.reshape(starts, {node.dims(starts)[0], SizeExpr(1)}));
  KILN_ASSIGN(Value inside, positions(node, length));
  const SizeExpr width = node.dims(inside)[0];
  KILN_ASSIGN(Value places, node.emit("add", {starts, inside}));
  KILN_ASSIGN(Value frames, node.emit("gather", {signal, places}, axisOf(1)));
  if (window) {
    KILN_TRY(node.requireEqual(node.dims(window)[0], width).withContext("window and frame_length: "));
    KILN_ASSIGN(window, node.reshape(window, {width, SizeExpr(1)}));
    KILN_ASSIGN(frames, node.emit("mul", {frames, window}));
  }
  Attributes transform = axisOf(2);
  transform.set("onesided", onesided != 0);
  return node.setResult(node.emit("dft", {frames}, transform));
}

/// a0 - a1 cos(2 pi i / n) + a2 cos(4 pi i / n), where n is the size, or one less if the window is symmetric.
Status cosineWindow(NodeImport &node, double a0, double a1, double a2) {
  KILN_TRY(node.expectOperands(1, 1));
  KILN_ASSIGN(int64_t type, node.intAttribute("output_datatype", dtypeOnnxId(DType::F32)));
  std::optional<DType> dtype = dtypeFromOnnxId(type);
  if (!dtype)
    return makeError(ErrorCode::E0203, "output_datatype ", onnxTypeName(int32_t(type)), " is not supported");
  KILN_ASSIGN(int64_t periodic, node.intAttribute("periodic", 1));
  const DType own = *dtype == DType::F64 ? DType::F64 : DType::F32;
  KILN_ASSIGN(Value size, integer(node, 0));
  KILN_ASSIGN(Value angle, positions(node, size));
  KILN_ASSIGN(angle, node.cast(angle, own));
  if (!periodic) {
    KILN_ASSIGN(size, node.emit("sub", {size, node.scalar(1, DType::I64)}));
  }
  KILN_ASSIGN(size, node.cast(size, own));
  KILN_ASSIGN(Value step, node.emit("div", {node.scalar(2 * std::numbers::pi, own), size}));
  KILN_ASSIGN(angle, node.emit("mul", {angle, step}));
  KILN_ASSIGN(Value once, node.emit("cos", {angle}));
  KILN_ASSIGN(once, node.emit("mul", {once, node.scalar(a1, own)}));
  KILN_ASSIGN(Value result, node.emit("sub", {node.scalar(a0, own), once}));
  if (a2 != 0) {
    KILN_ASSIGN(Value twice, node.emit("mul", {angle, node.scalar(2, own)}));
    KILN_ASSIGN(twice, node.emit("cos", {twice}));
    KILN_ASSIGN(twice, node.emit("mul", {twice, node.scalar(a2, own)}));
    KILN_ASSIGN(result, node.emit("add", {result, twice}));
  }
  return node.setResult(node.cast(result, *dtype));
}
Status hannWindow(NodeImport &node) { return cosineWindow(node, 0.5, 0.5, 0); }
Status hammingWindow(NodeImport &node) { return cosineWindow(node, 25.0 / 46, 21.0 / 46, 0); }
Status blackmanWindow(NodeImport &node) { return cosineWindow(node, 0.42, 0.5, 0.08); }

constexpr OpEntry table[] = {
    {"DFT", 17, dft},
    {"STFT", 17, stft},
    {"HannWindow", 17, hannWindow},
    {"HammingWindow", 17, hammingWindow},
    {"BlackmanWindow", 17, blackmanWindow},
};

} // namespace

std::span<const OpEntry> signalOps() { return table; }

} // namespace kiln::onnx
