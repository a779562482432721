// What passes may ask of code generation. Passes never see codegen: they ask this interface, which codegen implements
// over its families and the compiler injects into the dialect (KilnDialect::oracle). Answers are functions of the
// arguments alone, so passes stay deterministic.
#pragma once

#include "runtime/base/SizeExpr.h"
#include "runtime/base/Status.h"

#include "mlir/IR/Operation.h"
#include "mlir/IR/Value.h"

#include <optional>
#include <string>
#include <vector>

namespace kiln {

class SizeTable;

/// A way to run some ops as one kernel.
struct Implementation {
  std::string family;
  std::string problem; ///< canonical text
  std::string config;
  double seconds = 0; ///< its price: of a call on one core, at nominal sizes; estimated, or measured by a tuning run
  std::string source; ///< who chose it: "forced", "random", "cache" or "default", and why the cache did not
};

/// The implementation of one kernel.
struct KernelChoice : Implementation {
  std::string interface; ///< text of the KernelInterface
  /// Operand i of the kernel is to be what operand `inputOrder[i]` is now: the order of the problem's inputs.
  std::vector<unsigned> inputOrder;
  /// Values of the problem's symbols d0, d1 ... over the function's symbols.
  std::vector<SizeExpr> sizes;
};

class KernelOracle {
public:
  virtual ~KernelOracle() = default;

  /// How `ops` (in topological order, not nested) would run as one kernel that computes `outputs` (results of `ops`),
  /// the best first; nothing where no family claims that. `sizes` is the table of the function, by which `choose` will
  /// see the same problem.
  virtual std::vector<Implementation> propose(llvm::ArrayRef<mlir::Operation *> ops,
                                              llvm::ArrayRef<mlir::Value> outputs, const SizeTable &sizes) = 0;
  /// Whether a constant (result of kiln.constant) stands in the kernel's problem text as a literal instead of being a
  /// kernel operand: single elements and short lists of integers. Kernel forming moves those into the region.
  virtual bool isLiteral(mlir::Value constant) = 0;
  /// The layout ("nhwc") that a convolution or pool in another one would run better in, if any.
  virtual std::optional<std::string> layoutPreference(mlir::Operation *op) = 0;
  /// Floating-point operations of one op at nominal sizes.
  virtual double flops(mlir::Operation *op) = 0;
  /// Problem and implementation of a formed kernel (a kiln.kernel with its family set); `sizes` as for `propose`.
  virtual Result<KernelChoice> choose(mlir::Operation *kernel, const SizeTable &sizes) = 0;
};

} // namespace kiln
