// LowerResize: the nearest element, taken a whole number of times, is movement.
//
//   resize x [N,C,H,W] {mode = "nearest", scales = [1,1,2,3]}
//     =>  reshape [N,C,H,1,W,1], expand [N,C,H,2,W,3], reshape [N,C,H*2,W*3]
//
// Only where each way of rounding that the op names comes to that: its result i is its operand i / scale, rounded down.
// Before Layout and FormKernels, for which the op has no family.
#include "dialects/kiln/Build.h"
#include "dialects/kiln/Ops.h"
#include "passes/Rewrite.h"
#include "passes/graph/Passes.h"

#include <cmath>

using namespace mlir;

namespace kiln {

#define GEN_PASS_DEF_LOWERRESIZE
#include "passes/graph/Passes.h.inc"

namespace {

/// How often each element of a dim is taken; nothing where that is no whole number.
std::optional<SmallVector<int64_t>> factorsOf(ResizeOp op) {
  Dims x = getDims(op.getX()), y = getDims(op.getResult());
  SmallVector<int64_t> factors(x.size(), 1), axes(op.getAxes());
  if (axes.empty())
    axes = llvm::to_vector(llvm::seq<int64_t>(0, int64_t(x.size())));
  for (auto [i, axis] : llvm::enumerate(axes)) {
    axis += axis < 0 ? int64_t(x.size()) : 0;
    double factor = 0;
    if (!op.getScales().empty()) {
      factor = float(op.getScales()[i]); // as the op takes it
    } else {
      std::optional<int64_t> from = x[axis].asConstant(), to = y[axis].asConstant();
      if (!from || !to || *from == 0)
        return std::nullopt;
      factor = double(*to) / double(*from);
    }
    if (!(factor >= 1 && factor <= 64) || factor != std::floor(factor))
      return std::nullopt;
    factors[axis] = int64_t(factor);
  }
  return factors;
}

/// Whether result i is operand i / factor, rounded down, for all of these factors.
bool takesTheFloor(ResizeOp op, ArrayRef<int64_t> factors) {
  StringRef coordinates = op.getCoordinates(), nearest = op.getNearest();
  if (coordinates == "half_pixel" || coordinates == "half_pixel_symmetric" || coordinates == "pytorch_half_pixel")
    return nearest == "round_prefer_floor" || nearest == "round_prefer_ceil"; // (i + 1/2) / factor - 1/2 is no half
  if (coordinates == "asymmetric" && nearest == "round_prefer_floor")
    return llvm::all_of(factors, [](int64_t factor) { return factor <= 2; });
  return (coordinates == "asymmetric" || coordinates == "tf_half_pixel_for_nn") &&
         (nearest == "floor" || (nearest == "by_scale" && coordinates == "asymmetric"));
}

struct AsExpand : OpRewritePattern<ResizeOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(ResizeOp op, PatternRewriter &rewriter) const override {
    bool saysSizes = op.getBounds().size() == 1 && op.getPolicy() == "stretch" &&
                     cast<RankedTensorType>(op.getBounds()[0].getType()).getElementType().isInteger();
    if (op.getMode() != "nearest" || !(op.getBounds().empty() || saysSizes))
      return failure();
    std::optional<SmallVector<int64_t>> factors = factorsOf(op);
    if (!factors || !takesTheFloor(op, *factors))
      return failure();
    Dims x = getDims(op.getX()), single, repeated;
    if (llvm::any_of(x, [](const SizeExpr &dim) { return dim.isInvalid(); }))
      return failure();
    for (auto [dim, factor] : llvm::zip(x, *factors)) {
      single.push_back(dim);
      repeated.push_back(dim);
      if (factor > 1) {
        single.push_back(1);
        repeated.push_back(factor);
      }
    }
    Location loc = op.getLoc();
    Type element = op.getX().getType().getElementType();
    Value y = buildReshape(rewriter, loc, op.getX(), makeTensorType(single, element));
    if (single.size() > x.size())
      y = buildOp(rewriter, makeTensorType(repeated, element), loc, "expand", y);
    rewriter.replaceOp(op, buildReshape(rewriter, loc, y, op.getType()));
    return success();
  }
};

class LowerResizePass : public impl::LowerResizeBase<LowerResizePass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<AsExpand>(&getContext());
    if (failed(runPatterns(getOperation(), std::move(patterns), "LowerResize")))
      signalPassFailure();
  }
};
} // namespace
} // namespace kiln
