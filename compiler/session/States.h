// States of a module: which inputs and outputs of its entries are one tensor that outlives runs.
#pragma once

#include "compiler/session/Options.h"

#include "mlir/IR/BuiltinOps.h"

#include <span>

namespace kiln {

/// Marks the arguments and results of all entries that the states name (stateAttrName). For each state some entry must
/// have the input and some the output (E0501); no port belongs to two states (E0703).
Status declareStates(mlir::ModuleOp module, std::span<const StateOption> states);

/// An error where the values of a state surely differ in element type (E0305) or dims (E0304), within an entry or
/// between entries. What stays open is checked by runs.
Status checkStates(mlir::ModuleOp module);

} // namespace kiln
