// SinkReshapes: elementwise ops before reshapes instead of after them.
//
//   %1 = kiln.matmul %a, %b : [128, 768]                       %1 = kiln.matmul %a, %b : [128, 768]
//   %2 = kiln.reshape %1    : [1, 128, 768]             =>     %2 = kiln.add %1, %bias : [128, 768]
//   %3 = kiln.add %2, %bias : [1, 128, 768]                    %3 = kiln.reshape %2    : [1, 128, 768]
//
// A reshape costs nothing at run time (the buffer is the same), but it parts what kernel forming would put together. It
// moves below an elementwise op (ReshapeBelow.h) when it has no other user. Another operand of the result's dims must
// be a reshape itself; or anything where a contraction or window is what is reshaped, whose epilogue the elementwise op
// then can be. AlgebraicSimplify moves reshapes to a higher rank before, whoever else uses them.
//
// Runs right before FormKernels; nothing else wants reshapes in this form.
#include "passes/graph/Passes.h"

#include "dialects/kiln/Build.h"
#include "dialects/kiln/Dialect.h"
#include "passes/Rewrite.h"
#include "passes/graph/ReshapeBelow.h"

namespace kiln {

#define GEN_PASS_DEF_SINKRESHAPES
#include "passes/graph/Passes.h.inc"

using mlir::Operation;
using mlir::Value;

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

static void sink(Operation *op, mlir::OpBuilder &builder) {
  for (Value operand : op->getOperands()) {
    Operation *reshape = operand.getDefiningOp();
    if (!reshape || !isView(reshape) || !operand.hasOneUse())
      continue;
    Value source = reshape->getOperand(0);
    if (!llvm::isa_and_nonnull<KilnOpInterface>(source.getDefiningOp()) || isConstant(source))
      continue; // moving it gains nothing
    bool afterAnchor = endsEpilogue(source);
    auto mayReshape = [&](Value other) {
      return afterAnchor || (other.getDefiningOp() && isView(other.getDefiningOp()));
    };
    if (!mayMoveBelow(op, operand, mayReshape))
      continue;
    if (!takeFuel(op, "SinkReshapes"))
      return;
    builder.setInsertionPoint(op);
    op->getResult(0).replaceAllUsesWith(moveBelow(builder, op, operand));
    op->erase();
    if (reshape->use_empty())
      reshape->erase();
    return;
  }
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
        if (isPointwise(op))
          sink(op, builder);
      }
    }
  }
};
} // namespace

} // namespace kiln
