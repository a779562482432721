// CastElimination: x cast to its own type is x; a cast of a cast that lost nothing is one cast.
//
//   %1 = kiln.cast %0 {to = "f64"}; %2 = kiln.cast %1 {to = "f32"}   with %0 : f32   ->   %0
//
// A pair that narrows first stays: it rounds, and rounding is part of the model. So does an integer cast to an integer
// type that cannot hold it by way of a floating-point type: that saturates, where one cast would wrap.
#include "dialects/kiln/Build.h"
#include "dialects/kiln/Ops.h"
#include "passes/Rewrite.h"
#include "passes/graph/Passes.h"
#include "runtime/base/PlantedBug.h"

using namespace mlir;

namespace kiln {

#define GEN_PASS_DEF_CASTELIMINATION
#include "passes/graph/Passes.h.inc"

namespace {

/// Whether every value of type `from` survives a cast to `to` and back.
bool isLossless(DType from, DType to) {
  if (from == to || from == DType::Bool)
    return true;
  if (isFloat(from))
    return (from == DType::F32 && to == DType::F64) ||
           ((from == DType::F16 || from == DType::BF16) && (to == DType::F32 || to == DType::F64));
  if (to == DType::Bool)
    return false;
  int digits = dtypeBits(from) - (isSignedInt(from) ? 1 : 0);
  if (to == DType::F64 || to == DType::F32)
    return digits <= (to == DType::F64 ? 53 : 24);
  if (!isInteger(to))
    return false;
  return isSignedInt(to) ? digits <= dtypeBits(to) - 1 : isUnsignedInt(from) && digits <= dtypeBits(to);
}

struct RemoveNoopCast : OpRewritePattern<CastOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(CastOp op, PatternRewriter &rewriter) const override {
    if (op.getX().getType() != op.getType())
      return failure();
    rewriter.replaceOp(op, op.getX());
    return success();
  }
};

struct MergeCasts : OpRewritePattern<CastOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(CastOp op, PatternRewriter &rewriter) const override {
    auto inner = op.getX().getDefiningOp<CastOp>();
    if (!inner)
      return failure();
    auto from = dtypeOf(elementTypeOf(inner.getX())), middle = dtypeOf(elementTypeOf(op.getX()));
    auto to = dtypeOf(elementTypeOf(op.getResult()));
    if (!from || !middle || !to)
      return failure();
    bool planted = isFloat(*from) && *middle != DType::Bool && isFloat(*to) && !isLossless(*from, *middle) &&
                   plantedBug("cast-merging");
    if (!isLossless(*from, *middle) && !planted)
      return failure();
    // Both casts are of the same value, but out of range a floating-point number saturates and an integer wraps.
    bool otherRule = isInteger(*from) && isFloat(*middle) && isInteger(*to);
    if (otherRule && !isLossless(*from, *to))
      return failure();
    rewriter.modifyOpInPlace(op, [&] { op->setOperand(0, inner.getX()); });
    return success();
  }

private:
  static Type elementTypeOf(Value value) { return cast<RankedTensorType>(value.getType()).getElementType(); }
};

class CastEliminationPass : public impl::CastEliminationBase<CastEliminationPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<RemoveNoopCast, MergeCasts>(&getContext());
    if (failed(runPatterns(getOperation(), std::move(patterns), "CastElimination")))
      signalPassFailure();
  }
};
} // namespace
} // namespace kiln
