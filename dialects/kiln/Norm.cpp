#include "dialects/kiln/Norm.h"

#include "dialects/kiln/ShapeRules.h"
#include "mlir/IR/OpImplementation.h"

using namespace mlir;

namespace kiln {

/// Every parameter is a vector with one element per entry of dim `axis`.
static Status checkChannelVectors(Operation *op, ShapeContext &context, int64_t axis) {
  SizeExpr channels = getDims(op->getOperand(0))[axis];
  for (Value parameter : op->getOperands().drop_front()) {
    Dims dims = getDims(parameter);
    if (dims.size() != 1)
      return makeError(ErrorCode::E0304, "parameters must be vectors, not ", printDims(dims));
    KILN_TRY(context.requireEqual(dims[0], channels).withContext("parameter and channels: "));
  }
  return Status();
}

/// Every parameter broadcasts to the dims from `axis` on.
static Status checkTrailing(Operation *op, ShapeContext &context, int64_t axis) {
  Dims dims = getDims(op->getOperand(0));
  for (Value parameter : op->getOperands().drop_front()) {
    Dims have = getDims(parameter);
    if (have.size() > dims.size() - axis)
      return makeError(ErrorCode::E0304, "parameter ", printDims(have), " has more dims than are normalised");
    for (size_t i = 0; i < have.size(); ++i)
      if (!have[i].isConstant(1))
        KILN_TRY(context.requireEqual(have[i], dims[dims.size() - have.size() + i]).withContext("parameter: "));
  }
  return Status();
}

Result<ResultShapes> inferNorm(Operation *op, ShapeContext &context) {
  Value x = op->getOperand(0);
  int64_t rank = getRank(x.getType());
  if (!isa<FloatType>(elementTypeOf(x)))
    return makeError(ErrorCode::E0305, "the operand must be of a floating-point type");
  auto intAttr = [&](StringRef name, int64_t fallback) {
    auto attribute = op->getAttrOfType<IntegerAttr>(name);
    return attribute ? attribute.getInt() : fallback;
  };
  if (isa<LayerNormOp, RmsNormOp>(op)) {
    KILN_ASSIGN(int64_t axis, normalizeAxis(intAttr("axis", -1), rank));
    KILN_TRY(checkTrailing(op, context, axis));
  } else {
    KILN_ASSIGN(int64_t axis, normalizeAxis(isa<BatchNormOp>(op) ? intAttr("channel_axis", 1) : 1, rank));
    KILN_TRY(checkChannelVectors(op, context, axis));
    if (auto group = dyn_cast<GroupNormOp>(op)) {
      auto channels = getDims(x)[1].asConstant();
      int64_t groups = group.getGroups();
      if (groups < 1 || (channels && *channels % groups != 0))
        return makeError(ErrorCode::E0411, groups, " groups do not divide the channels");
    }
  }
  return one(getDims(x), elementTypeOf(x));
}

} // namespace kiln

#define GET_OP_CLASSES
#include "dialects/kiln/Norm.cpp.inc"
