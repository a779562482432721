// Moves a reshape from an operand of an elementwise op to its result:
//
//   op(reshape(x), y, ...)   ->   reshape(op(x, y', ...))
//
// where y' is y, or y under other dims.
#pragma once

#include "mlir/IR/Builders.h"

namespace kiln {

/// Whether that can be: the reshape gives the result's dims, and each other operand has one element, or varies only
/// along trailing dims that the reshape leaves alone, or has all of the result's dims and may be reshaped itself, which
/// `mayReshape` says.
bool mayMoveBelow(mlir::Operation *op, mlir::Value reshaped, llvm::function_ref<bool(mlir::Value)> mayReshape);
/// Does it, at the builder's place; gives what is to replace the op's result.
mlir::Value moveBelow(mlir::OpBuilder &builder, mlir::Operation *op, mlir::Value reshaped);

} // namespace kiln
