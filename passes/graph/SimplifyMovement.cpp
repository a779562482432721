// AlgebraicSimplify, movement: what moves nothing vanishes, what moves twice moves once, and reshapes move down to
// where they meet another.
#include "dialects/kiln/HostValues.h"
#include "passes/graph/Match.h"
#include "passes/graph/Quantization.h"
#include "passes/graph/ReshapeBelow.h"
#include "passes/graph/Simplify.h"
#include "runtime/base/PlantedBug.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace kiln {
namespace {

/// Whether a resize that keeps all sizes samples each element itself: in every mode, but at scales that merely round to
/// the same size, and of a part of x.
static bool samplesItself(ResizeOp op) {
  if (op.getCoordinates() == "tf_crop_and_resize")
    return false;
  if (op.getBounds().empty())
    return llvm::all_of(op.getScales(), [](double scale) { return float(scale) == 1; });
  return op.getBounds().size() == 1 && op.getPolicy() == "stretch" && elementOf(op.getBounds()[0]).isInteger();
}

/// Ops that give back their operand: whole slices, expand and tile to the same dims, pads of nothing, concat of one,
/// resizes to the same size.
struct NoMovement : RewritePattern {
  explicit NoMovement(MLIRContext *context) : RewritePattern(MatchAnyOpTypeTag(), 1, context) {}
  LogicalResult matchAndRewrite(Operation *op, PatternRewriter &rewriter) const override {
    if (!isa<SliceOp, ExpandOp, TileOp, PadOp, ConcatOp, ReshapeOp, TransposeOp, ResizeOp>(op))
      return failure();
    Value x = op->getOperand(0);
    auto type = cast<RankedTensorType>(op->getResult(0).getType());
    // Equal dims must be known as equal: no `?` without a name.
    if (x.getType() != type || llvm::any_of(getDims(type), [](const SizeExpr &d) { return d.isInvalid(); }))
      return failure();
    bool same =
        llvm::TypeSwitch<Operation *, bool>(op)
            .Case([](SliceOp slice) {
              // The same size with step 1 leaves no room for another start.
              return slice.getBounds().size() < 4 && llvm::all_of(slice.getSteps(), [](int64_t s) { return s == 1; });
            })
            .Case<ExpandOp, TileOp, ReshapeOp>([](auto) { return true; })
            .Case([](PadOp pad) {
              return pad.getBounds().empty() && llvm::all_of(pad.getPads(), [](int64_t p) { return p == 0; });
            })
            .Case([](ConcatOp concat) { return concat.getXs().size() == 1; })
            .Case([](TransposeOp transpose) { return llvm::is_sorted(transpose.getPerm()); })
            .Case([](ResizeOp resize) { return samplesItself(resize); })
            .Default(false);
    if (!same)
      return failure();
    rewriter.replaceOp(op, x);
    return success();
  }
};

/// gather x, constant [3, 5, 7]  ->  slice x {starts = 3, steps = 2}. Kernels copy slices, and read operands through
/// them.
struct GatherOfSlice : OpRewritePattern<GatherOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(GatherOp op, PatternRewriter &rewriter) const override {
    Dims x = getDims(op.getX());
    auto axis = static_cast<int64_t>(op.getAxis());
    axis += axis < 0 ? int64_t(x.size()) : 0;
    std::optional<int64_t> size = x[axis].asConstant();
    if (!size || !isKnownConstant(op.getIndices()) || getRank(op.getIndices().getType()) > 1 || isSizeArithmetic(op))
      return failure();
    Result<Tensor> indices = readConstant(op.getIndices());
    if (!indices.ok() || indices->size() == 0)
      return failure();
    SmallVector<int64_t> at;
    for (int64_t i = 0; i < indices->size(); ++i) {
      at.push_back(indices->dtype() == DType::I64 ? indices->as<int64_t>()[i] : indices->as<int32_t>()[i]);
      at.back() += at.back() < 0 ? *size : 0;
      int64_t step = i > 0 ? at[1] - at[0] : 1;
      // One that is out of range is an error of the run.
      if (at.back() < 0 || at.back() >= *size || step < 1 || at.back() != at[0] + i * step)
        return failure();
    }
    Attributes slice;
    slice.set("starts", std::vector<int64_t>{at[0]});
    slice.set("ends", std::vector<int64_t>{at.back() + 1});
    slice.set("axes", std::vector<int64_t>{axis});
    slice.set("steps", std::vector<int64_t>{at.size() > 1 ? at[1] - at[0] : 1});
    x[axis] = int64_t(at.size());
    Value y = buildOp(rewriter, makeTensorType(x, elementOf(op.getX())), op.getLoc(), "slice", op.getX(), slice);
    rewriter.replaceOp(op, buildReshape(rewriter, op.getLoc(), y, op.getType()));
    return success();
  }
};

struct MergeTransposes : OpRewritePattern<TransposeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(TransposeOp op, PatternRewriter &rewriter) const override {
    auto inner = op.getX().getDefiningOp<TransposeOp>();
    if (!inner)
      return failure();
    SmallVector<int64_t> perm;
    for (int64_t axis : op.getPerm())
      perm.push_back(inner.getPerm()[axis]);
    rewriter.replaceOp(
        op, buildOp(rewriter, op.getType(), op.getLoc(), "transpose", inner.getX(), attribute("perm", perm)));
    return success();
  }
};

/// A transpose that leaves the order of all dims but those of size 1 is a reshape.
struct UnitTranspose : OpRewritePattern<TransposeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(TransposeOp op, PatternRewriter &rewriter) const override {
    ArrayRef<int64_t> shape = tensorTypeOf(op.getX()).getShape();
    int64_t previous = -1;
    for (int64_t axis : op.getPerm()) {
      if (shape[axis] == 1 || (shape[axis] == 2 && shape.size() == 3 && plantedBug("transpose-stride")))
        continue;
      if (axis < previous)
        return failure();
      previous = axis;
    }
    rewriter.replaceOp(op, buildReshape(rewriter, op.getLoc(), op.getX(), op.getType()));
    return success();
  }
};

struct MergeReshapes : OpRewritePattern<ReshapeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ReshapeOp op, PatternRewriter &rewriter) const override {
    auto inner = op.getX().getDefiningOp<ReshapeOp>();
    // A shape operand may copy dims of the reshape between; that of the reshape between may tell them.
    if (!inner || op.getShape() || inner.getShape())
      return failure();
    rewriter.replaceOp(op, buildReshape(rewriter, op.getLoc(), inner.getX(), op.getType()));
    return success();
  }
};

/// reshape(transpose(reshape(x))) that merges leading dims, swaps the last two and splits the leading ones again: one
/// transpose.
struct TransposeUnderMergedDims : OpRewritePattern<ReshapeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ReshapeOp op, PatternRewriter &rewriter) const override {
    auto transpose = op.getX().getDefiningOp<TransposeOp>();
    auto merge = transpose ? transpose.getX().getDefiningOp<ReshapeOp>() : ReshapeOp();
    if (!merge || op.getShape() || merge.getShape() || !swapsLastTwo(transpose.getPerm()))
      return failure();
    Dims x = getDims(merge.getX()), merged = getDims(merge.getResult()), split = getDims(op.getResult());
    size_t rank = x.size();
    if (rank < 2 || split.size() != rank || x[rank - 1] != merged.back() || x[rank - 2] != merged[merged.size() - 2])
      return failure();
    Dims expected = x;
    std::swap(expected[rank - 1], expected[rank - 2]);
    if (split != expected || llvm::any_of(x, [](const SizeExpr &d) { return d.isInvalid(); }))
      return failure();
    SmallVector<int64_t> perm = llvm::to_vector(llvm::seq<int64_t>(0, rank));
    std::swap(perm[rank - 1], perm[rank - 2]);
    rewriter.replaceOp(
        op, buildOp(rewriter, op.getType(), op.getLoc(), "transpose", merge.getX(), attribute("perm", perm)));
    return success();
  }
};

/// An elementwise op broadcasts by itself: an expand in front of it goes where another operand (or what is expanded)
/// has the same dim.
struct ExpandBeforeElementwise : OpRewritePattern<ExpandOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ExpandOp op, PatternRewriter &rewriter) const override {
    if (!op->hasOneUse())
      return failure();
    OpOperand &use = *op->use_begin();
    Operation *consumer = use.getOwner();
    if (!isPointwise(consumer))
      return failure();
    Dims result = getDims(consumer->getResult(0)), x = getDims(op.getX());
    auto has = [&](const Dims &dims, size_t i) {
      size_t missing = result.size() - dims.size();
      return i >= missing && dims[i - missing] == result[i];
    };
    // The dims of size 1 that an expand prepends count too: without them the result's rank would be another.
    for (size_t i = 0; i < result.size(); ++i) {
      bool found = !result[i].isInvalid() && has(x, i);
      for (OpOperand &operand : consumer->getOpOperands())
        found |= !result[i].isInvalid() && &operand != &use && has(getDims(operand.get()), i);
      if (!found)
        return failure();
    }
    Value source = op.getX();
    rewriter.modifyOpInPlace(consumer, [&] { use.set(source); });
    return success();
  }
};

/// transpose(f32(i32(x) - z) * s) of bytes x -> f32(i32(transpose(x)) - z) * s, step by step: bytes move, and are
/// reshaped.
struct MoveBytes : RewritePattern {
  explicit MoveBytes(MLIRContext *context) : RewritePattern(MatchAnyOpTypeTag(), 1, context) {}
  LogicalResult matchAndRewrite(Operation *op, PatternRewriter &rewriter) const override {
    auto reshape = dyn_cast<ReshapeOp>(op);
    if (!(reshape && !reshape.getShape()) && !isa<TransposeOp>(op))
      return failure();
    Value wide = op->getOperand(0);
    Operation *widening = wide.getDefiningOp();
    if (!widensBytes(widening) ||
        llvm::any_of(getDims(op->getResult(0)), [](const SizeExpr &dim) { return dim.isInvalid(); }))
      return failure();
    Value x = widening->getOperand(0);
    Type type = makeTensorType(getDims(op->getResult(0)), elementOf(x));
    Value moved = buildOp(rewriter, type, op->getLoc(), mnemonicOf(op), x, toAttributes(op));
    SmallVector<Value> operands{moved};
    if (widening->getNumOperands() == 2) {
      Value number = widening->getOperand(1);
      if (auto constant = splatValue(number))
        number = makeScalar(rewriter, op->getLoc(), elementOf(number), *constant);
      else
        number = buildReshape(rewriter, op->getLoc(), number, makeTensorType({}, elementOf(number)));
      operands.push_back(number);
    }
    rewriter.replaceOp(op, buildOp(rewriter, op->getResult(0).getType(), widening->getLoc(), mnemonicOf(widening),
                                   operands, toAttributes(widening)));
    return success();
  }
};

// --- reshapes move down

/// A reshape to a higher rank, by which an op may as well work at the lower one.
ReshapeOp splittingReshape(Value value) {
  auto reshape = value.getDefiningOp<ReshapeOp>();
  if (!reshape || reshape.getShape() || getRank(reshape.getX().getType()) >= getRank(value.getType()))
    return {};
  for (const SizeExpr &dim : llvm::concat<const SizeExpr>(getDims(reshape.getX()), getDims(value)))
    if (dim.isInvalid())
      return {};
  return reshape;
}

/// How many trailing dims are the same on both sides of a reshape.
size_t sharedTrailing(ReshapeOp reshape) {
  Dims from = getDims(reshape.getX()), to = getDims(reshape.getResult());
  size_t count = 0;
  while (count < from.size() && count < to.size() && from[from.size() - 1 - count] == to[to.size() - 1 - count])
    ++count;
  return count;
}

/// Elementwise work at the lower rank.
struct ReshapeBelowElementwise : RewritePattern {
  explicit ReshapeBelowElementwise(MLIRContext *context) : RewritePattern(MatchAnyOpTypeTag(), 1, context) {}
  LogicalResult matchAndRewrite(Operation *op, PatternRewriter &rewriter) const override {
    if (!isPointwise(op))
      return failure();
    Dims dims = getDims(op->getResult(0));
    ReshapeOp reshape;
    for (Value operand : op->getOperands())
      if (ReshapeOp candidate = splittingReshape(operand); candidate && getDims(operand) == dims)
        if (!reshape || getRank(candidate.getX().getType()) < getRank(reshape.getX().getType()))
          reshape = candidate;
    if (!reshape || !mayMoveBelow(op, reshape, [](Value) { return true; }))
      return failure();
    rewriter.replaceOp(op, moveBelow(rewriter, op, reshape));
    return success();
  }
};

/// The same for ops along the last dim, where the reshape leaves that dim alone: softmax, norms, slices of it.
struct ReshapeBelowLastDim : RewritePattern {
  explicit ReshapeBelowLastDim(MLIRContext *context) : RewritePattern(MatchAnyOpTypeTag(), 1, context) {}
  LogicalResult matchAndRewrite(Operation *op, PatternRewriter &rewriter) const override {
    if (!isa<SoftmaxOp, LogSoftmaxOp, LayerNormOp, RmsNormOp, SliceOp>(op))
      return failure();
    ReshapeOp reshape = splittingReshape(op->getOperand(0));
    if (!reshape || sharedTrailing(reshape) < 1)
      return failure();
    int64_t rank = getRank(reshape.getType()), lowerRank = getRank(reshape.getX().getType());
    Attributes attributes = toAttributes(op);
    SmallVector<Value> operands{reshape.getX()};
    Dims dims = getDims(reshape.getX());
    if (auto slice = dyn_cast<SliceOp>(op)) {
      if (!slice.getBounds().empty() || slice.getAxes() != ArrayRef<int64_t>(rank - 1))
        return failure();
      attributes.set("axes", std::vector<int64_t>{lowerRank - 1});
      dims.back() = getDims(op->getResult(0)).back();
    } else {
      int64_t axis = attributes.getInt("axis");
      if (axis != rank - 1 && axis != -1)
        return failure();
      attributes.set("axis", kiln::Attribute(lowerRank - 1));
      for (Value parameter : op->getOperands().drop_front()) {
        if (getRank(parameter.getType()) > 1)
          return failure();
        operands.push_back(parameter);
      }
    }
    Type type = makeTensorType(dims, elementOf(op->getResult(0)));
    Value lower = buildOp(rewriter, type, op->getLoc(), mnemonicOf(op), operands, attributes);
    rewriter.replaceOp(op, buildReshape(rewriter, op->getLoc(), lower, op->getResult(0).getType()));
    return success();
  }
};

} // namespace

void addMovementPatterns(RewritePatternSet &patterns) {
  patterns.add<NoMovement, GatherOfSlice, MergeTransposes, UnitTranspose, MergeReshapes, TransposeUnderMergedDims,
               ExpandBeforeElementwise, MoveBytes, ReshapeBelowElementwise, ReshapeBelowLastDim>(patterns.getContext());
}

} // namespace kiln
