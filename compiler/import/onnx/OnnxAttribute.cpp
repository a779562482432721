// Payloads of AttributeProto, decoded on demand.
#include "compiler/import/onnx/OnnxFields.h"
#include "compiler/import/onnx/OnnxModel.h"

namespace kiln::onnx {

namespace {

const char *typeName(AttributeProto::Type type) {
  switch (type) {
  case AttributeProto::Float: return "a float";
  case AttributeProto::Int: return "an integer";
  case AttributeProto::String: return "a string";
  case AttributeProto::TensorType: return "a tensor";
  case AttributeProto::Graph: return "a graph";
  case AttributeProto::Floats: return "a list of floats";
  case AttributeProto::Ints: return "a list of integers";
  case AttributeProto::Strings: return "a list of strings";
  case AttributeProto::Tensors: return "a list of tensors";
  case AttributeProto::Graphs: return "a list of graphs";
  case AttributeProto::SparseTensor: return "a sparse tensor";
  case AttributeProto::SparseTensors: return "a list of sparse tensors";
  case AttributeProto::TypeProto: return "a type";
  case AttributeProto::TypeProtos: return "a list of types";
  case AttributeProto::Undefined: break;
  }
  return "nothing";
}

Status expect(const AttributeProto &attribute, AttributeProto::Type type) {
  if (attribute.type == type)
    return Status();
  return makeError(ErrorCode::E0402, "attribute \"", attribute.name, "\" holds ", typeName(attribute.type),
                   "; expected ", typeName(type));
}

Status malformed(const AttributeProto &attribute, const char *why) {
  return makeError(ErrorCode::E0103, "attribute \"", attribute.name, "\": ", why);
}

/// The last occurrence of a field wins, as protobuf says. The reader has checked the message's
/// structure already.
WireField lastField(ByteSpan message, uint32_t number, WireType type) {
  WireReader reader(message);
  WireField found, field;
  found.type = type;
  while (reader.next(field))
    if (field.number == number && field.type == type)
      found = field;
  return found;
}

} // namespace

Result<double> AttributeProto::asFloat() const {
  KILN_TRY(expect(*this, Float));
  return double(lastField(message, field::AttributeF, WireType::Fixed32).asFloat());
}

Result<int64_t> AttributeProto::asInt() const {
  KILN_TRY(expect(*this, Int));
  return lastField(message, field::AttributeI, WireType::Varint).asInt();
}

Result<std::string_view> AttributeProto::asString() const {
  KILN_TRY(expect(*this, String));
  return lastField(message, field::AttributeS, WireType::Bytes).asString();
}

Result<std::vector<double>> AttributeProto::asFloats() const {
  KILN_TRY(expect(*this, Floats));
  std::vector<double> values;
  const char *why = forEachFixed<uint32_t>(message, field::AttributeFloats, [&](ByteSpan words) {
    for (size_t i = 0; i < words.size(); i += sizeof(float)) {
      float value;
      std::memcpy(&value, words.data() + i, sizeof value);
      values.push_back(value);
    }
    return true;
  });
  if (why)
    return malformed(*this, why);
  return values;
}

Result<std::vector<int64_t>> AttributeProto::asInts() const {
  KILN_TRY(expect(*this, Ints));
  std::vector<int64_t> values;
  const char *why = forEachVarint(message, field::AttributeInts, [&](uint64_t value) {
    values.push_back(static_cast<int64_t>(value));
    return true;
  });
  if (why)
    return malformed(*this, why);
  return values;
}

Result<std::vector<std::string_view>> AttributeProto::asStrings() const {
  KILN_TRY(expect(*this, Strings));
  std::vector<std::string_view> values;
  WireReader reader(message);
  for (WireField field; reader.next(field);)
    if (field.number == field::AttributeStrings)
      values.push_back(field.asString());
  return values;
}

Result<TensorProto> AttributeProto::asTensor() const {
  KILN_TRY(expect(*this, TensorType));
  return parseTensor(lastField(message, field::AttributeT, WireType::Bytes).bytes);
}

} // namespace kiln::onnx
