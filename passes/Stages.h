// The named stages of a compilation: names of flags, dump files and the module attribute
// `kiln.stage`; and what holds after each.

#pragma once

#include "runtime/base/Status.h"

#include "mlir/IR/BuiltinOps.h"

#include <optional>
#include <span>
#include <string_view>

namespace kiln {

enum class Stage { None, Imported, Canonical, Optimized, Kernels, Configured, Planned, Lowered, Artifact };

struct StageInfo {
  Stage stage;
  std::string_view name;
  std::string_view truth; ///< what is true after it, for people
};

/// All stages, in order; without None.
std::span<const StageInfo> allStages();
std::string_view stageName(Stage stage);
std::optional<Stage> parseStage(std::string_view name);

/// The stage that a module says it is in; None where it says nothing.
Stage stageOf(mlir::ModuleOp module);
void setStage(mlir::ModuleOp module, Stage stage);

/// Compares the module with the stage's legality table; the error (E0902) names the first op that
/// does not belong.
Status checkStage(mlir::ModuleOp module, Stage stage);

} // namespace kiln
