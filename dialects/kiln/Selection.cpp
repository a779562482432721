#include "dialects/kiln/Selection.h"

#include "dialects/kiln/ShapeRules.h"
#include "mlir/IR/OpImplementation.h"

using namespace mlir;

namespace kiln {

Result<ResultShapes> NonzeroOp::inferShapes(ShapeContext &) {
  Dims x = getDims(getX());
  return ResultShapes{{{SizeExpr(int64_t(x.size())), SizeExpr::invalid()},
                       IntegerType::get(getContext(), 64),
                       {SizeExpr::invalid(), SizeExpr::product(x)}}};
}

Result<ResultShapes> CompressOp::inferShapes(ShapeContext &) {
  Dims dims = getDims(getX()), condition = getDims(getCondition());
  KILN_ASSIGN(int64_t axis, normalizeAxis(getAxis(), dims.size()));
  if (condition.size() != 1 || !elementTypeOf(getCondition()).isInteger(1))
    return makeError(ErrorCode::E0305, "the condition must be a vector of booleans");
  if (auto length = condition[0].asConstant(), size = dims[axis].asConstant(); length && size && *length > *size)
    return makeError(ErrorCode::E0304, "the condition has ", *length, " entries for an axis of size ", *size);
  Dims upperBounds(dims.size(), SizeExpr::invalid());
  upperBounds[axis] = dims[axis];
  dims[axis] = SizeExpr::invalid();
  return ResultShapes{{dims, elementTypeOf(getX()), upperBounds}};
}

Result<ResultShapes> UniqueOp::inferShapes(ShapeContext &) {
  Dims dims = getDims(getX()), upperBounds(dims.size(), SizeExpr::invalid());
  KILN_ASSIGN(int64_t axis, normalizeAxis(getAxis(), dims.size()));
  Type index = IntegerType::get(getContext(), 64);
  const SizeExpr size = dims[axis];
  upperBounds[axis] = size;
  dims[axis] = SizeExpr::invalid();
  SmallVector<int, 4> count(dims.size(), -1); // of different slices
  count[axis] = 0;
  ResultShape some{{SizeExpr::invalid()}, index, {size}, {0}};
  return ResultShapes{{dims, elementTypeOf(getX()), upperBounds, count}, some, {{size}, index, {}}, some};
}

Result<ResultShapes> NonMaxSuppressionOp::inferShapes(ShapeContext &context) {
  Dims boxes = getDims(getBoxes()), scores = getDims(getScores());
  if (boxes.size() != 3 || scores.size() != 3)
    return makeError(ErrorCode::E0304, "boxes and scores must have rank 3, not ", boxes.size(), " and ", scores.size());
  KILN_TRY(context.requireEqual(boxes[0], scores[0]).withContext("batches: "));
  KILN_TRY(context.requireEqual(boxes[1], scores[2]).withContext("boxes: "));
  KILN_TRY(context.requireEqual(boxes[2], SizeExpr(4)).withContext("coordinates: "));
  for (Value threshold : {getOverlap(), getLeast()})
    if (threshold && !isa<FloatType>(elementTypeOf(threshold)))
      return makeError(ErrorCode::E0305, "thresholds must be floating-point numbers");
  if (elementTypeOf(getBoxes()) != elementTypeOf(getScores()) || !isa<FloatType>(elementTypeOf(getBoxes())))
    return makeError(ErrorCode::E0305, "boxes and scores must be of one floating-point type");
  if (!elementTypeOf(getMost()).isInteger())
    return makeError(ErrorCode::E0305, "the number of boxes must be an integer");
  return ResultShapes{{{SizeExpr::invalid(), SizeExpr(3)},
                       IntegerType::get(getContext(), 64),
                       {SizeExpr::product(scores), SizeExpr::invalid()}}};
}

} // namespace kiln

#define GET_OP_CLASSES
#include "dialects/kiln/Selection.cpp.inc"
