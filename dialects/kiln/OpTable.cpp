#include "dialects/kiln/OpTable.h"

#include "dialects/kiln/Flops.h"

#include <algorithm>

namespace kiln {

namespace {
using Kind = AttributeInfo::Kind;
#include "dialects/kiln/OpTable.inc"

constexpr std::string_view kindName(Kind kind) {
  switch (kind) {
  case Kind::Int: return "an integer";
  case Kind::Float: return "a number";
  case Kind::String: return "a string";
  case Kind::Ints: return "a list of integers";
  case Kind::Floats: return "a list of numbers";
  }
  return "?";
}
} // namespace

Attribute AttributeInfo::defaultValue() const {
  switch (kind) {
  case Kind::Int: return intDefault;
  case Kind::Float: return floatDefault;
  case Kind::String: return std::string(stringDefault);
  case Kind::Ints:
  case Kind::Floats: return std::vector<int64_t>();
  }
  return int64_t(0);
}

bool ScalarBody::takes(DType dtype) const {
  switch (types) {
  case Types::None: return false;
  case Types::Any: return true;
  case Types::Numbers: return dtype != DType::Bool;
  case Types::Floats: return isFloat(dtype);
  case Types::Integers: return isInteger(dtype);
  case Types::Bool: return dtype == DType::Bool;
  }
  return false;
}

std::string_view ScalarBody::typeNames() const {
  switch (types) {
  case Types::None: return "nothing";
  case Types::Any: return "anything";
  case Types::Numbers: return "numbers";
  case Types::Floats: return "floating-point numbers";
  case Types::Integers: return "integers";
  case Types::Bool: return "bool";
  }
  return "?";
}

std::span<const std::string_view> ScalarBody::calls(const Attributes &attributes) const {
  return !flag.empty() && attributes.getBool(flag) ? functionsIf : functions;
}

const AttributeInfo *OpInfo::findAttribute(std::string_view attribute) const {
  for (const AttributeInfo &info : attributes)
    if (info.name == attribute)
      return &info;
  return nullptr;
}

std::span<const OpInfo> allOps() { return opTable; }

const OpInfo *findOp(std::string_view name) {
  auto it = std::lower_bound(std::begin(opTable), std::end(opTable), name,
                             [](const OpInfo &op, std::string_view n) { return op.name < n; });
  return it != std::end(opTable) && it->name == name ? &*it : nullptr;
}

const OpInfo *findOpByOnnxName(std::string_view onnxName) {
  if (!onnxName.empty())
    for (const OpInfo &op : opTable)
      if (op.onnxName == onnxName)
        return &op;
  return nullptr;
}

Result<Attributes> normalizeAttributes(const OpInfo &op, const Attributes &attributes) {
  Attributes result;
  for (const auto &[name, value] : attributes) {
    const AttributeInfo *info = op.findAttribute(name);
    if (!info)
      return makeError(ErrorCode::E0403, op.name, " has no attribute ", name);
    Attribute converted = value;
    bool fits = false;
    switch (info->kind) {
    case Kind::Int: fits = std::holds_alternative<int64_t>(value); break;
    case Kind::Float:
      if (auto *integer = std::get_if<int64_t>(&value))
        converted = double(*integer);
      fits = std::holds_alternative<double>(converted);
      break;
    case Kind::String: fits = std::holds_alternative<std::string>(value); break;
    case Kind::Ints: fits = std::holds_alternative<std::vector<int64_t>>(value); break;
    case Kind::Floats:
      if (auto *list = std::get_if<std::vector<int64_t>>(&value)) {
        fits = list->empty(); // which stays a list of integers, as Attributes has them
        if (!fits)
          converted = std::vector<double>(list->begin(), list->end());
      }
      fits |= std::holds_alternative<std::vector<double>>(converted);
      break;
    }
    if (!fits)
      return makeError(ErrorCode::E0402, "attribute ", name, " of ", op.name, " must be ", kindName(info->kind));
    if (info->required || converted != info->defaultValue())
      result.set(name, std::move(converted));
  }
  for (const AttributeInfo &info : op.attributes)
    if (info.required && !result.contains(info.name))
      return makeError(ErrorCode::E0401, op.name, " needs the attribute ", info.name);
  return result;
}

Attributes completeAttributes(const OpInfo &op, const Attributes &attributes) {
  Attributes result = attributes;
  for (const AttributeInfo &info : op.attributes)
    if (!info.required && !result.contains(info.name))
      result.set(info.name, info.defaultValue());
  return result;
}

} // namespace kiln
