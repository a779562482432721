#include "compiler/import/onnx/ops/Shared.h"

namespace kiln::onnx {

Attributes axisOf(int64_t axis) {
  Attributes attributes;
  attributes.set("axis", axis);
  return attributes;
}

Result<int64_t> axisOrAll(NodeImport &node, Value &x) {
  if (node.hasAttribute("axis"))
    return node.axisAttribute("axis", 0, x);
  Dims dims = node.dims(x);
  KILN_ASSIGN(x, node.reshape(x, {SizeExpr::product(std::span<const SizeExpr>(dims.begin(), dims.end()))}));
  return 0;
}

Result<int64_t> axisCount(NodeImport &node, Value axes) {
  Dims length = node.dims(axes);
  if (length.size() != 1 || !length[0].isConstant())
    return makeError(ErrorCode::E0208, "the number of axes must be known when compiling");
  return length[0].constant();
}

Result<Value> splitHeads(NodeImport &node, Value x, int64_t heads) {
  Dims d = node.dims(x);
  KILN_TRY(node.requireEqual(SizeExpr::floorDiv(d[2], heads) * heads, d[2]).withContext("heads: "));
  KILN_ASSIGN(Value split, node.reshape(x, {d[0], d[1], heads, SizeExpr::floorDiv(d[2], heads)}));
  return node.transpose(split, {0, 2, 1, 3});
}

Result<Value> positions(NodeImport &node, Value size, size_t after) {
  KILN_ASSIGN(Value range, node.emit("range", {node.scalar(0, DType::I64), size, node.scalar(1, DType::I64)}));
  Dims dims{node.dims(range)[0]};
  dims.append(after, SizeExpr(1));
  return node.reshape(range, dims);
}

Result<Value> elementOf(NodeImport &node, Value vector, int64_t index) {
  KILN_ASSIGN(Value element, node.slice(vector, 0, index, index + 1));
  KILN_ASSIGN(element, node.reshape(element, {}));
  return node.cast(element, DType::I64);
}

Result<Value> vectorOf(NodeImport &node, const std::vector<Value> &scalars) {
  std::vector<Value> parts;
  for (Value scalar : scalars) {
    KILN_ASSIGN(Value part, node.reshape(scalar, {SizeExpr(1)}));
    parts.push_back(part);
  }
  Attributes attributes;
  attributes.set("axis", 0);
  return node.emit("concat", parts, attributes);
}

Result<Value> emitSwish(NodeImport &node, Value x, double alpha) {
  if (alpha == 1.0)
    return node.emit("silu", {x});
  KILN_ASSIGN(Value scaled, node.emit("mul", {x, node.scalar(alpha, node.dtype(x))}));
  KILN_ASSIGN(Value gate, node.emit("sigmoid", {scaled}));
  return node.emit("mul", {x, gate});
}

} // namespace kiln::onnx
