// Values inside a model that a caller wants to see: they become outputs of the function, after its own.
#pragma once

#include "runtime/base/Status.h"

#include "mlir/IR/BuiltinOps.h"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kiln {

/// The error of a name that stands for nothing, with the nearest of those that do (E0501).
Status unknownValue(std::string_view name, const std::vector<std::string> &known);

/// For IR text, whose values have no names of their own: a name is that of a model node and stands for the result of
/// the node's last op (NAME:1, NAME:2 ... for more results); an input's name stands for the input. Names that outputs
/// have already add nothing.
Status addExtraOutputs(mlir::ModuleOp module, std::span<const std::string> names);

} // namespace kiln
