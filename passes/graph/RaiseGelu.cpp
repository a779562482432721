// RaiseGelu: activations spelled out as products become the op.
//
//   x * (erf(x / sqrt(2)) + 1) * 0.5                                        ->  gelu(x)
//   x * (tanh(sqrt(2/pi) * (x + 0.044715 * x^3)) + 1) * 0.5                 ->  gelu(x) {tanh = 1}
//   x * sigmoid(x)                                                          ->  silu(x)
//   x * hard_sigmoid(x) {alpha = 1/6, beta = 1/2}, x * clip(x + 3, 0, 6) / 6 ->  hard_swish(x)
//
// Exporters differ in the order of the factors and in where the constants stand, so the product is taken apart into
// factors and compared as a whole.
#include "passes/Rewrite.h"
#include "passes/graph/Match.h"
#include "passes/graph/Passes.h"

using namespace mlir;

namespace kiln {

#define GEN_PASS_DEF_RAISEGELU
#include "passes/graph/Passes.h.inc"

namespace {

/// A product: a constant and the other factors.
struct Product {
  double constant = 1;
  SmallVector<Value, 4> factors;

  /// Whether `x` is a factor `count` times; removes them.
  bool take(Value x, int count) {
    for (; count > 0; --count) {
      auto it = llvm::find(factors, x);
      if (it == factors.end())
        return false;
      factors.erase(it);
    }
    return true;
  }
};

/// Takes a product apart; `leaf` stays whole.
void collect(Value value, Value leaf, Product &product, int depth = 0) {
  if (value != leaf && depth < 6) {
    if (auto scaled = scaledBy(value)) {
      product.constant *= scaled->constant;
      return collect(scaled->x, leaf, product, depth + 1);
    }
    if (auto mul = value.getDefiningOp<MulOp>()) {
      collect(mul.getX(), leaf, product, depth + 1);
      return collect(mul.getY(), leaf, product, depth + 1);
    }
    if (auto pow = value.getDefiningOp<PowOp>())
      for (int exponent : {2, 3})
        if (isSplat(pow.getY(), exponent) && pow.getX().getType() == value.getType()) {
          for (int i = 0; i < exponent; ++i)
            collect(pow.getX(), leaf, product, depth + 1);
          return;
        }
  }
  product.factors.push_back(value);
}
Product productOf(Value value, Value leaf) {
  Product product;
  collect(value, leaf, product);
  return product;
}

/// Whether `value` is constant * x^power.
bool isPowerOf(Value value, Value x, double constant, int power) {
  Product product = productOf(value, x);
  return isConstantFor(product.constant, constant, elementOf(x)) && product.take(x, power) && product.factors.empty();
}

/// Whether `value` is sqrt(2/pi) * (x + 0.044715 x^3) or sqrt(2/pi) * x * (1 + 0.044715 x^2).
bool isTanhArgument(Value value, Value x) {
  Product product = productOf(value, x);
  if (!isConstantFor(product.constant, 0.7978845608028654, elementOf(x)))
    return false;
  if (product.factors.size() == 2 && product.take(x, 1)) {
    auto sum = withConstant<AddOp>(product.factors[0]);
    return sum && sum->constant == 1 && isPowerOf(sum->x, x, 0.044715, 2);
  }
  Value cubic = product.factors.size() == 1 ? otherOperand<AddOp>(product.factors[0], x) : Value();
  return cubic && isPowerOf(cubic, x, 0.044715, 3);
}

/// The x of a tanh argument: the operand that appears by itself.
SmallVector<Value, 4> tanhCandidates(Value argument) {
  SmallVector<Value, 4> candidates;
  for (Value factor : productOf(argument, {}).factors) {
    candidates.push_back(factor);
    if (auto add = factor.getDefiningOp<AddOp>())
      candidates.append({add.getX(), add.getY()});
  }
  return candidates;
}

struct Activation {
  Value x;
  StringRef name;
  Attributes attributes;
};

/// The activation that a product is, by the factor that is peculiar to it.
std::optional<Activation> activationOf(Value root) {
  auto isProduct = [&](Value x, Value peculiar, double constant) {
    Product product = productOf(root, x);
    return isConstantFor(product.constant, constant, elementOf(root)) && product.take(x, 1) &&
           product.take(peculiar, 1) && product.factors.empty();
  };
  for (Value factor : productOf(root, {}).factors) {
    if (auto sum = withConstant<AddOp>(factor); sum && sum->constant == 1) {
      if (auto erf = sum->x.getDefiningOp<ErfOp>())
        if (auto scaled = scaledBy(erf.getX()))
          if (isConstantFor(scaled->constant, 0.7071067811865476, elementOf(root)) && isProduct(scaled->x, factor, 0.5))
            return Activation{scaled->x, "gelu", {}};
      if (auto tanh = sum->x.getDefiningOp<TanhOp>())
        for (Value x : tanhCandidates(tanh.getX()))
          if (x.getType() == root.getType() && isTanhArgument(tanh.getX(), x) && isProduct(x, factor, 0.5))
            return Activation{x, "gelu", {{"tanh", int64_t(1)}}};
    }
    if (auto sigmoid = factor.getDefiningOp<SigmoidOp>())
      if (isProduct(sigmoid.getX(), factor, 1))
        return Activation{sigmoid.getX(), "silu", {}};
    if (auto hard = factor.getDefiningOp<HardSigmoidOp>())
      if (isConstantFor(hard.getAlpha().convertToDouble(), 1.0 / 6, elementOf(root)) &&
          hard.getBeta().convertToDouble() == 0.5 && isProduct(hard.getX(), factor, 1))
        return Activation{hard.getX(), "hard_swish", {}};
    if (auto top = withConstant<MinOp>(factor); top && top->constant == 6) {
      auto bottom = withConstant<MaxOp>(top->x);
      Value inner = bottom && bottom->constant == 0 ? bottom->x : Value();
      if (auto relu = top->x.getDefiningOp<ReluOp>())
        inner = relu.getX();
      auto shifted = inner ? withConstant<AddOp>(inner) : std::nullopt;
      if (shifted && shifted->constant == 3 && isProduct(shifted->x, factor, 1.0 / 6))
        return Activation{shifted->x, "hard_swish", {}};
    }
  }
  return std::nullopt;
}

struct RaiseActivation : RewritePattern {
  explicit RaiseActivation(MLIRContext *context) : RewritePattern(MatchAnyOpTypeTag(), 1, context) {}
  LogicalResult matchAndRewrite(Operation *op, PatternRewriter &rewriter) const override {
    if (!isa<MulOp, DivOp>(op) || !isFloatTensor(op->getResult(0)))
      return failure();
    Type type = op->getResult(0).getType();
    auto activation = activationOf(op->getResult(0));
    if (!activation || activation->x.getType() != type)
      return failure();
    rewriter.replaceOp(op,
                       buildOp(rewriter, type, op->getLoc(), activation->name, activation->x, activation->attributes));
    return success();
  }
};

class RaiseGeluPass : public impl::RaiseGeluBase<RaiseGeluPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<RaiseActivation>(&getContext());
    if (failed(runPatterns(getOperation(), std::move(patterns), "RaiseGelu")))
      signalPassFailure();
  }
};
} // namespace
} // namespace kiln
