// Several models as one module: each is a public function, under the name of its entry.
#pragma once

#include "compiler/session/Options.h"

#include "mlir/IR/BuiltinOps.h"

#include <span>

namespace kiln {

class WeightStore;

/// Of several inputs each needs a name of its own; a name is a letter, then letters, digits, '_' and '-' (E0701).
Status checkEntries(std::span<const CompileInput> inputs);
/// Gives the module's one public function that name, and others a prefix by which no two entries' meet.
Status renameEntry(mlir::ModuleOp module, const std::string &entry);
/// Moves all functions to the end of `to`.
void moveFunctions(mlir::ModuleOp from, mlir::ModuleOp to);
/// Weights of equal types and bytes become one, whichever files they come from; so what is made of them is shared too.
Status shareWeights(mlir::ModuleOp module, const WeightStore &weights);

} // namespace kiln
