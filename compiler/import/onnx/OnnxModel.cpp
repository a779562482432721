#include "compiler/import/onnx/OnnxModel.h"

#include "compiler/import/onnx/OnnxFields.h"
#include "runtime/base/Text.h"

namespace kiln::onnx {

static_assert(sizeof(NodeProto) <= 2 * kModelMemoryFactor && sizeof(TensorProto) <= 2 * kModelMemoryFactor &&
                  sizeof(ValueInfoProto) <= 2 * kModelMemoryFactor && sizeof(AttributeProto) <= 2 * kModelMemoryFactor,
              "a record comes from at least two bytes of the file: the stated memory factor must hold");

std::string onnxTypeName(int32_t type) {
  switch (type) {
#define X(name, id, text) \
  case id: return text;
    KILN_ONNX_DTYPES(X)
#undef X
  default: return "type " + std::to_string(type);
  }
}

namespace {

/// Reads messages into records. The first problem sticks; every function returns false from then
/// on.
class Parser {
public:
  explicit Parser(ByteSpan file) : file(file) {}

  bool model(ByteSpan bytes, ModelProto &model);
  bool graph(ByteSpan bytes, GraphProto &graph, unsigned nesting);
  bool tensor(ByteSpan bytes, TensorProto &tensor);

  Status status() const {
    if (reason.empty())
      return Status();
    return makeError(code, "byte ", offset, ": ", reason);
  }

private:
  bool fail(const uint8_t *at, std::string why, ErrorCode kind = ErrorCode::E0103) {
    if (reason.empty()) {
      code = kind;
      reason = std::move(why);
      offset = static_cast<uint64_t>(at - file.data());
    }
    return false;
  }

  /// Walks `bytes`: `visit(field)` returns false after calling fail().
  template <typename Visit> bool walk(ByteSpan bytes, const char *what, Visit visit) {
    WireReader reader(bytes);
    WireField field;
    while (reader.next(field)) {
      current = field.type == WireType::Bytes ? field.bytes.data() : reader.position();
      if (!visit(field))
        return fail(current, std::string("bad field ") + std::to_string(field.number) + " of " + what);
    }
    return reader.ok() || fail(reader.position(), std::string(reader.problem()) + " (in " + what + ")");
  }

  bool text(const WireField &field, std::string_view &out) {
    if (field.type != WireType::Bytes)
      return false;
    out = field.asString();
    return true;
  }
  bool name(const WireField &field, std::string_view &out) {
    if (!text(field, out))
      return false;
    return isText(out) ||
           fail(field.bytes.data(), "the name \"" + std::string(out) + "\" is no text; names must be UTF-8 without NUL",
                ErrorCode::E0301);
  }
  bool integer(const WireField &field, int64_t &out) {
    if (field.type != WireType::Varint)
      return false;
    out = field.asInt();
    return true;
  }
  bool message(const WireField &field) { return field.type == WireType::Bytes; }

  /// How often each of the first 32 field numbers occurs: records are reserved exactly, never grown
  /// by doubling.
  struct Counts {
    size_t of[32] = {};
  };
  bool count(ByteSpan bytes, const char *what, Counts &counts) {
    return walk(bytes, what, [&](const WireField &field) {
      if (field.number < 32)
        ++counts.of[field.number];
      return true;
    });
  }

  bool node(ByteSpan bytes, NodeProto &node);
  bool attribute(ByteSpan bytes, AttributeProto &attribute);
  bool valueInfo(ByteSpan bytes, ValueInfoProto &info);
  bool type(ByteSpan bytes, ValueInfoProto &info, unsigned depth = 0);
  bool holder(ByteSpan bytes, ValueInfoProto &info, ValueInfoProto::Kind kind, unsigned depth);
  bool shape(ByteSpan bytes, ValueInfoProto &info);
  bool opset(ByteSpan bytes, OpsetImport &opset);
  bool function(ByteSpan bytes, FunctionProto &function);

  template <typename Record> Record &append(std::vector<Record> &records) { return records.emplace_back(); }

  ByteSpan file;
  const uint8_t *current = nullptr;
  uint64_t offset = 0;
  ErrorCode code = ErrorCode::E0103;
  std::string reason;
};

/// The domain's spelling "ai.onnx" means the default domain "".
std::string_view canonicalDomain(std::string_view domain) { return domain == "ai.onnx" ? std::string_view() : domain; }

bool Parser::opset(ByteSpan bytes, OpsetImport &opset) {
  return walk(bytes, "OperatorSetIdProto", [&](const WireField &field) {
    switch (field.number) {
    case field::OpsetDomain:
      if (!name(field, opset.domain))
        return false;
      opset.domain = canonicalDomain(opset.domain);
      return true;
    case field::OpsetVersion: return integer(field, opset.version);
    default: return true;
    }
  });
}

bool Parser::model(ByteSpan bytes, ModelProto &model) {
  Counts counts;
  if (!count(bytes, "ModelProto", counts))
    return false;
  if (counts.of[field::ModelGraph] > 1)
    return fail(bytes.data(), "the model has more than one graph");
  model.opsets.reserve(counts.of[field::ModelOpsetImport]);
  model.functions.reserve(counts.of[field::ModelFunctions]);
  return walk(bytes, "ModelProto", [&](const WireField &field) {
    switch (field.number) {
    case field::ModelIrVersion: return integer(field, model.irVersion);
    case field::ModelProducerName: return text(field, model.producer);
    case field::ModelOpsetImport: return message(field) && opset(field.bytes, append(model.opsets));
    case field::ModelGraph: return message(field) && graph(field.bytes, model.graph.emplace(), 0);
    case field::ModelFunctions: return message(field) && function(field.bytes, append(model.functions));
    default: return true;
    }
  });
}

bool Parser::graph(ByteSpan bytes, GraphProto &graph, unsigned nesting) {
  if (nesting > kMaxNesting)
    return fail(bytes.data(), "graphs nest deeper than " + std::to_string(kMaxNesting) + " levels", ErrorCode::E0107);
  Counts counts;
  if (!count(bytes, "GraphProto", counts))
    return false;
  graph.nodes.reserve(counts.of[field::GraphNode]);
  graph.initializers.reserve(counts.of[field::GraphInitializer]);
  graph.inputs.reserve(counts.of[field::GraphInput]);
  graph.outputs.reserve(counts.of[field::GraphOutput]);
  graph.valueInfos.reserve(counts.of[field::GraphValueInfo]);
  graph.hasSparseInitializer = counts.of[field::GraphSparseInitializer] > 0;
  return walk(bytes, "GraphProto", [&](const WireField &field) {
    switch (field.number) {
    case field::GraphName: return text(field, graph.name);
    case field::GraphNode: return message(field) && node(field.bytes, append(graph.nodes));
    case field::GraphInitializer: return message(field) && tensor(field.bytes, append(graph.initializers));
    case field::GraphInput: return message(field) && valueInfo(field.bytes, append(graph.inputs));
    case field::GraphOutput: return message(field) && valueInfo(field.bytes, append(graph.outputs));
    case field::GraphValueInfo: return message(field) && valueInfo(field.bytes, append(graph.valueInfos));
    default: return true;
    }
  });
}

bool Parser::node(ByteSpan bytes, NodeProto &node) {
  Counts counts;
  if (!count(bytes, "NodeProto", counts))
    return false;
  node.inputs.reserve(counts.of[field::NodeInput]);
  node.outputs.reserve(counts.of[field::NodeOutput]);
  node.attributes.reserve(counts.of[field::NodeAttribute]);
  return walk(bytes, "NodeProto", [&](const WireField &field) {
    switch (field.number) {
    case field::NodeInput: return name(field, append(node.inputs));
    case field::NodeOutput: return name(field, append(node.outputs));
    case field::NodeName: return name(field, node.name);
    case field::NodeOpType: return name(field, node.opType);
    case field::NodeDomain:
      if (!name(field, node.domain))
        return false;
      node.domain = canonicalDomain(node.domain);
      return true;
    case field::NodeOverload: return name(field, node.overload);
    case field::NodeAttribute: return message(field) && attribute(field.bytes, append(node.attributes));
    default: return true;
    }
  });
}

bool Parser::attribute(ByteSpan bytes, AttributeProto &attribute) {
  attribute.message = bytes;
  // Models older than IR version 2 carry no type: then the first payload's field tells.
  AttributeProto::Type payload = AttributeProto::Undefined;
  bool good = walk(bytes, "AttributeProto", [&](const WireField &field) {
    int64_t value = 0;
    switch (field.number) {
    case field::AttributeName: return name(field, attribute.name);
    case field::AttributeRefAttrName: return name(field, attribute.refName);
    case field::AttributeType:
      if (!integer(field, value) || value < 0 || value > AttributeProto::TypeProtos)
        return false;
      attribute.type = static_cast<AttributeProto::Type>(value);
      return true;
    case field::AttributeF: payload = AttributeProto::Float; return field.type == WireType::Fixed32;
    case field::AttributeI: payload = AttributeProto::Int; return field.type == WireType::Varint;
    case field::AttributeS: payload = AttributeProto::String; return message(field);
    case field::AttributeT: payload = AttributeProto::TensorType; return message(field);
    case field::AttributeG: payload = AttributeProto::Graph; return message(field);
    case field::AttributeFloats: payload = AttributeProto::Floats; return true;
    case field::AttributeInts: payload = AttributeProto::Ints; return true;
    case field::AttributeStrings: payload = AttributeProto::Strings; return message(field);
    case field::AttributeTensors: payload = AttributeProto::Tensors; return message(field);
    case field::AttributeGraphs: payload = AttributeProto::Graphs; return message(field);
    default: return true;
    }
  });
  if (attribute.type == AttributeProto::Undefined)
    attribute.type = payload;
  return good;
}

bool Parser::valueInfo(ByteSpan bytes, ValueInfoProto &info) {
  return walk(bytes, "ValueInfoProto", [&](const WireField &field) {
    switch (field.number) {
    case field::ValueInfoName: return name(field, info.name);
    case field::ValueInfoType: return message(field) && type(field.bytes, info);
    default: return true;
    }
  });
}

bool Parser::type(ByteSpan bytes, ValueInfoProto &info, unsigned depth) {
  return walk(bytes, "TypeProto", [&](const WireField &field) {
    switch (field.number) {
    case field::TypeTensor:
      info.kind = ValueInfoProto::Tensor;
      return message(field) && walk(field.bytes, "TypeProto.Tensor", [&](const WireField &inner) {
               int64_t value = 0;
               switch (inner.number) {
               case field::TensorTypeElem:
                 if (!integer(inner, value))
                   return false;
                 info.elemType = static_cast<int32_t>(value);
                 return true;
               case field::TensorTypeShape: return message(inner) && shape(inner.bytes, info);
               default: return true;
               }
             });
    case field::TypeSequence: return message(field) && holder(field.bytes, info, ValueInfoProto::Sequence, depth);
    case field::TypeMap: info.kind = ValueInfoProto::Map; return message(field);
    case field::TypeOpaque: info.kind = ValueInfoProto::Opaque; return message(field);
    case field::TypeSparseTensor: info.kind = ValueInfoProto::SparseTensor; return message(field);
    case field::TypeOptional: return message(field) && holder(field.bytes, info, ValueInfoProto::Optional, depth);
    default: return true;
    }
  });
}

/// A sequence or an optional, by `kind`, `depth` levels deep in such.
bool Parser::holder(ByteSpan bytes, ValueInfoProto &info, ValueInfoProto::Kind kind, unsigned depth) {
  constexpr unsigned deepest = 1; // an optional of sequences
  info.held = ValueInfoProto::Missing;
  bool good = walk(bytes, "TypeProto.Sequence", [&](const WireField &field) {
    if (field.number != field::HolderTypeElem)
      return true;
    if (!message(field) || (depth <= deepest && !type(field.bytes, info, depth + 1)))
      return false;
    bool isSequence = kind == ValueInfoProto::Optional && info.kind == ValueInfoProto::Sequence &&
                      info.held == ValueInfoProto::Tensor;
    info.held =
        depth <= deepest && (isSequence || info.kind == ValueInfoProto::Tensor) ? info.kind : ValueInfoProto::Opaque;
    return true;
  });
  info.kind = kind;
  return good;
}

bool Parser::shape(ByteSpan bytes, ValueInfoProto &info) {
  Counts counts;
  if (!count(bytes, "TensorShapeProto", counts))
    return false;
  info.hasShape = true;
  info.dims.clear();
  info.dims.reserve(counts.of[field::ShapeDim]);
  return walk(bytes, "TensorShapeProto", [&](const WireField &field) {
    if (field.number != field::ShapeDim)
      return true;
    Dim &dim = append(info.dims);
    return message(field) && walk(field.bytes, "TensorShapeProto.Dimension", [&](const WireField &inner) {
             switch (inner.number) {
             case field::DimValue: dim.kind = Dim::Value; return integer(inner, dim.value);
             case field::DimParam: dim.kind = Dim::Param; return name(inner, dim.param);
             default: return true;
             }
           });
  });
}

bool Parser::tensor(ByteSpan bytes, TensorProto &tensor) {
  tensor.message = bytes;
  size_t rank = 0;
  auto onDim = [&](uint64_t) { return ++rank, true; };
  if (const char *why = forEachVarint(bytes, field::TensorDims, onDim))
    return fail(bytes.data(), std::string(why) + " (in TensorProto)");
  tensor.dims.reserve(rank);
  forEachVarint(bytes, field::TensorDims, [&](uint64_t dim) {
    tensor.dims.push_back(static_cast<int64_t>(dim));
    return true;
  });
  return walk(bytes, "TensorProto", [&](const WireField &field) {
    int64_t value = 0;
    switch (field.number) {
    case field::TensorName: return name(field, tensor.name);
    case field::TensorDataType:
      if (!integer(field, value))
        return false;
      tensor.dataType = static_cast<int32_t>(value);
      return true;
    case field::TensorRawData: tensor.rawData = field.bytes; return message(field);
    case field::TensorFloatData:
    case field::TensorInt32Data:
    case field::TensorStringData:
    case field::TensorInt64Data:
    case field::TensorDoubleData:
    case field::TensorUint64Data: tensor.hasTypedData = true; return true;
    case field::TensorDataLocation:
      if (!integer(field, value) || value < 0 || value > 1)
        return false;
      tensor.external = value == 1;
      return true;
    case field::TensorSegment: tensor.segmented = true; return message(field);
    default: return true;
    }
  });
}

bool Parser::function(ByteSpan bytes, FunctionProto &function) {
  Counts counts;
  if (!count(bytes, "FunctionProto", counts))
    return false;
  function.inputs.reserve(counts.of[field::FunctionInput]);
  function.outputs.reserve(counts.of[field::FunctionOutput]);
  function.attributes.reserve(counts.of[field::FunctionAttribute]);
  function.defaults.reserve(counts.of[field::FunctionAttributeProto]);
  function.nodes.reserve(counts.of[field::FunctionNode]);
  function.opsets.reserve(counts.of[field::FunctionOpsetImport]);
  return walk(bytes, "FunctionProto", [&](const WireField &field) {
    switch (field.number) {
    case field::FunctionName: return name(field, function.name);
    case field::FunctionDomain:
      if (!name(field, function.domain))
        return false;
      function.domain = canonicalDomain(function.domain);
      return true;
    case field::FunctionOverload: return name(field, function.overload);
    case field::FunctionInput: return name(field, append(function.inputs));
    case field::FunctionOutput: return name(field, append(function.outputs));
    case field::FunctionAttribute: return name(field, append(function.attributes));
    case field::FunctionAttributeProto: return message(field) && attribute(field.bytes, append(function.defaults));
    case field::FunctionNode: return message(field) && node(field.bytes, append(function.nodes));
    case field::FunctionOpsetImport: return message(field) && opset(field.bytes, append(function.opsets));
    default: return true;
    }
  });
}

} // namespace

Result<ModelProto> parseModel(ByteSpan bytes) {
  ModelProto model;
  Parser parser(bytes);
  if (!parser.model(bytes, model))
    return parser.status();
  return model;
}

Result<GraphProto> parseSubgraph(const AttributeProto &attribute, unsigned nesting) {
  ByteSpan body;
  WireReader reader(attribute.message);
  for (WireField field; reader.next(field);)
    if (field.number == field::AttributeG)
      body = field.bytes;
  GraphProto graph;
  Parser parser(body);
  if (!parser.graph(body, graph, nesting))
    return parser.status();
  return graph;
}

Result<TensorProto> parseTensor(ByteSpan bytes) {
  TensorProto tensor;
  Parser parser(bytes);
  if (!parser.tensor(bytes, tensor))
    return parser.status();
  return tensor;
}

} // namespace kiln::onnx
