// LoopInvariantMotion: what every iteration of a loop computes alike is computed once, before it.
//
//   %y = kiln.loop @f ... with(%w)                         %1 = kiln.transpose %w
//   func @f(%i, %c, %s, %w) {                              %y = kiln.loop @f ... with(%w, %1)
//     %1 = kiln.transpose %w                        =>     func @f(%i, %c, %s, %w, %1) {
//     %2 = kiln.matmul %s, %1 ... }                          %2 = kiln.matmul %s, %1 ... }
//
// An op moves if it needs nothing but what the loop hands over, cannot fail, and makes nothing larger than what it reads;
// a reshape or transpose only goes along with work. A loop may have no iteration: then the work was for nothing, but it
// asks no more of sizes than was known before.
//
// Runs before Specialize, which drops what the body does not use any more, and InferShapes.
#include "dialects/kiln/Build.h"
#include "dialects/kiln/ControlFlow.h"
#include "dialects/kiln/Ops.h"
#include "dialects/kiln/SizeTable.h"
#include "passes/Rewrite.h"
#include "passes/graph/Passes.h"

#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace kiln {

#define GEN_PASS_DEF_LOOPINVARIANTMOTION
#include "passes/graph/Passes.h.inc"

namespace {

/// Ops that compute, whatever their operands hold.
bool isWork(Operation *op) {
  auto kilnOp = dyn_cast<KilnOpInterface>(op);
  if (!kilnOp)
    return false;
  FusionRole role = kilnOp.getFusionRole();
  return role == FusionRole::Elementwise || role == FusionRole::Reduction || role == FusionRole::Contraction ||
         role == FusionRole::Window;
}

bool isMovement(Operation *op) { return isa<TransposeOp>(op) || (isa<ReshapeOp>(op) && op->getNumOperands() == 1); }

class Mover {
public:
  Mover(LoopOp loop, func::FuncOp body) : loop(loop), body(body) {}

  Status run() {
    KILN_ASSIGN(SizeTable outer, SizeTable::read(functionOf(loop)));
    KILN_ASSIGN(SizeTable inner, SizeTable::read(body));
    SizeBridge bridge(outer, inner);
    Callee callee = calleesOf(loop)[0];
    bridgeArguments(loop, callee, body.getArgumentTypes(), bridge);
    for (auto [i, input] : llvm::enumerate(callee.inputs))
      outside.map(body.getArgument(callee.leading + unsigned(i)), input);
    findInvariant();
    OpBuilder b(loop);
    size_t moved = 0;
    while (moved < moving.size() && takeFuel(moving[moved], "LoopInvariantMotion") &&
           moveOut(moving[moved], b, outer, bridge)) // what comes later may need it
      ++moved;
    for (Operation *op : llvm::reverse(ArrayRef(moving).take_front(moved)))
      if (op->use_empty())
        op->erase();
    outer.write(functionOf(loop));
    return Status();
  }

private:
  /// Ops that need only what is handed over, in order, less those whose results serve nothing that moves.
  void findInvariant() {
    llvm::SetVector<Operation *> invariant;
    auto isKnown = [&](Value value) {
      Operation *definition = value.getDefiningOp();
      return definition ? isa<ConstantOp>(definition) || invariant.contains(definition) : outside.contains(value);
    };
    for (Operation &op : body.getBody().front().without_terminator())
      if ((isMovement(&op) || (isWork(&op) && !grows(&op))) && !mayTellSize(&op) &&
          llvm::all_of(op.getOperands(), isKnown) && !llvm::all_of(op.getOperands(), isKnownConstant))
        invariant.insert(&op);
    llvm::SmallPtrSet<Operation *, 16> serving;
    for (Operation *op : llvm::reverse(invariant))
      if (isWork(op) || llvm::any_of(op->getUsers(), [&](Operation *user) { return serving.contains(user); }))
        serving.insert(op);
    for (Operation *op : invariant)
      if (serving.contains(op))
        moving.push_back(op);
  }

  static bool grows(Operation *op) {
    return cast<KilnOpInterface>(op).getFusionRole() == FusionRole::Elementwise &&
           llvm::none_of(op->getOperands(), [&](Value operand) {
             return getDims(operand) == getDims(op->getResult(0));
           });
  }

  /// Makes the op again before the loop, and its results inputs of the body. False where its dims are not known there.
  bool moveOut(Operation *op, OpBuilder &b, SizeTable &outer, const SizeBridge &bridge) {
    SmallVector<Type> types;
    for (Type type : op->getResultTypes()) {
      Dims dims;
      for (const SizeExpr &dim : getDims(type)) {
        dims.push_back(bridge.outside(dim, body.getArgumentTypes()));
        if (dims.back().isInvalid())
          return false;
      }
      types.push_back(outer.tensorType(dims, cast<RankedTensorType>(type).getElementType()));
    }
    for (Value operand : op->getOperands())
      if (auto constant = operand.getDefiningOp<ConstantOp>(); constant && !outside.contains(operand))
        outside.map(operand, b.clone(*constant)->getResult(0));
    Operation *before = b.clone(*op, outside);
    for (auto [result, type] : llvm::zip(before->getResults(), types))
      result.setType(type);
    // The body may require of sizes what no iteration has to meet.
    SizeTable asked = outer;
    ShapeContext context(asked);
    if (!cast<KilnOpInterface>(before).inferShapes(context).ok() || asked.checks().size() != outer.checks().size() ||
        asked.mergeCount() != outer.mergeCount()) {
      before->erase();
      return false;
    }
    for (auto [result, known] : llvm::zip(op->getResults(), before->getResults())) {
      outside.map(result, known);
      if (llvm::all_of(result.getUsers(), [&](Operation *user) { return llvm::is_contained(moving, user); }))
        continue;
      loop.getInputsMutable().append(known);
      BlockArgument argument = body.getBody().front().addArgument(result.getType(), op->getLoc());
      result.replaceUsesWithIf(argument, [&](OpOperand &use) { return !llvm::is_contained(moving, use.getOwner()); });
    }
    body.setType(FunctionType::get(body.getContext(), body.getBody().front().getArgumentTypes(), body.getResultTypes()));
    return true;
  }

  LoopOp loop;
  func::FuncOp body;
  IRMapping outside; // values of the body -> the same before the loop
  SmallVector<Operation *> moving;
};

class LoopInvariantMotion : public impl::LoopInvariantMotionBase<LoopInvariantMotion> {
  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    // Callees come after their callers: what leaves an inner loop may leave the outer one too.
    auto functions = llvm::to_vector(getOperation().getOps<func::FuncOp>());
    for (func::FuncOp function : llvm::reverse(functions))
      for (Operation &op : llvm::make_early_inc_range(function.getBody().front())) {
        auto loop = dyn_cast<LoopOp>(&op);
        auto body = loop ? symbols.lookup<func::FuncOp>(loop.getBody()) : func::FuncOp();
        if (!body)
          continue;
        if (Status status = Mover(loop, body).run(); !status.ok()) {
          emitError(loop.getLoc(), status);
          return signalPassFailure();
        }
      }
  }
};

} // namespace
} // namespace kiln
