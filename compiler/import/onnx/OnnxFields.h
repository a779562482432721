// Field numbers of ONNX's protobuf messages: the one table that the model reader and the tests'
// writer share.
#pragma once

#include <cstdint>

namespace kiln::onnx::field {

enum Model : uint32_t {
  ModelIrVersion = 1,
  ModelProducerName = 2,
  ModelGraph = 7,
  ModelOpsetImport = 8,
  ModelFunctions = 25
};

enum OpsetId : uint32_t { OpsetDomain = 1, OpsetVersion = 2 };

enum Graph : uint32_t {
  GraphNode = 1,
  GraphName = 2,
  GraphInitializer = 5,
  GraphInput = 11,
  GraphOutput = 12,
  GraphValueInfo = 13,
  GraphSparseInitializer = 15,
};

enum Node : uint32_t {
  NodeInput = 1,
  NodeOutput = 2,
  NodeName = 3,
  NodeOpType = 4,
  NodeAttribute = 5,
  NodeDomain = 7,
  NodeOverload = 8,
};

enum Attribute : uint32_t {
  AttributeName = 1,
  AttributeF = 2,
  AttributeI = 3,
  AttributeS = 4,
  AttributeT = 5,
  AttributeG = 6,
  AttributeFloats = 7,
  AttributeInts = 8,
  AttributeStrings = 9,
  AttributeTensors = 10,
  AttributeGraphs = 11,
  AttributeTp = 14,
  AttributeTypeProtos = 15,
  AttributeType = 20,
  AttributeRefAttrName = 21,
  AttributeSparseTensor = 22,
  AttributeSparseTensors = 23,
};

enum Tensor : uint32_t {
  TensorDims = 1,
  TensorDataType = 2,
  TensorSegment = 3,
  TensorFloatData = 4,
  TensorInt32Data = 5,
  TensorStringData = 6,
  TensorInt64Data = 7,
  TensorName = 8,
  TensorRawData = 9,
  TensorDoubleData = 10,
  TensorUint64Data = 11,
  TensorExternalData = 13,
  TensorDataLocation = 14,
};

enum StringEntry : uint32_t { EntryKey = 1, EntryValue = 2 };

enum ValueInfo : uint32_t { ValueInfoName = 1, ValueInfoType = 2 };

enum Type : uint32_t {
  TypeTensor = 1,
  TypeSequence = 4,
  TypeMap = 5,
  TypeOpaque = 7,
  TypeSparseTensor = 8,
  TypeOptional = 9,
};

enum TensorType : uint32_t { TensorTypeElem = 1, TensorTypeShape = 2 };

enum HolderType : uint32_t { HolderTypeElem = 1 }; // of sequences and optionals

enum Shape : uint32_t { ShapeDim = 1 };

enum Dim : uint32_t { DimValue = 1, DimParam = 2 };

enum Function : uint32_t {
  FunctionName = 1,
  FunctionInput = 4,
  FunctionOutput = 5,
  FunctionAttribute = 6,
  FunctionNode = 7,
  FunctionOpsetImport = 9,
  FunctionDomain = 10,
  FunctionAttributeProto = 11,
  FunctionOverload = 13,
};

} // namespace kiln::onnx::field
