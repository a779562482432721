// AlgebraicSimplify, contractions: what stands around matmul and convolution moves into their attributes, weights or
// result.
#include "passes/graph/Match.h"
#include "passes/graph/Simplify.h"

#include <cmath>

using namespace mlir;

namespace kiln {
namespace {

/// matmul(transpose(a), b), matmul(a, transpose(b)) that swap the last two dims: flags.
struct TransposeIntoMatMul : OpRewritePattern<MatMulOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MatMulOp op, PatternRewriter &rewriter) const override {
    bool flags[2] = {op.getTransposeA() != 0, op.getTransposeB() != 0}, changed = false;
    Value operands[2] = {op.getA(), op.getB()};
    for (int i : {0, 1})
      if (auto transpose = operands[i].getDefiningOp<TransposeOp>(); transpose && swapsLastTwo(transpose.getPerm())) {
        operands[i] = transpose.getX();
        flags[i] = !flags[i];
        changed = true;
      }
    if (!changed)
      return failure();
    rewriter.replaceOp(op, buildOp(rewriter, op.getType(), op.getLoc(), "matmul", operands,
                                   {{"transpose_a", int64_t(flags[0])}, {"transpose_b", int64_t(flags[1])}}));
    return success();
  }
};

/// Whether a factor may move from an operand of a product to its result: not in a 16-bit type, whose range is what
/// models scale operands for, nor when it is lost or subnormal in the type.
bool mayScaleResult(double factor, Type element) {
  if (element.isF64())
    return std::isnormal(factor);
  return element.isF32() && std::isnormal(float(factor));
}

/// matmul(q * c, k * d) -> matmul(q, k) * (c d) for two computed operands: one factor on the result, where it joins
/// whatever follows. (Before a product with weights the scalar joins what computes the operand.)
struct ScalarBehindMatMul : OpRewritePattern<MatMulOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MatMulOp op, PatternRewriter &rewriter) const override {
    if (isConstant(op.getA()) || isConstant(op.getB()))
      return failure();
    Type element = elementOf(op.getResult());
    double factor = 1;
    Value operands[2] = {op.getA(), op.getB()};
    for (Value &operand : operands)
      if (auto scaled = withConstant<MulOp>(operand);
          scaled && operand.hasOneUse() && mayScaleResult(scaled->constant, element)) {
        operand = scaled->x;
        factor *= scaled->constant;
      }
    if ((operands[0] == op.getA() && operands[1] == op.getB()) || !mayScaleResult(factor, element))
      return failure();
    Value product = buildOp(rewriter, op.getType(), op.getLoc(), "matmul", operands, toAttributes(op));
    Value constant = makeScalar(rewriter, op.getLoc(), element, factor);
    rewriter.replaceOp(op, buildOp(rewriter, op.getType(), op.getLoc(), "mul", {product, constant}));
    return success();
  }
};

/// transpose(x * c) -> transpose(x) * c with one use each: brings the scalar to the matmul behind the transpose.
struct ScalarBehindTranspose : OpRewritePattern<TransposeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(TransposeOp op, PatternRewriter &rewriter) const override {
    auto scaled = withConstant<MulOp>(op.getX());
    if (!scaled || !op.getX().hasOneUse() || !op->hasOneUse() || !isa<MatMulOp>(*op->user_begin()) ||
        !mayScaleResult(scaled->constant, elementOf(op.getX())))
      return failure();
    Value moved = buildOp(rewriter, op.getType(), op.getLoc(), "transpose", scaled->x, toAttributes(op));
    Value constant = makeScalar(rewriter, op.getLoc(), elementOf(moved), scaled->constant);
    rewriter.replaceOp(op, buildOp(rewriter, op.getType(), op.getLoc(), "mul", {moved, constant}));
    return success();
  }
};

/// matmul(a[.., m, k], b[k, n]) -> reshape(matmul(reshape(a)[.. * m, k], b)): one large product instead of many small
/// ones.
struct FlattenMatMul : OpRewritePattern<MatMulOp> {
  FlattenMatMul(MLIRContext *context, SizeTable &sizes) : OpRewritePattern(context), sizes(sizes) {}
  LogicalResult matchAndRewrite(MatMulOp op, PatternRewriter &rewriter) const override {
    Dims a = getDims(op.getA()), b = getDims(op.getB());
    if (a.size() <= 2 || op.getTransposeA())
      return failure();
    ArrayRef<SizeExpr> batch = ArrayRef(b).drop_back(2);
    if (!llvm::all_of(batch, [](const SizeExpr &d) { return d.isConstant(1); }) || b.size() > a.size() ||
        llvm::any_of(a, [](const SizeExpr &d) { return d.isInvalid(); }) || b.back().isInvalid() ||
        b[b.size() - 2].isInvalid())
      return failure();
    SizeExpr rows(1);
    for (const SizeExpr &dim : ArrayRef(a).drop_back())
      rows = rows * sizes.expand(dim);
    Type element = elementOf(op.getResult());
    Location loc = op.getLoc();
    Value flat = buildReshape(rewriter, loc, op.getA(), sizes.tensorType({rows, a.back()}, element));
    Value weights = buildReshape(rewriter, loc, op.getB(), makeTensorType(ArrayRef(b).take_back(2), element));
    Type type = sizes.tensorType({rows, getDims(op.getResult()).back()}, element);
    Value product =
        buildOp(rewriter, type, loc, "matmul", {flat, weights}, attribute("transpose_b", int64_t(op.getTransposeB())));
    rewriter.replaceOp(op, buildReshape(rewriter, loc, product, op.getType()));
    return success();
  }

private:
  SizeTable &sizes;
};

// --- normalisation with given statistics: x * s + t with s = scale / sqrt(variance + epsilon), t = bias - mean * s

struct ScaleAndShift {
  Value scale, shift; // vectors, one element per channel
};

/// As ops on constants, which ConstantFold evaluates.
ScaleAndShift scaleAndShift(BatchNormOp op, PatternRewriter &rewriter) {
  Location loc = op.getLoc();
  Type type = op.getScale().getType();
  Value epsilon = makeScalar(rewriter, loc, elementOf(op.getVariance()), op.getEpsilon().convertToDouble());
  Value variance = buildOp(rewriter, type, loc, "add", {op.getVariance(), epsilon});
  Value deviation = buildOp(rewriter, type, loc, "sqrt", variance);
  Value scale = buildOp(rewriter, type, loc, "div", {op.getScale(), deviation});
  Value centre = buildOp(rewriter, type, loc, "mul", {op.getMean(), scale});
  return {scale, buildOp(rewriter, type, loc, "sub", {op.getBias(), centre})};
}

bool hasConstantParameters(BatchNormOp op) {
  return llvm::all_of(op->getOperands().drop_front(),
                      [&](Value v) { return isConstant(v) && v.getType() == op.getScale().getType(); });
}

/// batch_norm(conv(x, w, b)) -> conv(x, w * s, b * s + t).
struct BatchNormIntoConv : OpRewritePattern<BatchNormOp> {
  BatchNormIntoConv(MLIRContext *context) : OpRewritePattern(context, /*benefit=*/2) {}
  LogicalResult matchAndRewrite(BatchNormOp op, PatternRewriter &rewriter) const override {
    auto conv = op.getX().getDefiningOp<ConvOp>();
    if (!conv || !conv->hasOneUse() || !isKnownConstant(conv.getW()) ||
        (conv.getBias() && !isKnownConstant(conv.getBias())) || !hasConstantParameters(op) ||
        !llvm::all_of(op->getOperands().drop_front(), isKnownConstant))
      return failure();
    int64_t channel = conv.getLayout() == "nhwc" ? getRank(op.getType()) - 1 : 1;
    if (int64_t(op.getChannelAxis()) != channel || elementOf(conv.getW()) != elementOf(op.getScale()))
      return failure();
    Location loc = rewriter.getFusedLoc({conv.getLoc(), op.getLoc()});
    auto [scale, shift] = scaleAndShift(op, rewriter);
    auto weights = tensorTypeOf(conv.getW());
    Dims column(weights.getRank(), SizeExpr(1));
    column[0] = SizeExpr(weights.getDimSize(0));
    Value perOutput = buildReshape(rewriter, loc, scale, makeTensorType(column, weights.getElementType()));
    Value w = buildOp(rewriter, weights, loc, "mul", {conv.getW(), perOutput});
    Value bias = shift;
    if (conv.getBias()) {
      Value scaled = buildOp(rewriter, scale.getType(), loc, "mul", {conv.getBias(), scale});
      bias = buildOp(rewriter, scale.getType(), loc, "add", {scaled, shift});
    }
    rewriter.replaceOp(op, buildOp(rewriter, op.getType(), loc, "conv", {conv.getX(), w, bias}, toAttributes(conv)));
    return success();
  }
};

/// batch_norm(x) -> x * s + t.
struct BatchNormToMulAdd : OpRewritePattern<BatchNormOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(BatchNormOp op, PatternRewriter &rewriter) const override {
    if (!hasConstantParameters(op) || elementOf(op.getX()) != elementOf(op.getScale()))
      return failure();
    auto [scale, shift] = scaleAndShift(op, rewriter);
    int64_t rank = getRank(op.getType()), axis = op.getChannelAxis();
    Dims dims(rank - axis, SizeExpr(1));
    dims[0] = getDims(scale)[0];
    Type type = makeTensorType(dims, elementOf(scale));
    Location loc = op.getLoc();
    Value product = buildOp(rewriter, op.getType(), loc, "mul", {op.getX(), buildReshape(rewriter, loc, scale, type)});
    rewriter.replaceOp(
        op, buildOp(rewriter, op.getType(), loc, "add", {product, buildReshape(rewriter, loc, shift, type)}));
    return success();
  }
};

/// conv(x, w) + constant per channel -> conv(x, w, constant).
struct AddIntoConv : OpRewritePattern<AddOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(AddOp op, PatternRewriter &rewriter) const override {
    auto conv = op.getX().getDefiningOp<ConvOp>();
    if (!conv || !conv->hasOneUse() || conv.getBias() || !isConstant(op.getY()) || op.getType() != conv.getType())
      return failure();
    Dims dims = getDims(op.getY()), w = getDims(conv.getW());
    int64_t rank = getRank(op.getType()), channel = conv.getLayout() == "nhwc" ? rank - 1 : 1;
    for (int64_t i = 0; i < int64_t(dims.size()); ++i) {
      int64_t axis = rank - int64_t(dims.size()) + i;
      if (axis == channel ? dims[i] != w[0] : !dims[i].isConstant(1))
        return failure();
    }
    if (int64_t(dims.size()) < rank - channel)
      return failure();
    Location loc = rewriter.getFusedLoc({conv.getLoc(), op.getLoc()});
    Value bias = buildReshape(rewriter, loc, op.getY(), makeTensorType(w[0], elementOf(op.getY())));
    rewriter.replaceOp(
        op, buildOp(rewriter, op.getType(), loc, "conv", {conv.getX(), conv.getW(), bias}, toAttributes(conv)));
    return success();
  }
};

/// Rows and columns of a window that lie outside x wherever it stands, as far dilations over small images make them:
/// without them. What remains of a 3x3 window is often its middle.
struct TapsOutside : OpRewritePattern<ConvOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ConvOp op, PatternRewriter &rewriter) const override {
    Dims x = getDims(op.getX()), w = getDims(op.getW()), y = getDims(op.getResult());
    if (!isKnownConstant(op.getW()) || op.getLayout() != "nchw" || op.getAutoPad())
      return failure();
    size_t rank = w.size() - 2;
    std::vector<int64_t> pads(op.getPads()), starts, ends, axes;
    for (size_t i = 0; i < rank; ++i) {
      std::optional<int64_t> size = x[2 + i].asConstant(), made = y[2 + i].asConstant();
      if (!size || !made || *size < 1 || *made < 1)
        return failure();
      int64_t taps = w[2 + i].constant(), dilation = op.getDilations()[i];
      int64_t low = -pads[i], high = (*made - 1) * op.getStrides()[i] - pads[i]; // where the window begins
      int64_t first = 0, last = taps - 1;
      while (first < last && high + first * dilation < 0)
        ++first;
      while (last > first && low + last * dilation >= *size)
        --last;
      pads[i] -= first * dilation;
      pads[rank + i] -= (taps - 1 - last) * dilation;
      if (pads[i] < 0 || pads[rank + i] < 0)
        return failure();
      if (last - first + 1 == taps)
        continue;
      axes.push_back(int64_t(2 + i));
      starts.push_back(first);
      ends.push_back(last + 1);
      w[2 + i] = last - first + 1;
    }
    if (axes.empty())
      return failure();
    Attributes slice, conv = toAttributes(op);
    slice.set("starts", starts);
    slice.set("ends", ends);
    slice.set("axes", axes);
    slice.set("steps", std::vector<int64_t>(axes.size(), 1));
    conv.set("pads", pads);
    SmallVector<Value> operands(op->getOperands());
    operands[1] = buildOp(rewriter, makeTensorType(w, elementOf(op.getW())), op.getLoc(), "slice", op.getW(), slice);
    rewriter.replaceOp(op, buildOp(rewriter, op.getType(), op.getLoc(), "conv", operands, conv));
    return success();
  }
};

} // namespace

void addContractionPatterns(RewritePatternSet &patterns, SizeTable &sizes) {
  MLIRContext *context = patterns.getContext();
  patterns.add<TransposeIntoMatMul, ScalarBehindMatMul, ScalarBehindTranspose, BatchNormIntoConv, BatchNormToMulAdd,
               AddIntoConv, TapsOutside>(context);
  patterns.add<FlattenMatMul>(context, sizes);
}

} // namespace kiln
