#include "compiler/import/onnx/Unsupported.h"

namespace kiln::onnx {

bool isUnsupported(ErrorCode code) { return errorNumber(code) / 100 == 2; }

void Unsupported::addOperator(std::string_view opType, std::string_view domain, int64_t opset, std::string node) {
  std::string key = domain.empty() ? std::string(opType) : std::string(domain) + "." + std::string(opType);
  operators[key + " (opset " + std::to_string(opset) + ")"].push_back(std::move(node));
}

Status Unsupported::error() const {
  if (operators.empty() && features.size() == 1)
    return features[0].withContext(label + ": ");
  size_t nodes = features.size();
  std::string names;
  for (const auto &[name, users] : operators) {
    nodes += users.size();
    names += (names.empty() ? "" : ", ") + name;
  }
  std::string text = label + ": " + std::to_string(nodes) + (nodes == 1 ? " node is" : " nodes are") + " not supported";
  if (!names.empty())
    text += ": " + names;
  for (const auto &[name, users] : operators) {
    text += "\n  " + name + ", " + std::to_string(users.size()) + (users.size() == 1 ? " node:" : " nodes:");
    for (const std::string &user : users)
      text += (&user == &users.front() ? " \"" : ", \"") + user + "\"";
  }
  for (const Status &feature : features)
    text += "\n  " + feature.message();
  return Status(operators.empty() ? features[0].code() : ErrorCode::E0201, text);
}

} // namespace kiln::onnx
