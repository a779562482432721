#include "dialects/kiln/Reduce.h"

#include "dialects/kiln/ShapeRules.h"
#include "mlir/IR/OpImplementation.h"

using namespace mlir;

namespace kiln {

static Dims reducedDims(const Dims &dims, ArrayRef<int64_t> axes, bool keep) {
  Dims result;
  for (auto [i, dim] : llvm::enumerate(dims))
    if (!llvm::is_contained(axes, int64_t(i)))
      result.push_back(dim);
    else if (keep)
      result.push_back(1);
  return result;
}

static Status checkKind(StringRef kind) {
  static constexpr llvm::StringLiteral kinds[] = {"sum", "mean", "max",        "min",     "prod",
                                                  "l1",  "l2",   "sum_square", "log_sum", "log_sum_exp"};
  if (!llvm::is_contained(kinds, kind))
    return makeError(ErrorCode::E0411, "reduction kind '", kind.str(), "' is unknown");
  return Status();
}

Result<ResultShapes> ReduceOp::inferShapes(ShapeContext &context) {
  KILN_TRY(checkKind(getKind()));
  Dims dims = getDims(getX());
  int64_t previous = -1;
  for (int64_t axis : getAxes()) {
    if (axis < 0 || axis >= int64_t(dims.size()))
      return makeError(ErrorCode::E0412, "axis ", axis, " is out of range for rank ", dims.size());
    if (axis <= previous)
      return makeError(axis == previous ? ErrorCode::E0413 : ErrorCode::E0411, "axes must be sorted, each once");
    previous = axis;
  }
  return one(reducedDims(dims, getAxes(), getKeepdims()), elementTypeOf(getX()));
}

std::optional<SizeValues> ReduceOp::inferSizeValues(ShapeContext &context) {
  if (getRank(getX().getType()) != 1 || getAxes().size() != 1)
    return std::nullopt;
  auto values = context.values(getX());
  static constexpr llvm::StringLiteral followed[] = {"prod", "sum", "max", "min"};
  if (!values || values->empty() || !llvm::is_contained(followed, getKind()))
    return std::nullopt;
  SizeExpr result = values->front();
  for (const SizeExpr &value : llvm::drop_begin(*values)) {
    if (getKind() == "prod")
      result = result * value;
    else if (getKind() == "sum")
      result = result + value;
    else if (getKind() == "max")
      result = SizeExpr::max(result, value);
    else
      result = SizeExpr::min(result, value);
  }
  return SizeValues{result};
}

Result<ResultShapes> ReduceAlongOp::inferShapes(ShapeContext &) {
  KILN_TRY(checkKind(getKind()));
  Dims dims = getDims(getX());
  KILN_ASSIGN(int64_t count, staticLength(getAxes(), "axes"));
  if (count > int64_t(dims.size()))
    return makeError(ErrorCode::E0413, count, " axes of an operand of rank ", dims.size(), ": one is given twice");
  if (count == 0)
    return one(dims, elementTypeOf(getX()));
  if (count == int64_t(dims.size()))
    return one(getKeepdims() ? Dims(count, SizeExpr(1)) : Dims(), elementTypeOf(getX()));
  Dims unknown(getKeepdims() ? dims.size() : dims.size() - size_t(count), SizeExpr::invalid());
  return ResultShapes{{unknown, elementTypeOf(getX()), getKeepdims() ? dims : Dims()}};
}

Result<ResultShapes> inferCumulative(Operation *op, ShapeContext &) {
  Value x = op->getOperand(0);
  Dims dims = getDims(x);
  auto axis = op->getAttrOfType<IntegerAttr>("axis");
  if (op->getNumOperands() < 2)
    KILN_TRY(normalizeAxis(axis ? axis.getInt() : 0, dims.size()).status());
  else if (Value along = op->getOperand(1); !elementTypeOf(along).isInteger() || getRank(along.getType()) > 1)
    return makeError(ErrorCode::E0305, "the axis must be an integer");
  if (elementTypeOf(x).isInteger(1))
    return makeError(ErrorCode::E0305, "the operand must hold numbers");
  return one(dims, elementTypeOf(x));
}

Result<ResultShapes> TopkOp::inferShapes(ShapeContext &context) {
  Dims dims = getDims(getX()), upperBounds(dims.size(), SizeExpr::invalid());
  KILN_ASSIGN(int64_t axis, normalizeAxis(getAxis(), dims.size()));
  if (elementTypeOf(getX()).isInteger(1))
    return makeError(ErrorCode::E0305, "the operand must hold numbers");
  SizeExpr k{int64_t(getK())}, size = dims[axis];
  if (Value count = getCount()) {
    KILN_ASSIGN(k, oneInteger(context, count, "k"));
  }
  upperBounds[axis] = size;
  dims[axis] = k;
  if (!k.isInvalid() && !size.isInvalid()) {
    if (k.isConstant() && (k.constant() < 0 || (size.isConstant() && k.constant() > size.constant())))
      return makeError(ErrorCode::E0411, "k is ", k.constant(), ", but dim ", axis, " is ", size.print());
    if (context.lowerBound(k).value_or(-1) < 0)
      KILN_TRY(context.requireNotNegative(k));
    if (k.isConstant())
      KILN_TRY(context.requireAtLeast(size, k.constant()));
    else if (context.lowerBound(size - k).value_or(-1) < 0)
      KILN_TRY(context.requireNotNegative(size - k));
  }
  SmallVector<int, 4> count(dims.size(), -1);
  count[axis] = 0;
  return ResultShapes{{dims, elementTypeOf(getX()), upperBounds, count},
                      {dims, IntegerType::get(getContext(), 64), upperBounds, count}};
}

Result<ResultShapes> inferArgReduce(Operation *op, ShapeContext &context) {
  Dims dims = getDims(op->getOperand(0));
  auto attribute = op->getAttrOfType<IntegerAttr>("axis");
  KILN_ASSIGN(int64_t axis, normalizeAxis(attribute ? attribute.getInt() : 0, dims.size()));
  auto keep = op->getAttrOfType<IntegerAttr>("keepdims");
  return one(reducedDims(dims, axis, !keep || keep.getInt()), IntegerType::get(op->getContext(), 64));
}

Result<ResultShapes> inferSoftmax(Operation *op, ShapeContext &context) {
  Value x = op->getOperand(0);
  KILN_TRY(normalizeAxis(op->getAttrOfType<IntegerAttr>("axis").getInt(), getRank(x.getType())).status());
  if (!isa<FloatType>(elementTypeOf(x)))
    return makeError(ErrorCode::E0305, "the operand must be of a floating-point type");
  return one(getDims(x), elementTypeOf(x));
}

} // namespace kiln

#define GET_OP_CLASSES
#include "dialects/kiln/Reduce.cpp.inc"
