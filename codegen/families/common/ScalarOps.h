// Elementwise ops as code: which ones generated kernels know, for which element types, and their emission.
#pragma once

#include "codegen/emit/ScalarEmitter.h"
#include "codegen/problem/Problem.h"

namespace kiln {

/// Whether `mnemonic` is an elementwise op that has a scalar body.
bool isScalarOp(std::string_view mnemonic);

/// Whether generated code can do this elementwise op on these element types.
bool supportsScalarOp(const Problem &problem, const Problem::Op &op);

/// Rough instructions per vector: 1 for an addition, tens for transcendental functions.
int scalarOpCost(const Problem::Op &op);

/// The result, in register form, of `op` on operands in register form.
mlir::Value emitScalarOp(emit::ScalarEmitter &e, const Problem &problem, const Problem::Op &op,
                         llvm::ArrayRef<mlir::Value> operands);

} // namespace kiln
