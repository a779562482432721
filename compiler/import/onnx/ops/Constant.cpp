// Operators that make values from attributes.
#include "compiler/import/onnx/OpTable.h"

namespace kiln::onnx {
namespace {

/// `value` is a tensor; the other forms spell numbers directly.
Status constant(NodeImport &node) {
  KILN_TRY(node.expectOperands(0, 0));
  if (const AttributeProto *value = node.attribute("value")) {
    KILN_ASSIGN(TensorProto tensor, value->asTensor());
    return node.setResult(node.tensorConstant(tensor));
  }
  if (const AttributeProto *value = node.attribute("value_int")) {
    KILN_ASSIGN(int64_t number, value->asInt());
    return node.setResult(node.reshape(node.intsConstant({number}), {}));
  }
  if (const AttributeProto *value = node.attribute("value_ints")) {
    KILN_ASSIGN(Ints numbers, value->asInts());
    return node.setResult(node.intsConstant(numbers));
  }
  if (const AttributeProto *value = node.attribute("value_float")) {
    KILN_ASSIGN(double number, value->asFloat());
    return node.setResult(node.scalar(number, DType::F32));
  }
  if (const AttributeProto *value = node.attribute("value_floats")) {
    KILN_ASSIGN(std::vector<double> numbers, value->asFloats());
    return node.setResult(node.floatsConstant(numbers));
  }
  for (const char *name : {"value_string", "value_strings", "sparse_value"})
    if (node.hasAttribute(name))
      return makeError(ErrorCode::E0205, name, " is not supported");
  return node.requireAttribute("value");
}

/// One value (default: f32 0) in every place.
Status constantOfShape(NodeImport &node) {
  KILN_TRY(node.expectOperands(1, 1));
  Value value;
  if (const AttributeProto *attribute = node.attribute("value")) {
    KILN_ASSIGN(TensorProto tensor, attribute->asTensor());
    KILN_ASSIGN(value, node.tensorConstant(tensor));
    Dims dims = node.dims(value);
    if (dims.size() > 1 || (dims.size() == 1 && !dims[0].isConstant(1)))
      return makeError(ErrorCode::E0404, "value must be a tensor of one element");
    KILN_ASSIGN(value, node.reshape(value, {}));
  } else {
    value = node.scalar(0, DType::F32);
  }
  Value shape = node.operand(0);
  if (std::optional<int64_t> rank = node.declaredRank(0)) {
    KILN_ASSIGN(shape, node.withLength(shape, *rank));
  }
  return node.setResult(node.emit("expand", {value, shape}));
}

constexpr OpEntry table[] = {
    {"Constant", 1, constant},
    {"ConstantOfShape", 9, constantOfShape},
};

} // namespace

std::span<const OpEntry> constantOps() { return table; }

} // namespace kiln::onnx
