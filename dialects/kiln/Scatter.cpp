// Shape rules of the ops of Movement.td that write at positions given as data.
#include "dialects/kiln/Movement.h"
#include "dialects/kiln/ShapeRules.h"

using namespace mlir;

namespace kiln {

/// What both scatters ask of their operands' types and of `reduction`.
static Status checkScatter(Value x, Value indices, Value updates, StringRef reduction) {
  static constexpr llvm::StringLiteral reductions[] = {"none", "add", "mul", "min", "max"};
  if (!llvm::is_contained(reductions, reduction))
    return makeError(ErrorCode::E0411, "reduction '", reduction.str(), "' is unknown");
  if (!elementTypeOf(indices).isInteger())
    return makeError(ErrorCode::E0305, "indices must be integers");
  if (elementTypeOf(updates) != elementTypeOf(x))
    return makeError(ErrorCode::E0305, "operand and updates have different element types");
  return Status();
}

Result<ResultShapes> ScatterElementsOp::inferShapes(ShapeContext &context) {
  Dims x = getDims(getX()), indices = getDims(getIndices()), updates = getDims(getUpdates());
  KILN_TRY(checkScatter(getX(), getIndices(), getUpdates(), getReduction()));
  KILN_TRY(normalizeAxis(getAxis(), x.size()).status());
  if (indices.size() != x.size() || updates.size() != x.size())
    return makeError(ErrorCode::E0304, "operand ", printDims(x), ", indices ", printDims(indices), " and updates ",
                     printDims(updates), " differ in rank");
  for (size_t i = 0; i < x.size(); ++i)
    KILN_TRY(context.requireEqual(indices[i], updates[i])
                 .withContext("dim " + std::to_string(i) + " of indices and updates: "));
  return one(x, elementTypeOf(getX()));
}

Result<ResultShapes> ScatterNdOp::inferShapes(ShapeContext &context) {
  Dims x = getDims(getX()), indices = getDims(getIndices()), updates = getDims(getUpdates());
  KILN_TRY(checkScatter(getX(), getIndices(), getUpdates(), getReduction()));
  // The ranks say how many dims of x a tuple selects.
  int64_t outer = int64_t(indices.size()) - 1, tuple = outer + int64_t(x.size()) - int64_t(updates.size());
  if (outer < 0 || tuple < 1 || tuple > int64_t(x.size()))
    return makeError(ErrorCode::E0304, "indices ", printDims(indices), " and updates ", printDims(updates),
                     " do not fit ", printDims(x));
  KILN_TRY(context.requireEqual(indices.back(), SizeExpr(tuple)).withContext("length of index tuples: "));
  for (int64_t i = 0; i < int64_t(updates.size()); ++i)
    KILN_TRY(context.requireEqual(updates[i], i < outer ? indices[i] : x[tuple + i - outer])
                 .withContext("dim " + std::to_string(i) + " of updates: "));
  return one(x, elementTypeOf(getX()));
}

Result<ResultShapes> ReverseSequenceOp::inferShapes(ShapeContext &context) {
  Dims x = getDims(getX()), lengths = getDims(getLengths());
  KILN_ASSIGN(int64_t batch, normalizeAxis(getBatchAxis(), x.size()));
  KILN_ASSIGN(int64_t time, normalizeAxis(getTimeAxis(), x.size()));
  if (batch == time)
    return makeError(ErrorCode::E0413, "batch_axis and time_axis are the same");
  if (lengths.size() != 1 || !elementTypeOf(getLengths()).isInteger())
    return makeError(ErrorCode::E0304, "lengths must be a vector of integers");
  KILN_TRY(context.requireEqual(lengths[0], x[batch]).withContext("lengths: "));
  return one(x, elementTypeOf(getX()));
}

} // namespace kiln
