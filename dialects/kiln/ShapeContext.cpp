#include "dialects/kiln/ShapeContext.h"

#include "dialects/kiln/Build.h"
#include "dialects/kiln/Dialect.h"
#include "dialects/kiln/Ops.h"
#include "dialects/kiln/ShapeRules.h"

#include "mlir/IR/TypeUtilities.h"

using namespace mlir;

namespace kiln {

const SizeTable &ShapeContext::facts() const {
  static const SizeTable none;
  return table ? *table : none;
}

Status ShapeContext::requireEqual(const SizeExpr &a, const SizeExpr &b) {
  return table ? table->requireEqual(a, b) : facts().mayBeEqual(a, b);
}

Status ShapeContext::requireAtLeast(const SizeExpr &size, int64_t least) {
  auto name = size.asSymbol();
  const SizeTable::Symbol *symbol = name ? facts().find(*name) : nullptr;
  if (!symbol || symbol->dataDependent)
    return Status();
  return table->constrain(*name, least, SizeTable::unbounded);
}

Status ShapeContext::requireNotNegative(const SizeExpr &expr) {
  return table ? table->requireNotNegative(expr) : Status();
}

Result<Dims> ShapeContext::broadcast(ArrayRef<SizeExpr> a, ArrayRef<SizeExpr> b) {
  if (a.size() < b.size())
    std::swap(a, b);
  Dims result(a.begin(), a.end());
  for (auto [dim, other] : llvm::zip(llvm::drop_begin(result, a.size() - b.size()), b))
    if (table) {
      KILN_ASSIGN(dim, table->broadcast(dim, other));
    } else {
      KILN_ASSIGN(std::optional<SizeExpr> met, facts().knownBroadcast(dim, other));
      dim = met.value_or(dim.isConstant() ? dim : other.isConstant() ? other : SizeExpr::invalid());
    }
  return result;
}

std::optional<SizeValues> ShapeContext::values(Value value) {
  constexpr int maxDepth = 200;
  if (depth == 0) {
    tooDeep = false;
    if (!remembers)
      known.clear();
  }
  if (auto it = known.find(value); it != known.end())
    return it->second;
  if (depth >= maxDepth) {
    tooDeep = true;
    return std::nullopt;
  }
  ++depth;
  std::optional<SizeValues> result = computeValues(value);
  --depth;
  if (!tooDeep)
    known.try_emplace(value, result);
  return result;
}

std::optional<SizeValues> ShapeContext::computeValues(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type || !type.getElementType().isInteger())
    return std::nullopt;
  if (type.hasStaticShape()) {
    auto count = elementCount(std::span<const int64_t>(type.getShape().data(), type.getRank()));
    if (!count || *count > maxValues)
      return std::nullopt;
  }
  auto op = value.getDefiningOp<KilnOpInterface>();
  if (!op || (!table && !isConstant(value)))
    return std::nullopt;
  std::optional<SizeValues> result = op.inferSizeValues(*this);
  if (result && llvm::any_of(*result, [](const SizeExpr &e) { return e.isInvalid(); }))
    return std::nullopt;
  return result;
}

SizeValues ShapeContext::someValues(Value value, size_t count) {
  if (std::optional<SizeValues> all = values(value))
    return *all;
  SizeValues some;
  if (auto cast = value.getDefiningOp<CastOp>(); cast && cast.getType().getElementType().isInteger(64))
    some = someValues(cast.getX(), count);
  if (auto concat = value.getDefiningOp<ConcatOp>())
    for (Value x : concat.getXs()) {
      std::optional<int64_t> length = getDims(x)[0].asConstant();
      if (!length || *length > maxValues)
        break;
      some.append(someValues(x, size_t(*length)));
    }
  return some.size() == count ? some : SizeValues(count, SizeExpr::invalid());
}

std::optional<SmallVector<int64_t>> ShapeContext::constantValues(Value value) {
  auto known = values(value);
  if (!known)
    return std::nullopt;
  SmallVector<int64_t> result;
  for (const SizeExpr &expr : *known) {
    auto constant = expand(expr).asConstant();
    if (!constant)
      return std::nullopt;
    result.push_back(*constant);
  }
  return result;
}

SmallVector<RankedTensorType, 1> nameResults(const ResultShapes &shapes, SizeTable &sizes) {
  SmallVector<RankedTensorType, 1> types;
  std::map<int, SizeExpr> shared;
  for (const ResultShape &shape : shapes) {
    Dims dims = shape.dims;
    for (auto [d, dim] : llvm::enumerate(dims)) {
      int number = shape.sharedSize(d);
      if (!dim.isInvalid() || number < 0)
        continue;
      auto [known, isNew] = shared.try_emplace(number);
      if (isNew)
        known->second = sizes.fresh(d < shape.upperBounds.size() ? std::optional(shape.upperBounds[d]) : std::nullopt);
      dim = known->second;
    }
    types.push_back(sizes.tensorType(dims, shape.elementType, shape.upperBounds));
  }
  return types;
}

LogicalResult verifyByShapeRule(Operation *op) {
  ShapeContext context;
  Result<ResultShapes> inferred = cast<KilnOpInterface>(op).inferShapes(context);
  if (!inferred.ok())
    return op->emitOpError(formatError(inferred.status()));
  if (inferred->size() != op->getNumResults())
    return op->emitOpError("has the wrong number of results");
  for (auto [expected, actual] : llvm::zip(*inferred, op->getResultTypes())) {
    RankedTensorType want = makeTensorType(expected.dims, expected.elementType);
    auto have = dyn_cast<RankedTensorType>(actual);
    if (!have || succeeded(verifyCompatibleShape(want, have)) == false ||
        want.getElementType() != have.getElementType())
      return op->emitOpError("has result type ") << actual << " but its shape rule gives " << want;
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
