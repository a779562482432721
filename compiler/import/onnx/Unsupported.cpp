#include "compiler/import/onnx/Unsupported.h"

namespace kiln::onnx {

bool isUnsupported(ErrorCode code) { return errorNumber(code) / 100 == 2; }

/// ` "a", "b"` in lines of at most 110 characters, unless a name is longer; the first begins at `column`.
static std::string wrapped(const std::vector<std::string> &names, size_t column) {
  constexpr size_t width = 110, indent = 4;
  std::string text;
  for (const std::string &name : names) {
    std::string item = "\"" + name + "\"" + (&name == &names.back() ? "" : ",");
    if (column + 1 + item.size() > width && &name != &names.front()) {
      text += "\n" + std::string(indent - 1, ' ');
      column = indent - 1;
    }
    text += " " + item;
    column += 1 + item.size();
  }
  return text;
}

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
    names += (names.empty() ? "" : ", ") + name + " x" + std::to_string(users.size());
  }
  std::string text = label + ": " + std::to_string(nodes) + (nodes == 1 ? " node is" : " nodes are") + " not supported";
  if (!names.empty())
    text += ": " + names + "; docs/onnx.md lists what is";
  for (const auto &[name, users] : operators)
    text += "\n  " + name + ":" + wrapped(users, name.size() + 3);
  for (const Status &feature : features)
    text += "\n  " + feature.message();
  return Status(operators.empty() ? features[0].code() : ErrorCode::E0201, text);
}

} // namespace kiln::onnx
