// From MLIR's diagnostics and locations to the project's errors.

#pragma once

#include "dialects/kiln/NodeName.h"
#include "runtime/base/Status.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Location.h"

#include <string>
#include <vector>

namespace kiln {

/// What a compilation ends with when its caller stops it.
Status interrupted();

/// Collects the errors of a context while it lives.
class DiagnosticCollector {
public:
  /// `label` names the model in errors.
  DiagnosticCollector(mlir::MLIRContext &context, std::string label);

  /// The collected errors as one Status, and none collected any more. Ok when there were none. An
  /// error that carries no code of its own gets `fallback`.
  Status take(ErrorCode fallback);

private:
  std::string label;
  std::vector<std::string> errors;
  mlir::ScopedDiagnosticHandler handler;
};

} // namespace kiln
