// Shapes, and values of sizes, of the ops that read no elements: shape, range and constant.
#include "dialects/kiln/Movement.h"

#include "dialects/kiln/Build.h"
#include "dialects/kiln/ShapeRules.h"

#include <cmath>

using namespace mlir;

namespace kiln {

/// The range of dims that a shape op yields.
static std::pair<int64_t, int64_t> shapeRange(ShapeOp op) {
  int64_t rank = getRank(op.getX().getType());
  auto clamp = [&](int64_t p) { return std::clamp<int64_t>(p < 0 ? std::max(p, -rank - 1) + rank : p, 0, rank); };
  int64_t start = clamp(op.getStart()), end = clamp(op.getEnd());
  return {start, std::max(start, end)};
}

Result<ResultShapes> ShapeOp::inferShapes(ShapeContext &context) {
  auto [start, end] = shapeRange(*this);
  return one({SizeExpr(end - start)}, IntegerType::get(getContext(), 64));
}

std::optional<SizeValues> ShapeOp::inferSizeValues(ShapeContext &context) {
  auto [start, end] = shapeRange(*this);
  Dims dims = getDims(getX());
  return SizeValues(dims.begin() + start, dims.begin() + end);
}

Result<ResultShapes> RangeOp::inferShapes(ShapeContext &context) {
  Type element = elementTypeOf(getStart());
  for (Value operand : getOperands()) {
    if (elementTypeOf(operand) != element)
      return makeError(ErrorCode::E0305, "operands have different element types");
    auto type = cast<RankedTensorType>(operand.getType());
    if (type.getRank() != 0 && (!type.hasStaticShape() || type.getNumElements() != 1))
      return makeError(ErrorCode::E0304, "operands must be scalars");
  }
  auto start = context.values(getStart()), limit = context.values(getLimit()), delta = context.values(getDelta());
  if (start && limit && delta && start->size() == 1 && limit->size() == 1 && delta->size() == 1) {
    auto step = delta->front().asConstant();
    if (step && *step == 0)
      return makeError(ErrorCode::E0311, "delta is 0");
    if (step && *step != std::numeric_limits<int64_t>::min()) {
      SizeExpr distance = *step > 0 ? limit->front() - start->front() : start->front() - limit->front();
      SizeExpr length = SizeExpr::ceilDiv(distance, SizeExpr(*step > 0 ? *step : -std::max(*step, -INT64_MAX)));
      if (context.lowerBound(length).value_or(-1) < 0)
        length = SizeExpr::max(length, SizeExpr(0));
      return one({length}, element);
    }
  }
  auto first = splatValue(getStart()), last = splatValue(getLimit()), step = splatValue(getDelta());
  if (first && last && step && *step != 0) {
    double length = std::ceil((*last - *first) / *step);
    if (!(length < 1e12))
      return makeError(ErrorCode::E0308, "range has too many elements");
    return one({SizeExpr(int64_t(std::max(length, 0.0)))}, element);
  }
  return one({SizeExpr::invalid()}, element);
}

std::optional<SizeValues> RangeOp::inferSizeValues(ShapeContext &context) {
  auto start = context.values(getStart()), delta = context.values(getDelta());
  auto type = cast<RankedTensorType>(getType());
  int64_t count = type.hasStaticShape() ? elementCount(std::span<const int64_t>(type.getShape().data(), type.getRank()))
                                              .value_or(ShapeContext::maxValues + 1)
                                        : ShapeContext::maxValues + 1;
  if (!start || !delta || start->size() != 1 || delta->size() != 1 || count > ShapeContext::maxValues)
    return std::nullopt;
  SizeValues result;
  for (int64_t i = 0; i < count; ++i)
    result.push_back(start->front() + delta->front() * i);
  return result;
}

Result<ResultShapes> ConstantOp::inferShapes(ShapeContext &) {
  return one(getDims(getValue().getType()), cast<ShapedType>(getValue().getType()).getElementType());
}

std::optional<SizeValues> ConstantOp::inferSizeValues(ShapeContext &) {
  Tensor storage;
  SmallVector<int64_t> dims;
  auto view = viewConstant(getResult(), storage, dims);
  if (!view.ok() || view->size() > ShapeContext::maxValues)
    return std::nullopt;
  SizeValues result;
  for (int64_t i = 0; i < view->size(); ++i)
    switch (view->dtype) {
    case DType::I64: result.push_back(view->as<int64_t>()[i]); break;
    case DType::I32: result.push_back(view->as<int32_t>()[i]); break;
    case DType::Bool: result.push_back(SizeExpr(int64_t(view->as<uint8_t>()[i]))); break;
    default: return std::nullopt;
    }
  return result;
}

OpFoldResult ConstantOp::fold(FoldAdaptor) { return getValue(); }

} // namespace kiln
