// Shape rules that several ops share. Internal to the dialect.
#pragma once

#include "dialects/kiln/Dialect.h"
#include "dialects/kiln/ShapeContext.h"

namespace kiln {

/// The element type of an elementwise result; see ElementRule in Elementwise.td.
enum class ElementRule { Same, Bool, Where, Cast };

Result<ResultTypes> inferElementwise(mlir::Operation *op, ShapeContext &context, ElementRule rule);
std::optional<SizeValues> elementwiseSizeValues(mlir::Operation *op, ShapeContext &context);
Result<ResultTypes> inferArgReduce(mlir::Operation *op, ShapeContext &context);
Result<ResultTypes> inferSoftmax(mlir::Operation *op, ShapeContext &context);
Result<ResultTypes> inferNorm(mlir::Operation *op, ShapeContext &context);
Result<ResultTypes> inferPool(mlir::Operation *op, ShapeContext &context);

/// `axis` in 0..rank-1.
Result<int64_t> normalizeAxis(int64_t axis, int64_t rank);
mlir::Type elementTypeOf(mlir::Value value);
/// Dims of a static list of integers, e.g. for results that are i64 vectors.
std::string printDims(llvm::ArrayRef<SizeExpr> dims);
inline ResultTypes one(mlir::Type type) { return ResultTypes{type}; }

/// Size of one dim after slicing [start, end) by `step` with numpy's clamping.
Result<SizeExpr> sliceSize(SizeTable &table, const SizeExpr &dim, const SizeExpr &start, const SizeExpr &end,
                           int64_t step);

} // namespace kiln
