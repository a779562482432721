// SinkReshapes: elementwise ops before reshapes instead of after them.
//
//   %1 = kiln.matmul %a, %b : [128, 768]                       %1 = kiln.matmul %a, %b : [128, 768]
//   %2 = kiln.reshape %1    : [1, 128, 768]             =>     %2 = kiln.add %1, %bias : [128, 768]
//   %3 = kiln.add %2, %bias : [1, 128, 768]                    %3 = kiln.reshape %2    : [1, 128, 768]
//
// A reshape costs nothing at run time (the buffer is the same), but it parts what kernel forming would put together. It
// sinks below an elementwise op when each other operand (1) is a single element, or (2) varies only along trailing dims
// that the reshape leaves alone, or (3) has the full dims of the result and is a reshape itself, or anything where a
// contraction or window is what is reshaped, whose epilogue the elementwise op then can be. The reshape must have no
// other user.
//
// Runs right before FormKernels; nothing else wants reshapes in this form.
#include "passes/graph/Passes.h"

#include "dialects/kiln/Build.h"
#include "dialects/kiln/Dialect.h"
#include "passes/Rewrite.h"

namespace kiln {

#define GEN_PASS_DEF_SINKRESHAPES
#include "passes/graph/Passes.h.inc"

using llvm::ArrayRef;
using mlir::Operation;
using mlir::Value;

static bool isStaticReshape(Operation *op) { return op && mnemonicOf(op) == "reshape" && op->getNumOperands() == 1; }

static bool isUnit(ArrayRef<SizeExpr> dims) {
  return llvm::all_of(dims, [](const SizeExpr &dim) { return dim.isConstant(1); });
}

/// Number of trailing dims that are the same on both sides.
static size_t commonSuffix(ArrayRef<SizeExpr> a, ArrayRef<SizeExpr> b) {
  size_t n = 0;
  while (n < a.size() && n < b.size() && !a[a.size() - 1 - n].isInvalid() && a[a.size() - 1 - n] == b[b.size() - 1 - n])
    ++n;
  return n;
}

/// Whether `other` can stand beside values of dims `inner` instead of `outer`.
static bool fits(Value other, ArrayRef<SizeExpr> outer, ArrayRef<SizeExpr> inner, bool afterAnchor) {
  Dims dims = getDims(other);
  if (isUnit(dims))
    return true;
  if (ArrayRef<SizeExpr>(dims) == outer)
    return afterAnchor || isStaticReshape(other.getDefiningOp());
  // Leading unit dims do not matter: the rest must lie in the common suffix.
  size_t significant = dims.size();
  for (size_t i = 0; i < dims.size() && dims[i].isConstant(1); ++i)
    --significant;
  return significant <= commonSuffix(outer, inner);
}

/// `other` as an operand beside values of dims `inner`.
static Value adapt(mlir::OpBuilder &builder, Value other, ArrayRef<SizeExpr> outer, ArrayRef<SizeExpr> inner) {
  Dims dims = getDims(other);
  mlir::Type element = llvm::cast<mlir::RankedTensorType>(other.getType()).getElementType();
  if (isUnit(dims) && dims.size() <= inner.size())
    return other;
  if (ArrayRef<SizeExpr>(dims) == outer && !isUnit(dims)) {
    Operation *reshape = other.getDefiningOp();
    if (isStaticReshape(reshape) && ArrayRef<SizeExpr>(getDims(reshape->getOperand(0))) == inner)
      return reshape->getOperand(0);
    return buildReshape(builder, other.getLoc(), other, makeTensorType(inner, element));
  }
  if (dims.size() <= inner.size())
    return other;
  Dims shorter(dims.end() - inner.size(), dims.end());
  return buildReshape(builder, other.getLoc(), other, makeTensorType(shorter, element));
}

/// Whether `value` is, or may become, the end of the epilogue of a contraction or window: elementwise ops without other
/// users lead to one.
static bool endsEpilogue(Value value, int depth = 16) {
  auto op = llvm::dyn_cast_or_null<KilnOpInterface>(value.getDefiningOp());
  if (!op || depth == 0)
    return false;
  FusionRole role = op.getFusionRole();
  if (role == FusionRole::Contraction || role == FusionRole::Window)
    return true;
  return role == FusionRole::Elementwise && llvm::any_of(op->getOperands(), [&](Value operand) {
           return operand.hasOneUse() && operand.getType() == value.getType() && endsEpilogue(operand, depth - 1);
         });
}

static bool sink(Operation *op, mlir::OpBuilder &builder) {
  Value result = op->getResult(0);
  Dims outer = getDims(result);
  for (Value operand : op->getOperands()) {
    Operation *reshape = operand.getDefiningOp();
    if (!isStaticReshape(reshape) || !operand.hasOneUse() ||
        !(ArrayRef<SizeExpr>(getDims(operand)) == ArrayRef<SizeExpr>(outer)))
      continue;
    Value source = reshape->getOperand(0);
    auto producer = llvm::dyn_cast_or_null<KilnOpInterface>(source.getDefiningOp());
    if (!producer || isConstant(source))
      continue; // moving it gains nothing
    bool afterAnchor = endsEpilogue(source);
    Dims inner = getDims(source);
    bool all = llvm::all_of(op->getOperands(),
                            [&](Value other) { return other == operand || fits(other, outer, inner, afterAnchor); });
    if (!all)
      continue;
    if (!takeFuel(op, "SinkReshapes"))
      return false;
    builder.setInsertionPoint(op);
    llvm::SmallVector<Value> operands;
    for (Value other : op->getOperands())
      operands.push_back(other == operand ? source : adapt(builder, other, outer, inner));
    Operation *sunk = builder.clone(*op);
    sunk->setOperands(operands);
    mlir::Type element = llvm::cast<mlir::RankedTensorType>(result.getType()).getElementType();
    sunk->getResult(0).setType(makeTensorType(inner, element));
    Value back = buildReshape(builder, reshape->getLoc(), sunk->getResult(0), result.getType());
    result.replaceAllUsesWith(back);
    op->erase();
    if (reshape->use_empty())
      reshape->erase();
    return true;
  }
  return false;
}

namespace {
struct SinkReshapes : impl::SinkReshapesBase<SinkReshapes> {
  void runOnOperation() override {
    mlir::OpBuilder builder(&getContext());
    for (mlir::Block &block : getOperation().getBody()) {
      llvm::SmallVector<Operation *> ops;
      for (Operation &op : block)
        ops.push_back(&op);
      // In program order: what sinks below one op is seen by the next. Each op moves once, so this ends.
      for (Operation *op : ops) {
        auto kilnOp = llvm::dyn_cast<KilnOpInterface>(op);
        if (kilnOp && kilnOp.getFusionRole() == FusionRole::Elementwise && op->getNumResults() == 1 &&
            mnemonicOf(op) != "batch_norm")
          sink(op, builder);
      }
    }
  }
};
} // namespace

} // namespace kiln
