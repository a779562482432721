// What fuzzing does with one input: import it, and read every tensor and attribute that the import
// would skip.
#pragma once

#include "compiler/import/onnx/Importer.h"
#include "compiler/import/onnx/TensorData.h"

#include "mlir/IR/MLIRContext.h"

namespace kiln::onnx::fuzz {

inline void readAll(const GraphProto &graph, ExternalData &external, unsigned nesting) {
  for (const TensorProto &tensor : graph.initializers)
    (void)readTensorData(tensor, external).ok();
  for (const NodeProto &node : graph.nodes)
    for (const AttributeProto &attribute : node.attributes) {
      (void)attribute.asInt().ok();
      (void)attribute.asFloat().ok();
      (void)attribute.asString().ok();
      (void)attribute.asInts().ok();
      (void)attribute.asFloats().ok();
      (void)attribute.asStrings().ok();
      if (auto tensor = attribute.asTensor(); tensor.ok())
        (void)readTensorData(*tensor, external).ok();
      if (attribute.type == AttributeProto::Graph && nesting < 4)
        if (auto body = parseSubgraph(attribute, nesting + 1); body.ok())
          readAll(*body, external, nesting + 1);
    }
}

/// Only the reader. True if the bytes are a model.
inline bool readModel(ByteSpan bytes) {
  auto model = parseModel(bytes);
  if (!model.ok())
    return false;
  ExternalData external("");
  if (model->graph)
    readAll(*model->graph, external, 0);
  return true;
}

/// The whole import. True if it succeeds.
inline bool importModel(mlir::MLIRContext &context, ByteSpan bytes) {
  WeightStore weights;
  return importOnnx(context, weights, std::as_bytes(bytes), nullptr).ok();
}

} // namespace kiln::onnx::fuzz
