// What a shape rule sees and says: the dims and symbolic values of operands and what is known of sizes; the dims of
// results.
#pragma once

#include "dialects/kiln/FusionRole.h"
#include "dialects/kiln/SizeTable.h"
#include "mlir/IR/Operation.h"
#include "llvm/ADT/DenseMap.h"

#include <optional>

namespace kiln {

/// What a shape rule says of one result.
struct ResultShape {
  Dims dims; ///< expressions over the symbols that the operands' types name; invalid where only data tells
  mlir::Type elementType;
  Dims upperBounds; ///< of the dims that only data tells, invalid where there is none; may be empty
  /// Of the dims that only data tells: a number, equal for those that are one size, also of several results; -1: of no
  /// other. Empty: all are sizes of their own.
  llvm::SmallVector<int, 4> sharedSizes = {};

  int sharedSize(size_t dim) const { return dim < sharedSizes.size() ? sharedSizes[dim] : -1; }
};
using ResultShapes = llvm::SmallVector<ResultShape, 1>;
/// The types of an op's results; dims that only data tells get their names.
llvm::SmallVector<mlir::RankedTensorType, 1> nameResults(const ResultShapes &shapes, SizeTable &sizes);
/// The elements of a small integer or bool tensor, row-major.
using SizeValues = llvm::SmallVector<SizeExpr, 4>;

class ShapeContext {
public:
  /// Sizes are those of `table`, which learns what rules require of them. Nothing is named in it.
  explicit ShapeContext(SizeTable &table) : table(&table) {}
  /// Sizes as the operands' types name them, nothing known of any, and values that are no constants unknown: for a
  /// verifier, and for who wants a result's dims over the operands' own.
  ShapeContext() = default;

  /// `expr` over symbols that have no definition.
  SizeExpr expand(const SizeExpr &expr) const { return facts().expand(expr); }
  /// SizeTable::lowerBound.
  std::optional<int64_t> lowerBound(const SizeExpr &expr) const { return facts().lowerBound(expr); }

  /// SizeTable::requireEqual; without a table an error where the sizes surely differ.
  Status requireEqual(const SizeExpr &a, const SizeExpr &b);
  /// Has the table check that a size of its own is not below `least`.
  Status requireAtLeast(const SizeExpr &size, int64_t least);
  /// SizeTable::requireNotNegative; nothing without a table.
  Status requireNotNegative(const SizeExpr &expr);
  /// What dims of any two ranks broadcast to, aligned at the last; an error where they surely do not. Without a table a
  /// dim is invalid where only what is known of sizes would tell.
  Result<Dims> broadcast(llvm::ArrayRef<SizeExpr> a, llvm::ArrayRef<SizeExpr> b);

  /// The elements of `value` where they are known as expressions; nothing beyond `maxValues` elements.
  std::optional<SizeValues> values(mlir::Value value);
  /// The same one by one, of a vector of `count` elements: invalid where not known, as where a size that data tells is
  /// joined with others.
  SizeValues someValues(mlir::Value value, size_t count);
  /// The elements if all of them are constants.
  std::optional<llvm::SmallVector<int64_t>> constantValues(mlir::Value value);
  /// Keeps the answers of values() from one query to the next: for who erases no op while it asks.
  void rememberValues() { remembers = true; }

  static constexpr int64_t maxValues = 256;

private:
  const SizeTable &facts() const;
  std::optional<SizeValues> computeValues(mlir::Value value);

  SizeTable *table = nullptr;
  llvm::DenseMap<mlir::Value, std::optional<SizeValues>> known; // by values(), of this query or of all
  bool remembers = false;
  int depth = 0;
  bool tooDeep = false; // the query under way met its limit: what it found is not all there is
};

/// Runs the op's shape rule without a table and compares ranks, element types and known sizes with the result types.
llvm::LogicalResult verifyByShapeRule(mlir::Operation *op);

/// Whether running `op` may tell a size (DataSizes.h), as far as the op alone shows. Types elsewhere may name the size,
/// so nobody but DeadCode removes such an op.
bool mayTellSize(mlir::Operation *op);

} // namespace kiln
