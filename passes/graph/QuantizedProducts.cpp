// QuantizedProducts: products of quantised operands are computed on integers, exactly.
//
//   %a = f32(i32(%qx) - zx) * sx                      %p = matmul i32(%qx) - zx, i32(%qw) - zw      (i32)
//   %w = f32(i32(%qw) - zw) * sw                      %y = f32(%p) * (sx sw / sy) + b / sy
//   %y = matmul %a, %w                        =>      u8(round(%y) + zy)
//   u8(round(relu(%y + b) / sy) + zy)
//
// In four steps: the product; zero points of its columns, which leave it; the division by a positive scale, which moves
// through what follows a product, or the sum of dequantised bytes, up to factors and biases; bounds (relu, clip) that
// the bytes saturate at anyway. Scales and zero points are constants, those of the weights one or one per column; the
// depth is such that no sum leaves i32. What is quantised otherwise is left to floating point.
//
// Runs before AlgebraicSimplify, which would move the scales, and after constants are folded.
#include "passes/Rewrite.h"
#include "passes/graph/Match.h"
#include "passes/graph/Passes.h"
#include "passes/graph/Quantization.h"

#include <cmath>

using namespace mlir;

namespace kiln {

#define GEN_PASS_DEF_QUANTIZEDPRODUCTS
#include "passes/graph/Passes.h.inc"

namespace {

Attributes castTo(const char *dtype) { return Attributes({{"to", std::string(dtype)}}); }

/// Largest magnitude of bytes less their zero point.
double magnitude(const Dequantized &operand, double zero) {
  bool isUnsigned = elementOf(operand.bytes).isUnsignedInteger();
  return std::max(std::fabs((isUnsigned ? 255 : 127) - zero), std::fabs((isUnsigned ? 0 : -128) - zero));
}

/// Whether sums of `depth` products stay within i32.
bool sumsFit(const Dequantized &a, const Dequantized &b, const SizeExpr &depth) {
  auto zeroA = a.commonZero(), zeroB = b.commonZero();
  if (!zeroA || !zeroB || std::fabs(*zeroA) > 255 || std::fabs(*zeroB) > 255 || !depth.isConstant())
    return false;
  return double(depth.constant()) * magnitude(a, *zeroA) * magnitude(b, *zeroB) < 0x1p31;
}

/// Whether all elements of a constant are moderate scales.
bool areModerateScales(Value value) {
  if (!isKnownConstant(value) || !elementOf(value).isF32())
    return false;
  Result<Tensor> tensor = readConstant(value);
  if (!tensor.ok())
    return false;
  for (int64_t i = 0; i < tensor->size(); ++i)
    if (!isModerateScale(tensor->as<float>()[i]))
      return false;
  return true;
}

/// Whether a scale of an operand of rank `rank` is one number, or varies along `axis` alone.
bool variesAlong(Value scale, int64_t rank, int64_t axis) {
  Dims dims = getDims(scale);
  for (auto [d, dim] : llvm::enumerate(dims))
    if (int64_t(d) + rank - int64_t(dims.size()) != axis && !dim.isConstant(1))
      return false;
  return true;
}

/// Such a scale as a scalar, or as a vector behind which `trailing` dims of the result follow.
Value columnScale(OpBuilder &builder, Location loc, Value scale, int64_t trailing) {
  if (auto common = splatValue(scale))
    return makeScalar(builder, loc, elementOf(scale), *common);
  Dims column(size_t(1 + trailing), SizeExpr(1));
  column[0] = tensorTypeOf(scale).getNumElements();
  return buildReshape(builder, loc, scale, makeTensorType(column, elementOf(scale)));
}

/// f32(product) * (a's scale * columns).
Value rescaled(OpBuilder &builder, Location loc, Value product, double scale, Value columns) {
  Type f32 = builder.getF32Type();
  Value factor = buildOp(builder, columns.getType(), loc, "mul", {columns, makeScalar(builder, loc, f32, scale)});
  Type type = makeTensorType(getDims(product), f32);
  Value numbers = buildOp(builder, type, loc, "cast", product, castTo("f32"));
  return buildOp(builder, type, loc, "mul", {numbers, factor});
}

/// Whether there are kernels for a convolution of bytes with this filter: of one channel a group, depthwise ones over
/// one or two dims.
bool mayBeOfBytes(ConvOp op) {
  Dims filter = getDims(op.getW());
  if (op.getGroups() == 1 || !filter[1].isConstant(1))
    return true;
  constexpr int64_t widestKernel = 16;
  std::optional<int64_t> width = filter.back().asConstant();
  return filter[0].isConstant(int64_t(op.getGroups())) && filter.size() <= 4 && width && *width <= widestKernel;
}

struct IntegerConv : OpRewritePattern<ConvOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ConvOp op, PatternRewriter &rewriter) const override {
    auto x = dequantized(op.getX()), w = dequantized(op.getW());
    if (!x || !w || op.getLayout() == "nhwc" || !mayBeOfBytes(op) || !isConstant(w->bytes) || !x->commonScale() ||
        !isModerateScale(*x->commonScale()) || !areModerateScales(w->scale))
      return failure();
    Dims filter = getDims(op.getW());
    SizeExpr depth(1);
    for (const SizeExpr &dim : ArrayRef(filter).drop_front())
      depth = depth * dim;
    int64_t rank = int64_t(filter.size());
    if (!variesAlong(w->scale, rank, 0) || !sumsFit(*x, *w, depth))
      return failure();
    Location loc = op.getLoc();
    Value columns = columnScale(rewriter, loc, w->scale, rank - 2);
    Dims dims = getDims(op.getResult());
    Value product =
        buildOp(rewriter, makeTensorType(dims, rewriter.getI32Type()), loc, "conv",
                {centeredBytes(rewriter, loc, x->bytes, x->zero), centeredBytes(rewriter, loc, w->bytes, w->zero)},
                toAttributes(op));
    Value y = rescaled(rewriter, loc, product, *x->commonScale(), columns);
    if (Value bias = op.getBias()) {
      Dims channel(size_t(rank - 1), SizeExpr(1));
      channel[0] = filter[0];
      bias = buildReshape(rewriter, loc, bias, makeTensorType(channel, elementOf(bias)));
      y = buildOp(rewriter, op.getType(), loc, "add", {y, bias});
    }
    rewriter.replaceOp(op, y);
    return success();
  }
};

struct IntegerMatMul : OpRewritePattern<MatMulOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MatMulOp op, PatternRewriter &rewriter) const override {
    // Weights may be transposed after they were dequantised.
    Value b = op.getB();
    bool transposed = op.getTransposeB() != 0;
    if (auto transpose = b.getDefiningOp<TransposeOp>(); transpose && swapsLastTwo(transpose.getPerm())) {
      b = transpose.getX();
      transposed = !transposed;
    }
    auto x = dequantized(op.getA()), w = dequantized(b);
    int64_t rank = getRank(b.getType());
    if (!x || !w || rank < 2 || getRank(op.getA().getType()) < 2 || !isConstant(w->bytes) || !x->commonScale() ||
        !isModerateScale(*x->commonScale()) || !areModerateScales(w->scale))
      return failure();
    int64_t column = transposed ? rank - 2 : rank - 1;
    if (!variesAlong(w->scale, rank, column) || !sumsFit(*x, *w, getDims(b)[size_t(transposed ? rank - 1 : rank - 2)]))
      return failure();
    Location loc = op.getLoc();
    Value product =
        buildOp(rewriter, makeTensorType(getDims(op.getResult()), rewriter.getI32Type()), loc, "matmul",
                {centeredBytes(rewriter, loc, x->bytes, x->zero), centeredBytes(rewriter, loc, w->bytes, w->zero)},
                {{"transpose_a", int64_t(op.getTransposeA())}, {"transpose_b", int64_t(transposed)}});
    rewriter.replaceOp(op,
                       rescaled(rewriter, loc, product, *x->commonScale(), columnScale(rewriter, loc, w->scale, 0)));
    return success();
  }
};

/// Whether ConstantFold will make a constant of `value`.
bool isConstantExpression(Value value) {
  if (isKnownConstant(value))
    return true;
  Operation *op = value.getDefiningOp();
  return isa_and_nonnull<CastOp, MulOp, DivOp, ReshapeOp>(op) && llvm::all_of(op->getOperands(), isConstantExpression);
}

/// i32(bytes) - [z, z ...] -> i32(bytes) - z, of zero points that are bytes too: kernels take one that is a number.
struct CommonZero : OpRewritePattern<SubOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(SubOp op, PatternRewriter &rewriter) const override {
    Value y = op.getY();
    if (auto cast = y.getDefiningOp<CastOp>(); cast && isByteTensor(cast.getX()))
      y = cast.getX();
    auto zero = splatValue(y);
    if (!zero || getRank(y.getType()) == 0 || op.getX().getType() != op.getType() ||
        !elementOf(op.getX()).isSignlessInteger(32) || !widensBytes(op.getX().getDefiningOp()))
      return failure();
    Value number = makeScalar(rewriter, op.getLoc(), elementOf(op.getX()), *zero);
    rewriter.replaceOp(op, buildOp(rewriter, op.getType(), op.getLoc(), "sub", {op.getX(), number}));
    return success();
  }
};

/// a * (i32(bytes) - [z0, z1 ...]), a zero point for each column -> a * i32(bytes) - rows(a) * [z0, z1 ...], where
/// rows(a) are sums of rows: kernels multiply bytes. Both are exact, and wrap alike.
struct ZeroOfColumns : OpRewritePattern<MatMulOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MatMulOp op, PatternRewriter &rewriter) const override {
    auto sub = op.getB().getDefiningOp<SubOp>();
    if (!sub || getRank(op.getB().getType()) != 2 || op.getTransposeA() || getRank(op.getA().getType()) < 2 ||
        !isConstantExpression(sub.getY()) || splatValue(sub.getY()) || sub.getX().getType() != op.getB().getType() ||
        !elementOf(sub.getX()).isSignlessInteger(32) || !isa_and_nonnull<CastOp>(sub.getX().getDefiningOp()) ||
        !widensBytes(sub.getX().getDefiningOp()) || !widensBytes(op.getA().getDefiningOp()) ||
        !variesAlong(sub.getY(), 2, op.getTransposeB() ? 0 : 1))
      return failure();
    Location loc = op.getLoc();
    Value product = buildOp(rewriter, op.getType(), loc, "matmul", {op.getA(), sub.getX()}, toAttributes(op));
    Dims dims = getDims(op.getA());
    dims.back() = SizeExpr(1);
    Attributes attributes({{"kind", std::string("sum")}, {"keepdims", int64_t(1)}});
    attributes.set("axes", std::vector<int64_t>{int64_t(dims.size()) - 1});
    Type i32 = elementOf(op.getResult());
    Value sums = buildOp(rewriter, makeTensorType(dims, i32), loc, "reduce", op.getA(), attributes);
    Value zeros =
        buildReshape(rewriter, loc, sub.getY(), makeTensorType(Dims{tensorTypeOf(sub.getY()).getNumElements()}, i32));
    Value excess = buildOp(rewriter, op.getType(), loc, "mul", {sums, zeros});
    rewriter.replaceOp(op, buildOp(rewriter, op.getType(), loc, "sub", {product, excess}));
    return success();
  }
};

// --- the scale that results are divided by

/// A constant operand of a commutative op, and the other one, of the result's type.
struct WithOperand {
  Value x, constant;
};
template <typename OpT> std::optional<WithOperand> withConstantOperand(Value value) {
  auto op = value.getDefiningOp<OpT>();
  if (!op)
    return std::nullopt;
  for (unsigned i : {1u, 0u})
    if (isConstantExpression(op->getOperand(i)) && op->getOperand(1 - i).getType() == value.getType())
      return WithOperand{op->getOperand(1 - i), op->getOperand(i)};
  return std::nullopt;
}

/// Bytes times a scale.
bool isScaledBytes(Value value) {
  auto bytes = dequantized(value);
  return bytes && bytes->commonScale() && isModerateScale(*bytes->commonScale());
}

/// f32(i32 product), bytes times a scale, and what divideProduct can move a division through.
bool isScaledProduct(Value value, int depth = 0) {
  constexpr int farthest = 8;
  if (isScaledBytes(value))
    return depth > 0;
  if (depth > farthest || !value.hasOneUse())
    return false;
  if (auto add = value.getDefiningOp<AddOp>(); add && add.getX().getType() == value.getType() &&
                                               add.getY().getType() == value.getType() &&
                                               isScaledProduct(add.getX(), depth + 1))
    return isScaledProduct(add.getY(), depth + 1);
  if (auto cast = value.getDefiningOp<CastOp>())
    return elementOf(cast.getX()).isSignlessInteger(32) &&
           isa_and_nonnull<ConvOp, MatMulOp>(cast.getX().getDefiningOp());
  if (auto relu = value.getDefiningOp<ReluOp>())
    return isScaledProduct(relu.getX(), depth + 1);
  auto with = withConstantOperand<MulOp>(value);
  for (auto other :
       {withConstantOperand<AddOp>(value), withConstantOperand<MaxOp>(value), withConstantOperand<MinOp>(value)})
    if (!with)
      with = other;
  return with && isScaledProduct(with->x, depth + 1);
}

/// value / scale, scale > 0, of such a value.
Value divideProduct(PatternRewriter &rewriter, Value value, Value scale) {
  Location loc = value.getLoc();
  auto build = [&](StringRef mnemonic, ValueRange operands) {
    return buildOp(rewriter, value.getType(), loc, mnemonic, operands);
  };
  auto divided = [&](Value constant) { return buildOp(rewriter, constant.getType(), loc, "div", {constant, scale}); };
  if (auto add = value.getDefiningOp<AddOp>(); add && !withConstantOperand<AddOp>(value))
    return build("add", {divideProduct(rewriter, add.getX(), scale), divideProduct(rewriter, add.getY(), scale)});
  if (value.getDefiningOp<CastOp>())
    return build("mul", {value, divided(makeScalar(rewriter, loc, elementOf(value), 1))});
  if (auto relu = value.getDefiningOp<ReluOp>())
    return build("relu", divideProduct(rewriter, relu.getX(), scale));
  if (auto factor = withConstantOperand<MulOp>(value))
    return factor->x.getDefiningOp<CastOp>()
               ? build("mul", {factor->x, divided(factor->constant)})
               : build("mul", {divideProduct(rewriter, factor->x, scale), factor->constant});
  WithOperand with{};
  if (auto sum = withConstantOperand<AddOp>(value))
    with = *sum;
  else if (auto max = withConstantOperand<MaxOp>(value))
    with = *max;
  else
    with = *withConstantOperand<MinOp>(value);
  return build(mnemonicOf(value.getDefiningOp()), {divideProduct(rewriter, with.x, scale), divided(with.constant)});
}

/// round(y / s) -> round(y'), the division moved into the constants of y.
struct DivisionIntoProduct : OpRewritePattern<RoundOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(RoundOp op, PatternRewriter &rewriter) const override {
    auto div = op.getX().getDefiningOp<DivOp>();
    if (!div || !div->hasOneUse() || !elementOf(div.getX()).isF32() || div.getX().getType() != div.getType())
      return failure();
    auto scale = splatValue(div.getY());
    if (!scale || !isModerateScale(*scale) || !isScaledProduct(div.getX()))
      return failure();
    Value divisor = makeScalar(rewriter, op.getLoc(), elementOf(div.getX()), *scale);
    Value divided = divideProduct(rewriter, div.getX(), divisor);
    rewriter.replaceOp(op, buildOp(rewriter, op.getType(), op.getLoc(), "round", divided));
    return success();
  }
};

/// A bound in front of bytes that saturate there, or closer: u8(round(relu(x)) + 0) -> u8(round(x)).
struct BoundOfBytes : OpRewritePattern<CastOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(CastOp op, PatternRewriter &rewriter) const override {
    auto bytes = quantized(op.getResult());
    if (!bytes || !bytes->round->hasOneUse() || !op.getX().hasOneUse())
      return failure();
    // Perhaps divided by a scale.
    OpOperand *place = &bytes->round->getOpOperand(0);
    double scale = 1;
    if (auto div = bytes->x.getDefiningOp<DivOp>()) {
      auto divisor = splatValue(div.getY());
      if (!divisor || !isModerateScale(*divisor) || !div->hasOneUse())
        return failure();
      scale = *divisor;
      place = &div->getOpOperand(0);
    }
    Value bounded = place->get(), x;
    if (auto relu = bounded.getDefiningOp<ReluOp>(); relu && bytes->least >= 0)
      x = relu.getX();
    else if (auto max = withConstant<MaxOp>(bounded); max && max->constant / scale <= bytes->least)
      x = max->x;
    else if (auto min = withConstant<MinOp>(bounded); min && min->constant / scale >= bytes->most)
      x = min->x;
    if (!x)
      return failure();
    rewriter.modifyOpInPlace(place->getOwner(), [&] { place->set(x); });
    return success();
  }
};

class QuantizedProductsPass : public impl::QuantizedProductsBase<QuantizedProductsPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<IntegerConv, IntegerMatMul, CommonZero, ZeroOfColumns, DivisionIntoProduct, BoundOfBytes>(
        &getContext());
    if (failed(runPatterns(getOperation(), std::move(patterns), "QuantizedProducts")))
      signalPassFailure();
  }
};
} // namespace
} // namespace kiln
