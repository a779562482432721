// RaiseLayerNorm: normalisation over the last dims, spelled out, becomes one op.
//
//   m = reduce mean(x); c = x - m; v = reduce mean(c * c)
//   y = c / sqrt(v + eps) * scale + bias                         ->   layer_norm(x, scale, bias)
//   y = x / sqrt(reduce mean(x * x) + eps) * scale               ->   rms_norm(x, scale)
//
// Squares may be pow(c, 2), the quotient a product with rsqrt or a reciprocal, operands in either order. It grows step
// by step: the quotient becomes a norm with scale 1, which then takes in a scale and a bias. It runs before
// AlgebraicSimplify moves reshapes and scalars about.
#include "passes/Rewrite.h"
#include "passes/graph/Match.h"
#include "passes/graph/Passes.h"

using namespace mlir;

namespace kiln {

#define GEN_PASS_DEF_RAISELAYERNORM
#include "passes/graph/Passes.h.inc"

namespace {

/// reduce mean over the dims from an axis to the last, dims kept.
struct TrailingMean {
  Value x;
  int64_t axis;
};
std::optional<TrailingMean> trailingMean(Value value) {
  auto reduce = value.getDefiningOp<ReduceOp>();
  if (!reduce || reduce.getKind() != "mean" || !reduce.getKeepdims() || reduce.getAxes().empty())
    return std::nullopt;
  int64_t rank = getRank(reduce.getX().getType()), count = reduce.getAxes().size();
  for (int64_t i = 0; i < count; ++i)
    if (reduce.getAxes()[i] != rank - count + i)
      return std::nullopt;
  return TrailingMean{reduce.getX(), rank - count};
}

/// x - mean(x).
std::optional<TrailingMean> centred(Value value) {
  auto sub = value.getDefiningOp<SubOp>();
  auto mean = sub ? trailingMean(sub.getY()) : std::nullopt;
  if (!mean || mean->x != sub.getX())
    return std::nullopt;
  return mean;
}

/// numerator and d of numerator / sqrt(d), in any spelling.
struct Quotient {
  Value numerator, underRoot;
};
std::optional<Quotient> quotientBySqrt(Operation *op) {
  auto underSqrt = [](Value value) {
    auto sqrt = value.getDefiningOp<SqrtOp>();
    return sqrt ? sqrt.getX() : Value();
  };
  auto underInverse = [&](Value value) -> Value {
    if (auto rsqrt = value.getDefiningOp<RsqrtOp>())
      return rsqrt.getX();
    if (auto reciprocal = value.getDefiningOp<ReciprocalOp>())
      return underSqrt(reciprocal.getX());
    if (auto div = value.getDefiningOp<DivOp>(); div && isSplat(div.getX(), 1))
      return underSqrt(div.getY());
    if (auto pow = value.getDefiningOp<PowOp>(); pow && isSplat(pow.getY(), -0.5))
      return pow.getX();
    return {};
  };
  if (auto div = dyn_cast<DivOp>(op)) {
    if (Value under = underSqrt(div.getY()))
      return Quotient{div.getX(), under};
  } else if (auto mul = dyn_cast<MulOp>(op)) {
    for (int i : {1, 0})
      if (Value under = underInverse(mul->getOperand(i)))
        return Quotient{mul->getOperand(1 - i), under};
  }
  return std::nullopt;
}

/// The dims that are normalised, as the type of scale and bias.
RankedTensorType parameterType(Value x, int64_t axis) {
  return makeTensorType(ArrayRef(getDims(x)).drop_front(axis), elementOf(x));
}

struct RaiseNorm : RewritePattern {
  explicit RaiseNorm(MLIRContext *context) : RewritePattern(MatchAnyOpTypeTag(), 1, context) {}
  LogicalResult matchAndRewrite(Operation *op, PatternRewriter &rewriter) const override {
    auto quotient = quotientBySqrt(op);
    if (!quotient || !isFloatTensor(op->getResult(0)))
      return failure();
    auto sum = withConstant<AddOp>(quotient->underRoot);
    auto variance = sum ? trailingMean(sum->x) : std::nullopt;
    Value squared = variance ? squareOf(variance->x) : Value();
    if (!squared || sum->constant < 0)
      return failure();
    Value x;
    StringRef name;
    if (auto outer = centred(quotient->numerator), inner = centred(squared); outer && inner) {
      if (outer->x != inner->x || outer->axis != inner->axis || outer->axis != variance->axis)
        return failure();
      x = outer->x;
      name = "layer_norm";
    } else if (quotient->numerator == squared) {
      x = squared;
      name = "rms_norm";
    } else {
      return failure();
    }
    if (x.getType() != op->getResult(0).getType())
      return failure();
    Value one = makeScalar(rewriter, op->getLoc(), elementOf(x), 1);
    rewriter.replaceOp(op, buildOp(rewriter, x.getType(), op->getLoc(), name, {x, one},
                                   {{"axis", variance->axis}, {"epsilon", sum->constant}}));
    return success();
  }
};

/// A parameter of exactly the normalised dims, perhaps after leading dims of size 1.
bool fitsAsParameter(Value parameter, Type type) {
  Dims have = getDims(parameter), want = getDims(type);
  ArrayRef<SizeExpr> dims = have;
  while (dims.size() > want.size() && dims.front().isConstant(1))
    dims = dims.drop_front();
  return dims == ArrayRef(want) && elementOf(parameter) == cast<RankedTensorType>(type).getElementType();
}

/// norm(x, 1) * scale -> norm(x, scale); norm(x, scale) + bias -> norm(x, scale, bias).
struct ParameterIntoNorm : RewritePattern {
  explicit ParameterIntoNorm(MLIRContext *context) : RewritePattern(MatchAnyOpTypeTag(), 1, context) {}
  LogicalResult matchAndRewrite(Operation *op, PatternRewriter &rewriter) const override {
    if (!isa<MulOp, AddOp>(op))
      return failure();
    for (int i : {0, 1}) {
      Value normed = op->getOperand(i), parameter = op->getOperand(1 - i);
      Operation *norm = normed.getDefiningOp();
      if (!norm || !isa<LayerNormOp, RmsNormOp>(norm) || !norm->hasOneUse() ||
          normed.getType() != op->getResult(0).getType())
        continue;
      bool hasScale = !isSplat(norm->getOperand(1), 1) || getRank(norm->getOperand(1).getType()) != 0;
      bool hasBias = norm->getNumOperands() > 2;
      if (isa<MulOp>(op) ? hasScale || hasBias : isa<RmsNormOp>(norm) || hasBias)
        continue;
      Attributes attributes = toAttributes(norm);
      Value x = norm->getOperand(0);
      Type type = parameterType(x, attributes.getInt("axis"));
      if (!fitsAsParameter(parameter, type))
        continue;
      Value fitted = buildReshape(rewriter, op->getLoc(), parameter, type);
      SmallVector<Value> operands{x, norm->getOperand(1)};
      if (isa<MulOp>(op))
        operands[1] = fitted;
      else
        operands.push_back(fitted);
      Location loc = rewriter.getFusedLoc({norm->getLoc(), op->getLoc()});
      rewriter.replaceOp(op, buildOp(rewriter, normed.getType(), loc, mnemonicOf(norm), operands, attributes));
      return success();
    }
    return failure();
  }
};

class RaiseLayerNormPass : public impl::RaiseLayerNormBase<RaiseLayerNormPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<RaiseNorm, ParameterIntoNorm>(&getContext());
    if (failed(runPatterns(getOperation(), std::move(patterns), "RaiseLayerNorm")))
      return signalPassFailure();
    getOperation().walk([](Operation *op) {
      if (isa<LayerNormOp, RmsNormOp>(op))
        spellOutScale(op);
    });
  }

  /// A scale that stayed the scalar 1 gets the dims that kernels expect.
  static void spellOutScale(Operation *norm) {
    if (getRank(norm->getOperand(1).getType()) != 0)
      return;
    auto axis = norm->getAttrOfType<IntegerAttr>("axis");
    Value x = norm->getOperand(0);
    RankedTensorType type = parameterType(x, axis ? axis.getInt() : getRank(x.getType()) - 1);
    OpBuilder builder(norm);
    norm->setOperand(1, buildOp(builder, type, norm->getLoc(), "expand", norm->getOperand(1)));
  }
};
} // namespace
} // namespace kiln
