// What planning asks of tensor types and ops.

#pragma once

#include "dialects/kiln/Ops.h"
#include "dialects/kiln/SizeTable.h"
#include "dialects/plan/PlanDialect.h"

namespace kiln {

/// Set by Place on host steps: "host".
inline constexpr llvm::StringLiteral placeAttrName = "kiln.place";

/// The name of an input or output, on arguments and results of the function.
inline constexpr llvm::StringLiteral nameAttrName = "kiln.name";

/// The name of a state, on the argument that is its value before a run and on the result that is its value after.
inline constexpr llvm::StringLiteral stateAttrName = "kiln.state";

/// The view of memory that holds a tensor.
plan_ir::ViewType viewOf(mlir::Type tensor);

/// Bytes with every symbol of `sizes` at its nominal size; for heuristics.
int64_t nominalBytes(mlir::Type tensor, const SizeTable &sizes);

/// The estimated work of a host step, over the function's symbols; attributes `kiln.flops` and `kiln.bytes`.
void writeWork(mlir::Operation *op, const SizeExpr &flops, const SizeExpr &bytes);
SizeExpr readWork(mlir::Operation *op, llvm::StringRef name);

/// Whether the op's result is its first operand's memory under other dims.
bool isView(mlir::Operation *op);

} // namespace kiln
