// From ops of the kiln dialect to the Problem they are. Values are renumbered, symbols renamed in first-use order,
// single elements and short integer lists become literals, other constants become const inputs; node names do not
// survive.
#pragma once

#include "codegen/problem/Problem.h"

#include "mlir/IR/Operation.h"
#include "mlir/IR/Value.h"

#include <vector>

namespace kiln {

class SizeTable;

struct RegionProblem {
  Problem problem;                 ///< canonical
  std::vector<mlir::Value> inputs; ///< the value behind each of problem.inputs()
  /// Of a kiln.kernel: the operand that is each of problem.inputs(). A value may be several operands.
  std::vector<unsigned> inputOrder;
  std::vector<SizeExpr> sizes; ///< the value of each of problem.symbols(), over the function's symbols
};

/// Whether a constant becomes a literal of the problem text: single elements and short integer lists, unless an op
/// takes them as weights.
bool isLiteralConstant(mlir::Value constant);

/// The problem of `ops` (in topological order) that computes `outputs`. With `table`, result sizes are related to the
/// inputs' as far as its definitions tell, and ranges are carried; without it that is left out, which is enough to ask
/// about one op by itself.
Result<RegionProblem> problemOf(llvm::ArrayRef<mlir::Operation *> ops, llvm::ArrayRef<mlir::Value> outputs,
                                const SizeTable *table = nullptr, Precision precision = Precision::Default);
/// The problem of a kiln.kernel's body; `inputs` are operands of the kernel.
Result<RegionProblem> problemOf(mlir::Operation *kernel, const SizeTable *table = nullptr,
                                Precision precision = Precision::Default);

/// How much work an op by itself is, over the symbols of its function: floating-point operations and bytes. Nothing
/// where it has sizes without a symbol.
struct OpWork {
  SizeExpr flops, bytes;
};
std::optional<OpWork> workOf(mlir::Operation *op);

} // namespace kiln
