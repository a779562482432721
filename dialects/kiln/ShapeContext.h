// What a shape rule sees: the dims and symbolic values of operands, and the size table in which results are named.
#pragma once

#include "dialects/kiln/SizeTable.h"
#include "mlir/IR/Operation.h"

#include <optional>

namespace kiln {

/// How an op may take part in a kernel.
enum class FusionRole {
  Elementwise, ///< one result element from one element of each operand
  Reduction,   ///< reduces, then possibly maps back (softmax, norms)
  Contraction, ///< matmul, convolution, attention
  Window,      ///< pooling
  Movement,    ///< elements change place
  View,        ///< the same bytes under other dims
  Source,      ///< no tensor data is read: constants, shapes, ranges
  Structure,   ///< kernel regions
};

using ResultTypes = llvm::SmallVector<mlir::Type, 1>;
/// The elements of a small integer or bool tensor, row-major.
using SizeValues = llvm::SmallVector<SizeExpr, 4>;

class ShapeContext {
public:
  /// Without `withValues`, values that are no constants count as unknown: what a verifier wants.
  explicit ShapeContext(SizeTable &table, bool withValues = true) : table(table), withValues(withValues) {}

  SizeTable &sizes() { return table; }

  /// The elements of `value` where they are known as expressions; nothing beyond `maxValues` elements.
  std::optional<SizeValues> values(mlir::Value value);
  /// The elements if all of them are constants.
  std::optional<llvm::SmallVector<int64_t>> constantValues(mlir::Value value);

  /// The result type of interned dims.
  mlir::Type tensor(llvm::ArrayRef<SizeExpr> dims, mlir::Type elementType) {
    return table.tensorType(dims, elementType);
  }

  static constexpr int64_t maxValues = 256;

private:
  SizeTable &table;
  bool withValues;
  int depth = 0;
  int visited = 0; // ops looked at in the outermost query: a hostile graph could be exponential as a tree
};

/// Runs the op's shape rule on a scratch table and compares ranks, element types and known sizes with the result types.
llvm::LogicalResult verifyByShapeRule(mlir::Operation *op);

} // namespace kiln
