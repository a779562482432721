// What a size must keep to so that everything after may count with it.

#pragma once

#include "runtime/base/Status.h"

#include "mlir/IR/BuiltinOps.h"

namespace kiln {

/// Refuses tensors of more dims than plans hold (E0207), or of a known size that no memory holds (E0308): the first one
/// is named by its node or input.
Status checkTensorSizes(mlir::ModuleOp module);

} // namespace kiln
