// Everything of a model that is not supported, gathered before anything is refused: one error for
// all.
#pragma once

#include "runtime/base/Status.h"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::onnx {

class Unsupported {
public:
  explicit Unsupported(std::string label) : label(std::move(label)) {}

  bool empty() const { return operators.empty() && features.empty(); }
  void addOperator(std::string_view opType, std::string_view domain, int64_t opset, std::string node);
  /// `status` says which node and why.
  void addFeature(Status status) { features.push_back(std::move(status)); }

  /// The first line sums up, then come each operator with all its nodes, and a line per feature.
  Status error() const;

private:
  std::string label;
  std::map<std::string, std::vector<std::string>> operators; // "TopK (opset 11)" -> nodes
  std::vector<Status> features;
};

/// Whether the code says "not supported" rather than "wrong".
bool isUnsupported(ErrorCode code);

} // namespace kiln::onnx
