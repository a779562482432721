// Shape rules that several ops share. Internal to the dialect.
#pragma once

#include "dialects/kiln/Dialect.h"
#include "dialects/kiln/ShapeContext.h"

namespace kiln {

/// The element type of an elementwise result; see ElementRule in Elementwise.td.
enum class ElementRule { Same, Bool, Where, Cast };

Result<ResultShapes> inferElementwise(mlir::Operation *op, ShapeContext &context, ElementRule rule);
std::optional<SizeValues> elementwiseSizeValues(mlir::Operation *op, ShapeContext &context);
Result<ResultShapes> inferArgReduce(mlir::Operation *op, ShapeContext &context);
Result<ResultShapes> inferCumulative(mlir::Operation *op, ShapeContext &context);
Result<ResultShapes> inferSoftmax(mlir::Operation *op, ShapeContext &context);
Result<ResultShapes> inferNorm(mlir::Operation *op, ShapeContext &context);
Result<ResultShapes> inferPool(mlir::Operation *op, ShapeContext &context);

/// `axis` in 0..rank-1.
Result<int64_t> normalizeAxis(int64_t axis, int64_t rank);
mlir::Type elementTypeOf(mlir::Value value);
/// Dims of a static list of integers, e.g. for results that are i64 vectors.
std::string printDims(llvm::ArrayRef<SizeExpr> dims);
inline ResultShapes one(Dims dims, mlir::Type elementType) { return {{std::move(dims), elementType, {}}}; }

/// Number of elements of a vector of integers that steers an op: E0208 where it is not known, and at most 64.
Result<int64_t> staticLength(mlir::Value list, llvm::StringRef what);
/// The same of a vector of any numbers.
Result<int64_t> listLength(mlir::Value list, llvm::StringRef what);

/// The one integer that an operand steers an op by: invalid where only a run tells it.
Result<SizeExpr> oneInteger(ShapeContext &context, mlir::Value operand, llvm::StringRef what);

/// Size of one dim after slicing [start, end) by `step` with numpy's clamping.
Result<SizeExpr> sliceSize(ShapeContext &context, const SizeExpr &dim, const SizeExpr &start, const SizeExpr &end,
                           int64_t step);

} // namespace kiln
