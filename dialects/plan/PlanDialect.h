// The `plan` dialect: the host program of a compiled model (see PlanDialect.td).

#pragma once

#include "runtime/base/DType.h"
#include "runtime/base/KernelInterface.h"
#include "runtime/base/SizeExpr.h"

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/RegionKindInterface.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/plan/PlanDialect.h.inc"

#define GET_TYPEDEF_CLASSES
#include "dialects/plan/PlanTypes.h.inc"

#define GET_OP_CLASSES
#include "dialects/plan/PlanOps.h.inc"

namespace kiln::plan_ir {

/// On a program none of whose buffers may share bytes.
inline constexpr llvm::StringLiteral noReuseAttrName = "plan.no_reuse";

/// Reads a size expression of a plan attribute; verified IR always holds parsable ones.
SizeExpr sizeOf(mlir::StringAttr text);
SizeExpr sizeOf(llvm::StringRef text);

/// The memory that a view lies in: follows `plan.alias` to the input, output, state, constant or alloc
/// below it.
mlir::Value rootOf(mlir::Value view);
/// Whether a view's memory may not be written: that of an input, a constant, or a state without `writes`.
bool isReadOnly(mlir::Value view);

} // namespace kiln::plan_ir
