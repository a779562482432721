// LoopInvariantMotion: what every iteration of a loop computes alike is computed once, before it.
//
//   %y = kiln.loop @f ... with(%w)                         %1 = kiln.transpose %w
//   func @f(%i, %c, %s, %w) {                              %y = kiln.loop @f ... with(%w, %1)
//     %1 = kiln.transpose %w                        =>     func @f(%i, %c, %s, %w, %1) {
//     %2 = kiln.matmul %s, %1 ... }                          %2 = kiln.matmul %s, %1 ... }
//
// An op moves if it needs nothing but what the loop hands over, cannot fail, and makes nothing larger than what it
// reads; a reshape or transpose only goes along with work. A loop may have no iteration: then the work was for nothing,
// but it asks no more of sizes than was known before.
//
// A carried value that the body hands on as it is, is handed over instead: nothing copies it from iteration to
// iteration, and the loop's result is the initial value.
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

/// Whether carried value `i` is the same in all iterations.
bool isKept(LoopOp loop, Block &body, unsigned i) {
  return body.getTerminator()->getOperand(1 + i) == body.getArgument(2 + i) &&
         loop.getResult(i).getType() == loop.getInitial()[i].getType() &&
         llvm::none_of(loop.getVarying(), [&](int64_t dim) { return dim / 64 == int64_t(i); });
}

/// The loop with carried values that are kept handed over; nothing where it gives no others.
LoopOp handOverKept(LoopOp loop, func::FuncOp body) {
  Block &block = body.getBody().front();
  Operation *end = block.getTerminator();
  SmallVector<bool> kept;
  for (unsigned i = 0; i < loop.getInitial().size(); ++i)
    kept.push_back(isKept(loop, block, i) && takeFuel(loop, "LoopInvariantMotion"));
  if (!llvm::is_contained(kept, true))
    return loop;
  SmallVector<Value> initial, inputs(loop.getInputs());
  SmallVector<Type> types;
  SmallVector<int64_t> varying;
  for (auto [i, value] : llvm::enumerate(loop.getInitial())) {
    if (kept[i]) {
      inputs.push_back(value);
      BlockArgument argument = block.getArgument(unsigned(2 + i));
      argument.replaceAllUsesWith(block.addArgument(argument.getType(), argument.getLoc()));
      continue;
    }
    for (int64_t dim : loop.getVarying())
      if (dim / 64 == int64_t(i))
        varying.push_back(int64_t(initial.size()) * 64 + dim % 64);
    initial.push_back(value);
    types.push_back(loop.getResult(unsigned(i)).getType());
  }
  for (Value stacked : loop.getResults().drop_front(kept.size()))
    types.push_back(stacked.getType());
  for (unsigned i = unsigned(kept.size()); i-- > 0;)
    if (kept[i]) {
      end->eraseOperand(1 + i);
      block.eraseArgument(2 + i);
    }
  body.setType(FunctionType::get(body.getContext(), block.getArgumentTypes(), end->getOperandTypes()));
  if (types.empty()) {
    for (auto [result, value] : llvm::zip(loop.getResults(), loop.getInitial()))
      result.replaceAllUsesWith(value);
    loop.erase();
    return {};
  }
  OpBuilder b(loop);
  auto without = b.create<LoopOp>(loop.getLoc(), types, loop.getCount(), loop.getCondition(), initial, inputs,
                                  loop.getBodyAttr(), b.getDenseI64ArrayAttr(varying), loop.getCountedAttr());
  auto next = without->result_begin();
  for (auto [i, result] : llvm::enumerate(loop.getResults()))
    result.replaceAllUsesWith(i < kept.size() && kept[i] ? Value(loop.getInitial()[i]) : Value(*next++));
  loop.erase();
  return without;
}

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
           llvm::none_of(op->getOperands(),
                         [&](Value operand) { return getDims(operand) == getDims(op->getResult(0)); });
  }

  /// Whether the first table holds a check, an equality or a range that the second one does not.
  static bool asksMore(const SizeTable &asked, const SizeTable &before) {
    auto ranges = [](const SizeTable &sizes) {
      return llvm::to_vector(
          llvm::map_range(sizes.symbols(), [](const SizeTable::Symbol &symbol) { return symbol.print(); }));
    };
    return asked.checks().size() != before.checks().size() || asked.mergeCount() != before.mergeCount() ||
           ranges(asked) != ranges(before);
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
    if (!cast<KilnOpInterface>(before).inferShapes(context).ok() || asksMore(asked, outer)) {
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
    body.setType(
        FunctionType::get(body.getContext(), body.getBody().front().getArgumentTypes(), body.getResultTypes()));
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
        loop = handOverKept(loop, body);
        if (!loop)
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
