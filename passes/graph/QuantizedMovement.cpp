// QuantizedMovement: what only moves elements, or picks some, moves bytes.
//
//   %1 = f32(i32(%x) - z) * s
//   %2 = max_pool %1                          =>    %y = max_pool %x
//   %y = u8(round(%2 / s) + z)
//
// Bytes with one scale and zero point on both sides are the same bytes: the quotient of the product is closer to the
// number that it was than to any other. So are those of a concat all of whose parts have that scale. What changes
// numbers (relu, pads) stays, unless the bytes say that it does not.
//
// Runs after QuantizedProducts, which needs the products' operands as they are, and before AlgebraicSimplify.
#include "passes/Rewrite.h"
#include "passes/graph/Match.h"
#include "passes/graph/Passes.h"
#include "passes/graph/Quantization.h"

using namespace mlir;

namespace kiln {

#define GEN_PASS_DEF_QUANTIZEDMOVEMENT
#include "passes/graph/Passes.h.inc"

namespace {

/// Moves or picks elements of its operands, each of which is a tensor of such elements.
bool movesElements(Operation *op) {
  return isa<ReshapeOp, TransposeOp, SliceOp, ConcatOp, MaxPoolOp>(op) && op->getNumResults() == 1;
}

/// How many operands hold elements; others tell sizes.
unsigned countOfElements(Operation *op) { return isa<ConcatOp>(op) ? op->getNumOperands() : 1; }

struct MoveBytes : OpRewritePattern<CastOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(CastOp op, PatternRewriter &rewriter) const override {
    auto to = quantized(op.getResult());
    auto div = to ? to->x.getDefiningOp<DivOp>() : DivOp();
    auto scale = div ? splatValue(div.getY()) : std::nullopt;
    if (!scale || !isModerateScale(*scale) || div.getX().getType() != div.getType())
      return failure();
    auto bytesOf = [&](Value value) -> Value {
      auto from = dequantized(value);
      bool same = from && from->commonScale() == scale && from->commonZero() == to->zero &&
                  elementOf(from->bytes) == elementOf(op.getResult());
      return same ? from->bytes : Value();
    };
    if (Value bytes = bytesOf(div.getX())) {
      if (bytes.getType() != op.getType())
        return failure();
      rewriter.replaceOp(op, bytes);
      return success();
    }
    Operation *movement = div.getX().getDefiningOp();
    if (!movement || !movesElements(movement))
      return failure();
    SmallVector<Value> operands(movement->getOperands());
    for (unsigned i = 0; i < countOfElements(movement); ++i) {
      operands[i] = bytesOf(operands[i]);
      if (!operands[i])
        return failure();
    }
    rewriter.replaceOp(op, buildOp(rewriter, op.getType(), movement->getLoc(), mnemonicOf(movement), operands,
                                   toAttributes(movement)));
    return success();
  }
};

class QuantizedMovementPass : public impl::QuantizedMovementBase<QuantizedMovementPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<MoveBytes>(&getContext());
    if (failed(runPatterns(getOperation(), std::move(patterns), "QuantizedMovement")))
      signalPassFailure();
  }
};
} // namespace
} // namespace kiln
