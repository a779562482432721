// Which operators are imported, from which opset version on, and by which converter. Operators that
// map one to one come from the dialect's own table (dialects/kiln); everything with version rules
// stands in the lists of ops/.
#pragma once

#include "compiler/import/onnx/NodeImport.h"

#include <span>

namespace kiln::onnx {

struct OpEntry {
  std::string_view opType;
  int64_t since; // first opset version of the operator that the converter understands
  Converter convert;
  std::string_view domain = {};

  /// "Add", "ai.onnx.preview.FlexAttention"
  std::string name() const {
    return domain.empty() ? std::string(opType) : std::string(domain) + "." + std::string(opType);
  }
};

// One list per file of ops/.
std::span<const OpEntry> elementwiseOps();
std::span<const OpEntry> movementOps();
std::span<const OpEntry> partOps();
std::span<const OpEntry> padOps();
std::span<const OpEntry> reduceOps();
std::span<const OpEntry> normOps();
std::span<const OpEntry> matmulOps();
std::span<const OpEntry> windowOps();
std::span<const OpEntry> constantOps();
std::span<const OpEntry> attentionOps();
std::span<const OpEntry> fusedAttentionOps();
std::span<const OpEntry> fusedNodeOps();
std::span<const OpEntry> groupQueryAttentionOps();
std::span<const OpEntry> indexOps();
std::span<const OpEntry> einsumOps();
std::span<const OpEntry> samplingOps();
std::span<const OpEntry> quantizeOps();
std::span<const OpEntry> quantizedNodeOps();
std::span<const OpEntry> packedWeightOps();
std::span<const OpEntry> recurrentOps();
std::span<const OpEntry> visionOps();
std::span<const OpEntry> signalOps();
std::span<const OpEntry> stateSpaceOps();
std::span<const OpEntry> trainingOps();

/// The converter of an operator, null when it is not supported (at this version).
Converter findConverter(std::string_view domain, std::string_view opType, int64_t opset);

/// All operators that are imported, sorted, with the first opset version; the table of
/// docs/onnx.md.
std::vector<OpEntry> importedOps();

} // namespace kiln::onnx
