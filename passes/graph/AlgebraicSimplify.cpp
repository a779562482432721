// AlgebraicSimplify: replaces expressions by cheaper ones that mean the same.
//
// Laws: each rewrite lowers a cost (ops, bytes moved, or the rank at which elementwise work is done), so none undoes
// another; a result may differ by rounding only, as precision `default` allows it (docs/semantics.md). One canonical
// form each: a constant is the second operand of a commutative op; a matmul with a matrix of weights has a matrix on
// its other side too; reshapes sit as late as possible.
#include "passes/graph/Simplify.h"

#include "passes/Rewrite.h"
#include "passes/graph/Match.h"
#include "passes/graph/Passes.h"
#include "runtime/base/PlantedBug.h"
#include "llvm/ADT/TypeSwitch.h"

#include <cmath>

using namespace mlir;

namespace kiln {

#define GEN_PASS_DEF_ALGEBRAICSIMPLIFY
#include "passes/graph/Passes.h.inc"

namespace {

bool isCommutative(Operation *op) {
  return isa<AddOp, MulOp, MaxOp, MinOp, AndOp, OrOp, XorOp, EqualOp, BitwiseAndOp, BitwiseOrOp, BitwiseXorOp>(op);
}

struct ConstantToTheRight : RewritePattern {
  explicit ConstantToTheRight(MLIRContext *context) : RewritePattern(MatchAnyOpTypeTag(), 1, context) {}
  LogicalResult matchAndRewrite(Operation *op, PatternRewriter &rewriter) const override {
    bool planted = false;
    if (auto sub = dyn_cast<SubOp>(op); sub && getRank(sub.getType()) == 2)
      planted = plantedBug("sub-constant", getDims(sub.getResult())[1].asConstant(), 4, 3);
    if (!(isCommutative(op) || planted) || !isConstant(op->getOperand(0)) || isConstant(op->getOperand(1)))
      return failure();
    rewriter.modifyOpInPlace(op, [&] {
      Value first = op->getOperand(0);
      op->setOperand(0, op->getOperand(1));
      op->setOperand(1, first);
    });
    return success();
  }
};

/// pow of an integer by a floating-point number is computed in floating point, which rounds and saturates.
bool isIntegerPowerOfFloat(PowOp op) { return !isFloatTensor(op.getX()) && isFloatTensor(op.getY()); }

/// x + 0, x - 0, x * 1, x / 1, pow(x, 1), x and true, x or false. Floating-point zeros have a sign: -0 + 0 is 0, so -0
/// is what adds nothing, and 0 what subtracts nothing.
struct NeutralElement : RewritePattern {
  explicit NeutralElement(MLIRContext *context) : RewritePattern(MatchAnyOpTypeTag(), 1, context) {}
  LogicalResult matchAndRewrite(Operation *op, PatternRewriter &rewriter) const override {
    std::optional<double> neutral = llvm::TypeSwitch<Operation *, std::optional<double>>(op)
                                        .Case<AddOp>([](AddOp add) { return isFloatTensor(add.getY()) ? -0.0 : 0.0; })
                                        .Case<SubOp, OrOp>([](auto) { return 0.0; })
                                        .Case<MulOp, DivOp, PowOp, AndOp>([](auto) { return 1.0; })
                                        .Default([](Operation *) { return std::nullopt; });
    if (!neutral || op->getOperand(0).getType() != op->getResult(0).getType())
      return failure();
    auto constant = splatValue(op->getOperand(1));
    if (!constant || *constant != *neutral || std::signbit(*constant) != std::signbit(*neutral))
      return failure();
    if (auto pow = dyn_cast<PowOp>(op); pow && isIntegerPowerOfFloat(pow))
      return failure();
    rewriter.replaceOp(op, op->getOperand(0));
    return success();
  }
};

/// pow(x, 2) -> x * x, pow(x, 3) -> x * x * x.
struct SmallPower : OpRewritePattern<PowOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(PowOp op, PatternRewriter &rewriter) const override {
    Value x = op.getX();
    if (x.getType() != op.getType() || isIntegerPowerOfFloat(op))
      return failure();
    if (isSplat(op.getY(), 2)) {
      rewriter.replaceOp(op, buildOp(rewriter, op.getType(), op.getLoc(), "mul", {x, x}));
      return success();
    }
    if (isSplat(op.getY(), 3)) {
      Value square = buildOp(rewriter, op.getType(), op.getLoc(), "mul", {x, x});
      rewriter.replaceOp(op, buildOp(rewriter, op.getType(), op.getLoc(), "mul", {square, x}));
      return success();
    }
    return failure();
  }
};

/// x / c -> x * (1 / c) where the reciprocal is exact: c is a power of two.
struct ExactReciprocal : OpRewritePattern<DivOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(DivOp op, PatternRewriter &rewriter) const override {
    auto divisor = splatValue(op.getY());
    int exponent;
    if (!divisor || !isFloatTensor(op.getX()) || op.getX().getType() != op.getType() ||
        std::fabs(std::frexp(*divisor, &exponent)) != 0.5 || std::abs(exponent) > 12)
      return failure();
    Value factor = makeScalar(rewriter, op.getLoc(), elementOf(op.getX()), 1 / *divisor);
    rewriter.replaceOp(op, buildOp(rewriter, op.getType(), op.getLoc(), "mul", {op.getX(), factor}));
    return success();
  }
};

/// 1 / sqrt(x) -> rsqrt(x); x / sqrt(y) keeps its division, which is the more precise.
struct ReciprocalSqrt : RewritePattern {
  explicit ReciprocalSqrt(MLIRContext *context) : RewritePattern(MatchAnyOpTypeTag(), 1, context) {}
  LogicalResult matchAndRewrite(Operation *op, PatternRewriter &rewriter) const override {
    Value divisor;
    if (isa<ReciprocalOp>(op))
      divisor = op->getOperand(0);
    else if (isa<DivOp>(op) && isSplat(op->getOperand(0), 1))
      divisor = op->getOperand(1);
    auto sqrt = divisor ? divisor.getDefiningOp<SqrtOp>() : SqrtOp();
    if (!sqrt || !isFloatTensor(divisor) || divisor.getType() != op->getResult(0).getType())
      return failure();
    rewriter.replaceOp(op, buildOp(rewriter, divisor.getType(), op->getLoc(), "rsqrt", sqrt.getX()));
    return success();
  }
};

/// A reduction over no axes, or over axes of size 1: what it does to a single element.
struct EmptyReduction : OpRewritePattern<ReduceOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ReduceOp op, PatternRewriter &rewriter) const override {
    Value x = op.getX();
    StringRef kind = op.getKind();
    ArrayRef<int64_t> shape = tensorTypeOf(x).getShape();
    if (!llvm::all_of(op.getAxes(), [&](int64_t axis) { return shape[axis] == 1; }))
      return failure();
    if (!llvm::is_contained({"sum", "mean", "max", "min", "prod"}, kind)) {
      if (!isFloatTensor(x)) // integers go through f64 and back, or wrap
        return failure();
      auto each = [&](StringRef mnemonic, ValueRange operands) {
        return buildOp(rewriter, x.getType(), op.getLoc(), mnemonic, operands);
      };
      if (kind == "l1" || kind == "l2")
        x = each("abs", {x});
      else if (kind == "sum_square")
        x = each("mul", {x, x});
      else if (kind == "log_sum")
        x = each("log", {x});
      else if (kind != "log_sum_exp") // which is x
        return failure();
    }
    rewriter.replaceOp(op, buildReshape(rewriter, op.getLoc(), x, op.getType()));
    return success();
  }
};

/// where(c, x, x) and where(constant, x, y).
struct DecidedWhere : OpRewritePattern<WhereOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(WhereOp op, PatternRewriter &rewriter) const override {
    Value chosen;
    if (op.getX() == op.getY())
      chosen = op.getX();
    else if (auto condition = splatValue(op.getCondition()))
      chosen = *condition != 0 ? op.getX() : op.getY();
    if (!chosen || chosen.getType() != op.getType())
      return failure();
    rewriter.replaceOp(op, chosen);
    return success();
  }
};

class AlgebraicSimplifyPass : public impl::AlgebraicSimplifyBase<AlgebraicSimplifyPass> {
  void runOnOperation() override {
    Result<SizeTable> sizes = SizeTable::read(getOperation());
    if (!sizes.ok()) {
      emitError(getOperation().getLoc(), sizes.status());
      return signalPassFailure();
    }
    RewritePatternSet patterns(&getContext());
    addElementwisePatterns(patterns);
    addMovementPatterns(patterns);
    addContractionPatterns(patterns, *sizes);
    if (failed(runPatterns(getOperation(), std::move(patterns), "AlgebraicSimplify")))
      return signalPassFailure();
    sizes->dropUnused(getOperation());
    sizes->write(getOperation());
  }
};

} // namespace

void addElementwisePatterns(RewritePatternSet &patterns) {
  patterns.add<ConstantToTheRight, NeutralElement, SmallPower, ExactReciprocal, ReciprocalSqrt, EmptyReduction,
               DecidedWhere>(patterns.getContext());
}

} // namespace kiln
