// Sizes that only data tells, in a function that is to become a program: who tells them, and the error where nobody
// does.
#pragma once

#include "dialects/kiln/SizeTable.h"
#include "runtime/base/Status.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace kiln {

/// Whether the size is that of values which steps return and take, and nothing else needs to know it.
bool isToldBySteps(mlir::Block &block, llvm::StringRef size, const SizeTable &sizes);
/// The error else: which dim of which op, where `place` then is, and which inputs decide it.
Status dependsOnData(mlir::func::FuncOp function, llvm::StringRef size, mlir::Location &place);

} // namespace kiln
