#include "dialects/kiln/Sampling.h"

#include "dialects/kiln/ShapeRules.h"
#include "mlir/IR/OpImplementation.h"
#include "runtime/base/Quotient.h"

using namespace mlir;

namespace kiln {

static Status expectOneOf(StringRef attribute, StringRef value, std::initializer_list<StringRef> known) {
  if (llvm::is_contained(known, value))
    return Status();
  return makeError(ErrorCode::E0411, attribute.str(), " '", value.str(), "' is unknown");
}

// --- resize

/// Sizes (integers) or scales; null where the attribute says them.
static Value extentOf(ResizeOp op) { return op.getBounds().empty() ? Value() : op.getBounds()[0]; }
/// What tf_crop_and_resize samples; null where the attribute says it.
static Value regionOf(ResizeOp op) { return op.getBounds().size() < 2 ? Value() : op.getBounds()[1]; }

static Status checkResize(ResizeOp op) {
  if (op.getBounds().size() > 2)
    return makeError(ErrorCode::E0306, "takes sizes or scales, and a region");
  KILN_TRY(expectOneOf("mode", op.getMode(), {"nearest", "linear", "cubic"}));
  KILN_TRY(expectOneOf("policy", op.getPolicy(), {"stretch", "not_larger", "not_smaller"}));
  KILN_TRY(expectOneOf("nearest", op.getNearest(),
                       {"floor", "ceil", "round_prefer_floor", "round_prefer_ceil", "by_scale"}));
  KILN_TRY(expectOneOf("coordinates", op.getCoordinates(),
                       {"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric",
                        "tf_half_pixel_for_nn", "tf_crop_and_resize"}));
  if (op.getMode() == "nearest" && op.getAntialias())
    return makeError(ErrorCode::E0414, "antialias needs mode linear or cubic");
  if (op.getMode() != "nearest" && elementTypeOf(op.getX()).isInteger(1))
    return makeError(ErrorCode::E0305, "mode ", op.getMode().str(), " needs numbers");
  if (op.getCoordinates() == "tf_crop_and_resize" && op.getRoi().empty() && !regionOf(op))
    return makeError(ErrorCode::E0401, "coordinates tf_crop_and_resize needs the attribute roi");
  return Status();
}

/// The axes, not negative; all of them where none is given.
static Result<SmallVector<int64_t>> resizedAxes(ResizeOp op, int64_t rank) {
  SmallVector<int64_t> axes;
  for (int64_t axis : op.getAxes()) {
    KILN_ASSIGN(axis, normalizeAxis(axis, rank));
    if (llvm::is_contained(axes, axis))
      return makeError(ErrorCode::E0413, "axis ", axis, " is given twice");
    axes.push_back(axis);
  }
  if (axes.empty())
    axes = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  return axes;
}

/// The size that `policy` makes of dim `of`, where sizes are asked for all of `dims`.
static Result<SizeExpr> keepingAspect(StringRef policy, ArrayRef<SizeExpr> dims, ArrayRef<SizeExpr> sizes, size_t of) {
  std::optional<SizeExpr> result;
  for (size_t k = 0; k < dims.size(); ++k) {
    if (dims[k].isInvalid() || sizes[k].isInvalid() || dims[of].isInvalid())
      return SizeExpr::invalid();
    if (dims[k].isConstant(0))
      return makeError(ErrorCode::E0304, "an axis without elements has no aspect ratio to keep");
    // sizes[k] / dims[k] * dims[of], rounded to the nearest: monotonous, so the extreme scale gives the extreme size.
    SizeExpr size = k == of ? sizes[k] : SizeExpr::floorDiv(sizes[k] * dims[of] * 2 + dims[k], dims[k] * 2);
    if (!result)
      result = size;
    else
      result = policy == "not_larger" ? SizeExpr::min(*result, size) : SizeExpr::max(*result, size);
  }
  return *result;
}

Result<ResultShapes> ResizeOp::inferShapes(ShapeContext &context) {
  Dims dims = getDims(getX());
  KILN_TRY(checkResize(*this));
  KILN_ASSIGN(SmallVector<int64_t> axes, resizedAxes(*this, dims.size()));
  if (!getRoi().empty() && getRoi().size() != 2 * axes.size())
    return makeError(ErrorCode::E0404, "roi must have ", 2 * axes.size(), " entries, not ", getRoi().size());
  if (regionOf(*this)) {
    KILN_ASSIGN(int64_t length, listLength(regionOf(*this), "region"));
    if (!isa<FloatType>(elementTypeOf(regionOf(*this))) || length != int64_t(2 * axes.size()))
      return makeError(ErrorCode::E0404, "region must hold ", 2 * axes.size(), " floating-point numbers");
  }
  if (!extentOf(*this)) {
    if (getScales().size() != axes.size())
      return makeError(ErrorCode::E0404, "scales must have ", axes.size(), " entries, not ", getScales().size());
    for (auto [axis, scale] : llvm::zip(axes, getScales())) {
      std::optional<Quotient> exact = quotientOf(float(scale));
      if (!exact)
        return makeError(ErrorCode::E0411, "scale ", scale, " is out of range");
      if (!dims[axis].isInvalid())
        dims[axis] = SizeExpr::floorDiv(dims[axis] * exact->numerator, SizeExpr(exact->denominator));
    }
    return one(dims, elementTypeOf(getX()));
  }
  if (!getScales().empty())
    return makeError(ErrorCode::E0414, "takes sizes or scales, not both");
  const bool scaled = isa<FloatType>(elementTypeOf(extentOf(*this)));
  KILN_ASSIGN(int64_t length, listLength(extentOf(*this), scaled ? "scales" : "sizes"));
  if (length != int64_t(axes.size()))
    return makeError(ErrorCode::E0404, scaled ? "scales" : "sizes", " must have ", axes.size(), " entries, not ", length);
  if (scaled) {
    for (int64_t axis : axes)
      dims[axis] = SizeExpr::invalid();
    return one(dims, elementTypeOf(getX()));
  }
  SizeValues sizes = context.someValues(extentOf(*this), size_t(length));
  Dims resized;
  for (auto [axis, size] : llvm::zip(axes, sizes)) {
    if (size.isConstant() && size.constant() < 0)
      return makeError(ErrorCode::E0311, "sizes has the negative entry ", size.constant());
    resized.push_back(context.expand(dims[axis]));
    size = context.expand(size);
  }
  for (auto [i, axis] : llvm::enumerate(axes))
    if (getPolicy() == "stretch") {
      dims[axis] = sizes[i];
    } else {
      KILN_ASSIGN(dims[axis], keepingAspect(getPolicy(), resized, sizes, i));
    }
  return one(dims, elementTypeOf(getX()));
}

// --- grid_sample

Result<ResultShapes> GridSampleOp::inferShapes(ShapeContext &context) {
  Dims x = getDims(getX()), grid = getDims(getGrid());
  KILN_TRY(expectOneOf("mode", getMode(), {"nearest", "linear", "cubic"}));
  KILN_TRY(expectOneOf("padding", getPadding(), {"zeros", "border", "reflection"}));
  if (x.size() < 3 || grid.size() != x.size())
    return makeError(ErrorCode::E0304, "operand ", printDims(x), " and grid ", printDims(grid),
                     " must have the same rank, 3 or more");
  if (!isa<FloatType>(elementTypeOf(getGrid())))
    return makeError(ErrorCode::E0305, "the grid must be of a floating-point type");
  if (getMode() != "nearest" && !isa<FloatType>(elementTypeOf(getX())))
    return makeError(ErrorCode::E0305, "mode ", getMode().str(), " needs a floating-point operand");
  KILN_TRY(context.requireEqual(x[0], grid[0]).withContext("dim 0 of operand and grid: "));
  KILN_TRY(context.requireEqual(grid.back(), SizeExpr(int64_t(x.size()) - 2)).withContext("last dim of the grid: "));
  Dims dims{x[0], x[1]};
  dims.append(grid.begin() + 1, grid.end() - 1);
  return one(dims, elementTypeOf(getX()));
}

// --- roi_align

Result<ResultShapes> RoiAlignOp::inferShapes(ShapeContext &context) {
  Dims x = getDims(getX()), rois = getDims(getRois()), indices = getDims(getIndices());
  Type element = elementTypeOf(getX());
  KILN_TRY(expectOneOf("mode", getMode(), {"avg", "max"}));
  if (int64_t(getHeight()) < 1 || int64_t(getWidth()) < 1)
    return makeError(ErrorCode::E0411, "height and width are ", int64_t(getHeight()), " and ", int64_t(getWidth()),
                     ", expected 1 or more");
  if (int64_t(getSamplingRatio()) < 0)
    return makeError(ErrorCode::E0411, "sampling_ratio is ", int64_t(getSamplingRatio()), ", expected 0 or more");
  if (x.size() != 4 || rois.size() != 2 || indices.size() != 1)
    return makeError(ErrorCode::E0304, "operand ", printDims(x), ", regions ", printDims(rois), " and indices ",
                     printDims(indices), " must have rank 4, 2 and 1");
  if (!isa<FloatType>(element) || elementTypeOf(getRois()) != element)
    return makeError(ErrorCode::E0305, "operand and regions must be of one floating-point type");
  if (!elementTypeOf(getIndices()).isInteger(32) && !elementTypeOf(getIndices()).isInteger(64))
    return makeError(ErrorCode::E0305, "the indices must be i32 or i64");
  KILN_TRY(context.requireEqual(rois[1], SizeExpr(4)).withContext("a region: "));
  KILN_TRY(context.requireEqual(rois[0], indices[0]).withContext("regions and indices: "));
  return one({rois[0], x[1], SizeExpr(int64_t(getHeight())), SizeExpr(int64_t(getWidth()))}, element);
}

} // namespace kiln

#define GET_OP_CLASSES
#include "dialects/kiln/Sampling.cpp.inc"
