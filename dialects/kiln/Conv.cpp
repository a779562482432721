#include "dialects/kiln/Conv.h"

#include "dialects/kiln/ShapeRules.h"
#include "mlir/IR/OpImplementation.h"

#include <cmath>

using namespace mlir;

namespace kiln {

namespace {

/// The window geometry that convolution and pooling share.
struct Windows {
  ArrayRef<int64_t> strides, pads, dilations;
  StringRef layout, autoPad;
  bool ceilMode = false;

  size_t channelDim(size_t rank) const { return layout == "nhwc" ? rank - 1 : 1; }
  size_t firstSpatial() const { return layout == "nhwc" ? 1 : 2; }

  Status check(size_t rank) const {
    if (rank < 3)
      return makeError(ErrorCode::E0304, "the operand must have at least one spatial dim, its rank is ", rank);
    if (layout != "nchw" && layout != "nhwc")
      return makeError(ErrorCode::E0411, "layout '", layout.str(), "' is unknown");
    size_t spatial = rank - 2;
    if (strides.size() != spatial || dilations.size() != spatial || pads.size() != 2 * spatial)
      return makeError(ErrorCode::E0404, "strides, dilations and pads must have ", spatial, ", ", spatial, " and ",
                       2 * spatial, " entries");
    for (int64_t v : llvm::concat<const int64_t>(strides, dilations))
      if (v < 1 || v > INT32_MAX)
        return makeError(ErrorCode::E0411, "strides and dilations must be positive");
    for (int64_t v : pads)
      if (v < INT32_MIN || v > INT32_MAX)
        return makeError(ErrorCode::E0411, "pad ", v, " is out of range");
    if (!autoPad.empty() && autoPad != "same_upper" && autoPad != "same_lower")
      return makeError(ErrorCode::E0411, "auto_pad '", autoPad.str(), "' is unknown");
    return Status();
  }

  /// Number of window positions in spatial dim i. The window must fit once; of sizes that only a run tells, that is
  /// checked then. (A window that fits into any operand with elements has no position on one without.)
  Result<SizeExpr> positions(ShapeContext &context, size_t i, const SizeExpr &size, const SizeExpr &kernel) const {
    if (size.isInvalid() || kernel.isInvalid())
      return SizeExpr::invalid();
    SizeExpr stride(strides[i]);
    if (!autoPad.empty())
      return SizeExpr::ceilDiv(size, stride);
    int64_t before = pads[i], after = pads[strides.size() + i];
    SizeExpr room = size + (before + after) - (kernel - 1) * dilations[i] - 1;
    SizeExpr slack = ceilMode ? room + (strides[i] - 1) : room, least = size - slack;
    if (slack.isConstant() && slack.constant() + size.isConstant(0) < 0)
      return makeError(ErrorCode::E0304, "window ", kernel.print(), " with dilation ", dilations[i],
                       " does not fit into size ", size.print(), " with pads ", before, ", ", after);
    KILN_TRY(context.requireAtLeast(kernel, 1));
    if (!least.isConstant())
      KILN_TRY(context.requireNotNegative(slack + 1 - SizeExpr::min(size, SizeExpr(1))));
    else if (least.constant() > 1)
      KILN_TRY(context.requireAtLeast(size, least.constant()));
    SizeExpr result = SizeExpr::floorDiv(slack, stride) + 1;
    if (ceilMode) // a window must begin within the operand or the padding before it
      result = SizeExpr::min(result, SizeExpr::floorDiv(size + before - 1, stride) + 1);
    return result;
  }
};

} // namespace

Result<ResultShapes> ConvOp::inferShapes(ShapeContext &context) {
  Dims x = getDims(getX()), w = getDims(getW());
  Windows windows{getStrides(), getPads(), getDilations(), getLayout(), getAutoPad().value_or("")};
  KILN_TRY(windows.check(x.size()));
  if (w.size() != x.size())
    return makeError(ErrorCode::E0304, "weights ", printDims(w), " and operand ", printDims(x), " differ in rank");
  if (elementTypeOf(getX()) != elementTypeOf(getW()))
    return makeError(ErrorCode::E0305, "operand and weights have different element types");
  int64_t groups = getGroups();
  auto outputs = w[0].asConstant();
  if (groups < 1 || (outputs && *outputs % groups != 0))
    return makeError(ErrorCode::E0411, groups, " groups do not divide ", w[0].print(), " outputs");
  size_t channel = windows.channelDim(x.size());
  KILN_TRY(context.requireEqual(x[channel], w[1].isInvalid() ? w[1] : w[1] * groups)
               .withContext("channels of operand and weights: "));
  if (getBias()) {
    Dims bias = getDims(getBias());
    if (bias.size() != 1)
      return makeError(ErrorCode::E0304, "bias must be a vector");
    KILN_TRY(context.requireEqual(bias[0], w[0]).withContext("bias: "));
  }
  Dims dims = x;
  dims[channel] = w[0];
  for (size_t i = 0; i + 2 < x.size(); ++i) {
    size_t d = windows.firstSpatial() + i;
    KILN_ASSIGN(dims[d], windows.positions(context, i, x[d], w[2 + i]));
  }
  return one(dims, elementTypeOf(getX()));
}

Result<ResultShapes> ConvTransposeOp::inferShapes(ShapeContext &context) {
  Dims x = getDims(getX()), w = getDims(getW());
  Windows windows{getStrides(), getPads(), getDilations(), "nchw", getAutoPad().value_or("")};
  KILN_TRY(windows.check(x.size()));
  if (w.size() != x.size())
    return makeError(ErrorCode::E0304, "weights ", printDims(w), " and operand ", printDims(x), " differ in rank");
  if (elementTypeOf(getX()) != elementTypeOf(getW()))
    return makeError(ErrorCode::E0305, "operand and weights have different element types");
  size_t spatial = x.size() - 2;
  for (auto [name, list] :
       {std::pair("output_padding", getOutputPadding()), std::pair("output_shape", getOutputShape())}) {
    if (!list.empty() && list.size() != spatial)
      return makeError(ErrorCode::E0404, name, " must have ", spatial, " entries");
    for (int64_t v : list)
      if (v < 0 || v > INT32_MAX)
        return makeError(ErrorCode::E0411, name, " holds ", v, ", which is out of range");
  }
  int64_t groups = getGroups();
  auto inputs = w[0].asConstant();
  if (groups < 1 || groups > INT32_MAX || (inputs && *inputs % groups != 0))
    return makeError(ErrorCode::E0411, groups, " groups do not divide ", w[0].print(), " inputs");
  KILN_TRY(context.requireEqual(x[1], w[0]).withContext("channels of operand and weights: "));
  SizeExpr outputs = w[1].isInvalid() ? w[1] : w[1] * groups;
  if (getBias()) {
    Dims bias = getDims(getBias());
    if (bias.size() != 1)
      return makeError(ErrorCode::E0304, "bias must be a vector");
    KILN_TRY(context.requireEqual(bias[0], outputs).withContext("bias: "));
  }
  Dims dims{x[0], outputs};
  for (size_t i = 0; i < spatial; ++i) {
    const SizeExpr &size = x[2 + i], &kernel = w[2 + i];
    if (!getOutputShape().empty()) {
      dims.push_back(getOutputShape()[i]);
    } else if (size.isInvalid() || kernel.isInvalid()) {
      dims.push_back(SizeExpr::invalid());
    } else if (!windows.autoPad.empty()) {
      dims.push_back(size * getStrides()[i]);
    } else {
      int64_t added = getOutputPadding().empty() ? 0 : getOutputPadding()[i];
      SizeExpr result = (size - 1) * getStrides()[i] + (kernel - 1) * getDilations()[i] +
                        (added + 1 - getPads()[i] - getPads()[spatial + i]);
      if (result.isInvalid())
        return makeError(ErrorCode::E0308, "dim ", 2 + i, " of the result, of ", size.print(), " under a window of ",
                         kernel.print(), ", exceeds 64 bits");
      if (result.isConstant() && result.constant() < 0)
        return makeError(ErrorCode::E0304, "pads ", getPads()[i], ", ", getPads()[spatial + i],
                         " leave nothing of dim ", 2 + i, ", which is ", size.print(), ", under a window of ",
                         kernel.print());
      KILN_TRY(context.requireNotNegative(result));
      dims.push_back(result);
    }
  }
  return one(dims, elementTypeOf(getX()));
}

Result<ResultShapes> DeformConvOp::inferShapes(ShapeContext &context) {
  Dims x = getDims(getX()), w = getDims(getW());
  Windows windows{getStrides(), getPads(), getDilations(), "nchw", ""};
  KILN_TRY(windows.check(x.size()));
  if (x.size() != 4 || w.size() != 4)
    return makeError(ErrorCode::E0304, "operand ", printDims(x), " and weights ", printDims(w), " must have rank 4");
  Type element = elementTypeOf(getX());
  if (!isa<FloatType>(element))
    return makeError(ErrorCode::E0305, "the operand must be of a floating-point type");
  const int64_t groups = getGroups(), offsets = getOffsetGroups();
  for (auto [count, size, what] : {std::tuple(groups, w[0], "outputs"), std::tuple(offsets, x[1], "channels")})
    if (count < 1 || count > INT32_MAX || (size.isConstant() && size.constant() % count != 0))
      return makeError(ErrorCode::E0411, count, " groups do not divide ", size.print(), " ", what);
  KILN_TRY(context.requireEqual(x[1], w[1].isInvalid() ? w[1] : w[1] * groups)
               .withContext("channels of operand and weights: "));
  Dims dims{x[0], w[0]};
  for (size_t i = 0; i < 2; ++i) {
    KILN_ASSIGN(SizeExpr size, windows.positions(context, i, x[2 + i], w[2 + i]));
    dims.push_back(size);
  }
  const SizeExpr places = w[2].isInvalid() || w[3].isInvalid() ? SizeExpr::invalid() : w[2] * w[3] * offsets;
  auto require = [&](Value operand, StringRef what, const Dims &want) -> Status {
    if (!operand)
      return Status();
    Dims have = getDims(operand);
    if (elementTypeOf(operand) != element)
      return makeError(ErrorCode::E0305, what.str(), ": element type differs from the operand's");
    if (have.size() != want.size())
      return makeError(ErrorCode::E0304, what.str(), ": has rank ", have.size(), ", expected ", want.size());
    for (size_t i = 0; i < want.size(); ++i)
      KILN_TRY(context.requireEqual(have[i], want[i]).withContext(what.str() + ": "));
    return Status();
  };
  KILN_TRY(require(getW(), "weights", w));
  KILN_TRY(require(getOffset(), "offset", {x[0], places.isInvalid() ? places : places * 2, dims[2], dims[3]}));
  KILN_TRY(require(getBias(), "bias", {w[0]}));
  KILN_TRY(require(getMask(), "mask", {x[0], places, dims[2], dims[3]}));
  return one(dims, element);
}

Result<ResultShapes> LpPoolOp::inferShapes(ShapeContext &context) {
  double p = getP().convertToDouble();
  if (!(p > 0 && std::isfinite(p)))
    return makeError(ErrorCode::E0411, "p is ", p, ", expected a positive number");
  if (!isa<FloatType>(elementTypeOf(getX())))
    return makeError(ErrorCode::E0305, "the operand must be of a floating-point type");
  return inferPool(getOperation(), context);
}

Result<ResultShapes> MaxPoolIndicesOp::inferShapes(ShapeContext &context) {
  KILN_ASSIGN(ResultShapes shapes, inferPool(getOperation(), context));
  shapes.push_back({shapes[0].dims, IntegerType::get(getContext(), 64), {}});
  return shapes;
}

Result<ResultShapes> inferPool(Operation *op, ShapeContext &context) {
  Value x = op->getOperand(0);
  Dims dims = getDims(x);
  auto list = [&](StringRef name) { return op->getAttrOfType<DenseI64ArrayAttr>(name).asArrayRef(); };
  auto text = [&](StringRef name, StringRef fallback) {
    auto attribute = op->getAttrOfType<StringAttr>(name);
    return attribute ? attribute.getValue() : fallback;
  };
  auto ceil = op->getAttrOfType<IntegerAttr>("ceil_mode");
  Windows windows{list("strides"),        list("pads"),         list("dilations"),
                  text("layout", "nchw"), text("auto_pad", ""), ceil && ceil.getInt()};
  KILN_TRY(windows.check(dims.size()));
  ArrayRef<int64_t> kernel = list("kernel");
  if (kernel.size() + 2 != dims.size())
    return makeError(ErrorCode::E0404, "kernel must have ", dims.size() - 2, " entries");
  for (size_t i = 0; i < kernel.size(); ++i) {
    if (kernel[i] < 1)
      return makeError(ErrorCode::E0411, "kernel must be positive");
    SizeExpr &dim = dims[windows.firstSpatial() + i];
    KILN_ASSIGN(dim, windows.positions(context, i, dim, SizeExpr(kernel[i])));
  }
  return one(dims, elementTypeOf(x));
}

} // namespace kiln

#define GET_OP_CLASSES
#include "dialects/kiln/Conv.cpp.inc"
