// The model node that an op comes from, by its location.
#pragma once

#include "mlir/IR/Location.h"

#include <string>

namespace kiln {

/// The model node's name that a location carries: of a fused op, that of its first part. Empty when there is none.
std::string nodeName(mlir::Location location);

} // namespace kiln
