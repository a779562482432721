// A tiny protobuf writer for tests: ONNX models from a few calls, malformed ones included.
#pragma once

#include "compiler/import/onnx/OnnxFields.h"
#include "compiler/import/onnx/OnnxModel.h"

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace kiln::onnx::test {

inline ByteSpan bytesOf(const std::string &text) {
  return {reinterpret_cast<const uint8_t *>(text.data()), text.size()};
}

/// One protobuf message under construction.
class Message {
public:
  std::string bytes;

  Message &raw(std::string_view more) {
    bytes += more;
    return *this;
  }
  Message &rawVarint(uint64_t value) {
    for (; value >= 0x80; value >>= 7)
      bytes += char(value | 0x80);
    bytes += char(value);
    return *this;
  }
  Message &tag(uint32_t number, unsigned wireType) { return rawVarint(uint64_t(number) << 3 | wireType); }
  Message &integer(uint32_t number, int64_t value) { return tag(number, 0).rawVarint(uint64_t(value)); }
  Message &text(uint32_t number, std::string_view value) { return tag(number, 2).rawVarint(value.size()).raw(value); }
  Message &message(uint32_t number, const Message &value) { return text(number, value.bytes); }
  Message &fixed32(uint32_t number, float value) {
    return tag(number, 5).raw({reinterpret_cast<const char *>(&value), sizeof value});
  }
  template <typename T> Message &packedFixed(uint32_t number, const std::vector<T> &values) {
    return text(number, {reinterpret_cast<const char *>(values.data()), values.size() * sizeof(T)});
  }
  Message &packedVarints(uint32_t number, const std::vector<int64_t> &values) {
    Message packed;
    for (int64_t value : values)
      packed.rawVarint(uint64_t(value));
    return message(number, packed);
  }
};

inline Message tensor(std::string_view name, OnnxType type, const std::vector<int64_t> &dims) {
  Message m;
  for (int64_t dim : dims)
    m.integer(field::TensorDims, dim);
  m.integer(field::TensorDataType, int64_t(type));
  if (!name.empty())
    m.text(field::TensorName, name);
  return m;
}
inline Message floats(std::string_view name, const std::vector<int64_t> &dims, const std::vector<float> &values) {
  return tensor(name, OnnxType::Float, dims).packedFixed(field::TensorRawData, values);
}
inline Message int64s(std::string_view name, const std::vector<int64_t> &dims, const std::vector<int64_t> &values) {
  return tensor(name, OnnxType::Int64, dims).packedFixed(field::TensorRawData, values);
}

/// A graph as an attribute.
struct GraphAttr {
  Message graph;
};

/// An attribute: the value's type picks the payload.
struct Attr {
  std::string name;
  std::variant<int64_t, float, std::string, std::vector<int64_t>, std::vector<float>, std::vector<std::string>, Message,
               GraphAttr>
      value;
  Attr(std::string name, int value) : name(std::move(name)), value(int64_t(value)) {}
  Attr(std::string name, int64_t value) : name(std::move(name)), value(value) {}
  Attr(std::string name, float value) : name(std::move(name)), value(value) {}
  Attr(std::string name, const char *value) : name(std::move(name)), value(std::string(value)) {}
  Attr(std::string name, std::vector<int64_t> value) : name(std::move(name)), value(std::move(value)) {}
  Attr(std::string name, std::vector<float> value) : name(std::move(name)), value(std::move(value)) {}
  Attr(std::string name, std::vector<std::string> value) : name(std::move(name)), value(std::move(value)) {}
  Attr(std::string name, Message tensor) : name(std::move(name)), value(std::move(tensor)) {}
  Attr(std::string name, GraphAttr graph) : name(std::move(name)), value(std::move(graph)) {}

  Message message() const {
    Message m;
    m.text(field::AttributeName, name);
    auto type = AttributeProto::Undefined;
    if (auto *i = std::get_if<int64_t>(&value)) {
      type = AttributeProto::Int;
      m.integer(field::AttributeI, *i);
    } else if (auto *f = std::get_if<float>(&value)) {
      type = AttributeProto::Float;
      m.fixed32(field::AttributeF, *f);
    } else if (auto *s = std::get_if<std::string>(&value)) {
      type = AttributeProto::String;
      m.text(field::AttributeS, *s);
    } else if (auto *ints = std::get_if<std::vector<int64_t>>(&value)) {
      type = AttributeProto::Ints;
      for (int64_t i : *ints)
        m.integer(field::AttributeInts, i);
    } else if (auto *fs = std::get_if<std::vector<float>>(&value)) {
      type = AttributeProto::Floats;
      for (float f : *fs)
        m.fixed32(field::AttributeFloats, f);
    } else if (auto *strings = std::get_if<std::vector<std::string>>(&value)) {
      type = AttributeProto::Strings;
      for (const std::string &s : *strings)
        m.text(field::AttributeStrings, s);
    } else if (auto *graph = std::get_if<GraphAttr>(&value)) {
      type = AttributeProto::Graph;
      m.message(field::AttributeG, graph->graph);
    } else {
      type = AttributeProto::TensorType;
      m.message(field::AttributeT, std::get<Message>(value));
    }
    return m.integer(field::AttributeType, type);
  }
};

/// A dim: a size, a name, or nothing known ("").
using TestDim = std::variant<int64_t, std::string>;
inline TestDim dim(int64_t size) { return size; }
inline TestDim dim(const char *name) { return std::string(name); }

/// The TypeProto of a tensor.
inline Message tensorType(OnnxType type, const std::vector<TestDim> &dims) {
  Message shape;
  for (const TestDim &d : dims) {
    Message m;
    if (auto *size = std::get_if<int64_t>(&d))
      m.integer(field::DimValue, *size);
    else if (!std::get<std::string>(d).empty())
      m.text(field::DimParam, std::get<std::string>(d));
    shape.message(field::ShapeDim, m);
  }
  return Message().message(
      field::TypeTensor,
      Message().integer(field::TensorTypeElem, int64_t(type)).message(field::TensorTypeShape, shape));
}
/// That of a sequence or an optional (a field of TypeProto) of something.
inline Message holderType(field::Type holder, const Message &held) {
  return Message().message(holder, Message().message(field::HolderTypeElem, held));
}

inline Message valueInfo(std::string_view name, const Message &type) {
  return Message().text(field::ValueInfoName, name).message(field::ValueInfoType, type);
}
inline Message valueInfo(std::string_view name, OnnxType type, const std::vector<TestDim> &dims) {
  return valueInfo(name, tensorType(type, dims));
}

inline Message node(std::string_view opType, const std::vector<std::string> &inputs,
                    const std::vector<std::string> &outputs, const std::vector<Attr> &attributes = {},
                    std::string_view name = "", std::string_view domain = "") {
  Message m;
  for (const std::string &input : inputs)
    m.text(field::NodeInput, input);
  for (const std::string &output : outputs)
    m.text(field::NodeOutput, output);
  if (!name.empty())
    m.text(field::NodeName, name);
  m.text(field::NodeOpType, opType);
  if (!domain.empty())
    m.text(field::NodeDomain, domain);
  for (const Attr &attribute : attributes)
    m.message(field::NodeAttribute, attribute.message());
  return m;
}

/// A model with one graph; the pieces go in through the chained calls.
class ModelBuilder {
public:
  explicit ModelBuilder(int64_t opset = 18, int64_t irVersion = 8) { imports("", opset).ir = irVersion; }

  ModelBuilder &imports(std::string_view domain, int64_t version) {
    Message m;
    if (!domain.empty())
      m.text(field::OpsetDomain, domain);
    opsets.push_back(m.integer(field::OpsetVersion, version));
    return *this;
  }
  ModelBuilder &input(std::string_view name, const std::vector<TestDim> &dims, OnnxType type = OnnxType::Float) {
    graph.message(field::GraphInput, valueInfo(name, type, dims));
    return *this;
  }
  ModelBuilder &inputOfType(std::string_view name, const Message &type) {
    graph.message(field::GraphInput, valueInfo(name, type));
    return *this;
  }
  ModelBuilder &outputOfType(std::string_view name, const Message &type) {
    graph.message(field::GraphOutput, valueInfo(name, type));
    return *this;
  }
  ModelBuilder &output(std::string_view name) {
    graph.message(field::GraphOutput, Message().text(field::ValueInfoName, name));
    return *this;
  }
  ModelBuilder &output(std::string_view name, const std::vector<TestDim> &dims, OnnxType type = OnnxType::Float) {
    graph.message(field::GraphOutput, valueInfo(name, type, dims));
    return *this;
  }
  ModelBuilder &initializer(const Message &tensor) {
    graph.message(field::GraphInitializer, tensor);
    return *this;
  }
  ModelBuilder &node(std::string_view opType, const std::vector<std::string> &inputs,
                     const std::vector<std::string> &outputs, const std::vector<Attr> &attributes = {},
                     std::string_view name = "", std::string_view domain = "") {
    graph.message(field::GraphNode, test::node(opType, inputs, outputs, attributes, name, domain));
    return *this;
  }
  ModelBuilder &function(const Message &function) {
    functions.push_back(function);
    return *this;
  }
  /// The model's bytes.
  std::string build() const {
    Message m;
    m.integer(field::ModelIrVersion, ir);
    for (const Message &opset : opsets)
      m.message(field::ModelOpsetImport, opset);
    m.message(field::ModelGraph, graph);
    for (const Message &function : functions)
      m.message(field::ModelFunctions, function);
    return m.bytes;
  }

  Message graph;

private:
  int64_t ir;
  std::vector<Message> opsets, functions;
};

} // namespace kiln::onnx::test
