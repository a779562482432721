#include "compiler/session/Diagnostics.h"

#include "mlir/IR/BuiltinAttributes.h"

using namespace mlir;

namespace kiln {
namespace {

/// "x.mlir:3:4" of a location in a text; empty otherwise.
std::string textPosition(Location location) {
  auto position = dyn_cast<FileLineColLoc>(location);
  if (!position || position.getLine() == 0)
    return "";
  return position.getFilename().str() + ":" + std::to_string(position.getLine()) + ":" +
         std::to_string(position.getColumn());
}

std::optional<ErrorCode> codeOf(StringRef name) {
#define X(code, summary, advice) \
  if (name == #code)             \
    return ErrorCode::code;
#include "runtime/base/Errors.def"
#undef X
  return std::nullopt;
}

/// Removes a trailing " [KILN-E0412]" and returns its code.
std::optional<ErrorCode> stripCode(std::string &text) {
  size_t at = text.rfind(" [KILN-");
  if (at == std::string::npos || text.back() != ']')
    return std::nullopt;
  std::optional<ErrorCode> code = codeOf(StringRef(text).slice(at + 7, text.size() - 1));
  if (code)
    text.resize(at);
  return code;
}

} // namespace

Status interrupted() { return makeError(ErrorCode::E0701, "the compilation was interrupted"); }

DiagnosticCollector::DiagnosticCollector(MLIRContext &context, std::string labelText)
    : label(std::move(labelText)), handler(&context, [this](Diagnostic &diagnostic) {
        if (diagnostic.getSeverity() != DiagnosticSeverity::Error)
          return success();
        std::string position = textPosition(diagnostic.getLocation()), node = nodeName(diagnostic.getLocation());
        std::string prefix = !position.empty() ? position + ": " : label.empty() ? "" : label + ": ";
        if (!node.empty())
          prefix += "node \"" + node + "\": ";
        std::string text = diagnostic.str();
        // Errors that importers and passes have formatted already name the model themselves.
        errors.push_back(StringRef(text).starts_with(label + ": ") ? text : prefix + text);
        return success();
      }) {}

Status DiagnosticCollector::take(ErrorCode fallback) {
  if (errors.empty())
    return Status::success();
  std::optional<ErrorCode> code = stripCode(errors.front());
  std::string text;
  for (std::string &error : errors) {
    if (&error != &errors.front())
      stripCode(error);
    text += (text.empty() ? "" : "\n") + error;
  }
  errors.clear();
  return Status(code.value_or(fallback), text);
}

} // namespace kiln
