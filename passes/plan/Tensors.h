// What planning asks of tensor types and ops.

#pragma once

#include "dialects/kiln/AttributeNames.h"
#include "dialects/kiln/Ops.h"
#include "dialects/kiln/SizeTable.h"
#include "dialects/plan/PlanDialect.h"

namespace kiln {

/// The view of memory that holds a tensor.
plan_ir::ViewType viewOf(mlir::Type tensor);

/// The tensor that has the memory of this one: the same elements, and perhaps more.
mlir::Value rootTensor(mlir::Value tensor);
/// The tensor that has the same elements in the same memory.
mlir::Value wholeTensor(mlir::Value tensor);

/// Bytes with every symbol of `sizes` at its nominal size; for heuristics.
int64_t nominalBytes(mlir::Type tensor, const SizeTable &sizes);

/// The estimated work of a host step, over the function's symbols (flopsAttrName, bytesAttrName).
void writeWork(mlir::Operation *op, const SizeExpr &flops, const SizeExpr &bytes);
SizeExpr readWork(mlir::Operation *op, llvm::StringRef name);

} // namespace kiln
