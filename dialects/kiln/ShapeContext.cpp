#include "dialects/kiln/ShapeContext.h"

#include "dialects/kiln/Build.h"
#include "dialects/kiln/Dialect.h"
#include "dialects/kiln/Movement.h"
#include "dialects/kiln/ShapeRules.h"

#include "mlir/IR/TypeUtilities.h"

using namespace mlir;

namespace kiln {

std::optional<SizeValues> ShapeContext::values(Value value) {
  constexpr int maxDepth = 200, maxVisited = 20000;
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type || !type.getElementType().isInteger())
    return std::nullopt;
  if (type.hasStaticShape()) {
    auto count = elementCount(std::span<const int64_t>(type.getShape().data(), type.getRank()));
    if (!count || *count > maxValues)
      return std::nullopt;
  }
  auto op = value.getDefiningOp<KilnOpInterface>();
  if (!op || (!withValues && !isConstant(value)))
    return std::nullopt;
  if (depth == 0)
    visited = 0;
  if (depth >= maxDepth || ++visited > maxVisited)
    return std::nullopt;
  ++depth;
  std::optional<SizeValues> result = op.inferSizeValues(*this);
  --depth;
  if (result && llvm::any_of(*result, [](const SizeExpr &e) { return e.isInvalid(); }))
    return std::nullopt;
  return result;
}

std::optional<SmallVector<int64_t>> ShapeContext::constantValues(Value value) {
  auto known = values(value);
  if (!known)
    return std::nullopt;
  SmallVector<int64_t> result;
  for (const SizeExpr &expr : *known) {
    auto constant = table.expand(expr).asConstant();
    if (!constant)
      return std::nullopt;
    result.push_back(*constant);
  }
  return result;
}

LogicalResult verifyByShapeRule(Operation *op) {
  SizeTable scratch;
  ShapeContext context(scratch, /*withValues=*/false);
  Result<ResultTypes> inferred = cast<KilnOpInterface>(op).inferShapes(context);
  if (!inferred.ok())
    return op->emitOpError(formatError(inferred.status()));
  if (inferred->size() != op->getNumResults())
    return op->emitOpError("has the wrong number of results");
  for (auto [expected, actual] : llvm::zip(*inferred, op->getResultTypes())) {
    auto want = cast<RankedTensorType>(expected);
    auto have = dyn_cast<RankedTensorType>(actual);
    if (!have || succeeded(verifyCompatibleShape(want, have)) == false ||
        want.getElementType() != have.getElementType())
      return op->emitOpError("has result type ") << actual << " but its shape rule gives " << expected;
  }
  return success();
}

Result<int64_t> normalizeAxis(int64_t axis, int64_t rank) {
  if (axis < -rank || axis >= rank)
    return makeError(ErrorCode::E0412, "axis ", axis, " is out of range for rank ", rank, "; expected ", -rank, "..",
                     rank - 1);
  return axis < 0 ? axis + rank : axis;
}

Type elementTypeOf(Value value) { return cast<RankedTensorType>(value.getType()).getElementType(); }

std::string printDims(ArrayRef<SizeExpr> dims) {
  std::string text = "[";
  for (auto [i, dim] : llvm::enumerate(dims))
    text += (i ? "," : "") + (dim.isInvalid() ? std::string("?") : dim.print());
  return text + "]";
}

} // namespace kiln
