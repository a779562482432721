// Views of an ONNX model: names, sizes and payloads point into the model's bytes, which must
// outlive them.
//
// Reading is bounds-checked against any bytes. It allocates at most `kModelMemoryFactor` bytes per
// byte of the model (a field that becomes a record costs at least two bytes in the file), nests at
// most `kMaxNesting` deep and takes time linear in the file's size times the nesting. Attribute
// payloads (tensors, graphs, lists) are read on demand.
#pragma once

#include "compiler/import/onnx/WireReader.h"
#include "runtime/base/DType.h"
#include "runtime/base/Status.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::onnx {

inline constexpr unsigned kMaxNesting = 64;
inline constexpr unsigned kModelMemoryFactor = 96;

/// ONNX's TensorProto.DataType, all of it; which of them Kiln computes with is
/// runtime/base/DType.h's to say.
#define KILN_ONNX_DTYPES(X)               \
  X(Float, 1, "float")                    \
  X(Uint8, 2, "uint8")                    \
  X(Int8, 3, "int8")                      \
  X(Uint16, 4, "uint16")                  \
  X(Int16, 5, "int16")                    \
  X(Int32, 6, "int32")                    \
  X(Int64, 7, "int64")                    \
  X(String, 8, "string")                  \
  X(Bool, 9, "bool")                      \
  X(Float16, 10, "float16")               \
  X(Double, 11, "double")                 \
  X(Uint32, 12, "uint32")                 \
  X(Uint64, 13, "uint64")                 \
  X(Complex64, 14, "complex64")           \
  X(Complex128, 15, "complex128")         \
  X(Bfloat16, 16, "bfloat16")             \
  X(Float8E4M3FN, 17, "float8e4m3fn")     \
  X(Float8E4M3FNUZ, 18, "float8e4m3fnuz") \
  X(Float8E5M2, 19, "float8e5m2")         \
  X(Float8E5M2FNUZ, 20, "float8e5m2fnuz") \
  X(Uint4, 21, "uint4")                   \
  X(Int4, 22, "int4")                     \
  X(Float4E2M1, 23, "float4e2m1")         \
  X(Float8E8M0, 24, "float8e8m0")         \
  X(Uint2, 25, "uint2")                   \
  X(Int2, 26, "int2")

enum class OnnxType : int32_t {
  Undefined = 0,
#define X(name, id, text) name = id,
  KILN_ONNX_DTYPES(X)
#undef X
};

/// "float16", or "type 77" for an unknown number.
std::string onnxTypeName(int32_t type);

struct Dim {
  enum Kind : uint8_t { Unknown, Value, Param } kind = Unknown;
  int64_t value = 0;
  std::string_view param;
};

struct ValueInfoProto {
  enum Kind : uint8_t { Missing, Tensor, Sequence, Map, Opaque, SparseTensor, Optional };
  std::string_view name;
  Kind kind = Missing;
  /// Of a sequence or optional: what it holds. An optional of sequences of tensors is {Optional, Sequence}; what nests
  /// deeper holds something Opaque. The fields below are of the tensors, innermost.
  Kind held = Missing;
  int32_t elemType = 0;
  bool hasShape = false;
  std::vector<Dim> dims;
};

/// A TensorProto. `message` is the whole of it: typed *_data fields are decoded from there
/// (TensorData.h).
struct TensorProto {
  std::string_view name;
  int32_t dataType = 0;
  std::vector<int64_t> dims;
  ByteSpan message;
  std::optional<ByteSpan> rawData;
  bool hasTypedData = false;
  bool external = false;
  bool segmented = false;
};

struct AttributeProto {
  enum Type : int32_t {
    Undefined = 0,
    Float = 1,
    Int = 2,
    String = 3,
    TensorType = 4,
    Graph = 5,
    Floats = 6,
    Ints = 7,
    Strings = 8,
    Tensors = 9,
    Graphs = 10,
    SparseTensor = 11,
    SparseTensors = 12,
    TypeProto = 13,
    TypeProtos = 14,
  };
  std::string_view name;
  std::string_view refName; // in a function body: the caller's attribute to take the value from
  ByteSpan message;
  Type type = Undefined;

  // The payload; another type is E0402, malformed bytes E0103.
  Result<double> asFloat() const;
  Result<int64_t> asInt() const;
  Result<std::string_view> asString() const;
  Result<std::vector<double>> asFloats() const;
  Result<std::vector<int64_t>> asInts() const;
  Result<std::vector<std::string_view>> asStrings() const;
  Result<TensorProto> asTensor() const;
};

struct NodeProto {
  std::string_view name;
  std::string_view opType;
  std::string_view domain; // "" is ai.onnx
  std::string_view overload;
  std::vector<std::string_view> inputs;
  std::vector<std::string_view> outputs;
  std::vector<AttributeProto> attributes;
};

struct GraphProto {
  std::string_view name;
  std::vector<NodeProto> nodes;
  std::vector<TensorProto> initializers;
  std::vector<ValueInfoProto> inputs;
  std::vector<ValueInfoProto> outputs;
  std::vector<ValueInfoProto> valueInfos;
  bool hasSparseInitializer = false;
};

struct OpsetImport {
  std::string_view domain;
  int64_t version = 0;
};

struct FunctionProto {
  std::string_view name;
  std::string_view domain;
  std::string_view overload;
  std::vector<std::string_view> inputs;
  std::vector<std::string_view> outputs;
  std::vector<std::string_view> attributes; // without a default
  std::vector<AttributeProto> defaults;     // with one
  std::vector<NodeProto> nodes;
  std::vector<OpsetImport> opsets;
};

struct ModelProto {
  int64_t irVersion = 0;
  std::string_view producer;
  std::vector<OpsetImport> opsets;
  std::optional<GraphProto> graph;
  std::vector<FunctionProto> functions;
};

/// Reads a model. Malformed bytes are E0103 with their offset.
Result<ModelProto> parseModel(ByteSpan bytes);

/// Reads the graph of an attribute (a control-flow body), `nesting` levels below the model's graph.
Result<GraphProto> parseSubgraph(const AttributeProto &attribute, unsigned nesting);

/// One tensor on its own, as .pb test data files hold it.
Result<TensorProto> parseTensor(ByteSpan bytes);

} // namespace kiln::onnx
