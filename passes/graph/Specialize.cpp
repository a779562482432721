// Specialize: functions that control flow calls get what is known where they are called.
//
//   %c = kiln.constant ...                                func @f(%x, %w) { %0 = kiln.add %x, %w ... }
//   %y = kiln.if %b then @f(%x, %c) else @g()
//                                                  =>
//   %y = kiln.if %b then @f(%x) else @g()                 func @f(%x) { %w = kiln.constant ...
//                                                                       %0 = kiln.add %x, %w ... }
//
// - A constant that is handed over is made in the function instead, where kernels can have it packed.
// - An argument that the function does not use is not handed over; what is computed for it alone becomes dead. One that
//   alone tells a size which a check or a type is about is used.
// - An if whose condition is a constant is replaced by what its branch does.
// - A value that both branches of an if are handed and give back is that value, and no result.
//
// Runs after the first ConstantFold, which makes conditions constant; InferShapes follows, since functions that know
// more know more sizes. Functions that nobody calls any more are removed.
#include "dialects/kiln/Build.h"
#include "dialects/kiln/ControlFlow.h"
#include "dialects/kiln/Ops.h"
#include "dialects/kiln/SizeTable.h"
#include "passes/Rewrite.h"
#include "passes/graph/Passes.h"

#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/SmallPtrSet.h"

#include <map>

using namespace mlir;

namespace kiln {

#define GEN_PASS_DEF_SPECIALIZE
#include "passes/graph/Passes.h.inc"

namespace {

class SpecializePass : public impl::SpecializeBase<SpecializePass> {
  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    inlined.clear();
    // Callers come before what they call, so one walk in order takes a constant all the way in.
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      if (inlined.count(function)) // its ops are those of its caller now, and so are the functions that they call
        continue;
      for (Operation *op = &function.getBody().front().front(); op;) {
        if (auto branch = dyn_cast<IfOp>(op);
            branch && isConstant(branch.getCondition()) && takeFuel(op, "Specialize")) {
          op = inlineBranch(branch, symbols);
          continue;
        }
        if (auto branch = dyn_cast<IfOp>(op))
          if (Operation *without = passBy(branch, symbols); without != op) {
            op = without;
            continue;
          }
        for (size_t i = 0; i < calleesOf(op).size(); ++i)
          specialize(op, i, symbols);
        op = op->getNextNode();
      }
    }
    removeUncalled(symbols);
    // Values that came from a branch may be known better than it was.
    for (auto function : getOperation().getOps<func::FuncOp>())
      function.setType(FunctionType::get(&getContext(), function.getFunctionType().getInputs(),
                                         function.getBody().front().getTerminator()->getOperandTypes()));
  }

  /// The if without results that are a value which either branch is handed; what follows it where it has no others.
  Operation *passBy(IfOp op, SymbolTable &symbols) {
    SmallVector<Operation *, 2> ends;
    for (const Callee &callee : calleesOf(op))
      if (auto function = symbols.lookup<func::FuncOp>(callee.symbol.getValue()))
        ends.push_back(function.getBody().front().getTerminator());
    if (ends.size() != 2 || ends[0] == ends[1])
      return op;
    auto handed = [&](size_t which, unsigned result) {
      auto argument = dyn_cast<BlockArgument>(ends[which]->getOperand(result));
      return argument ? Value(calleesOf(op)[which].inputs[argument.getArgNumber()]) : Value();
    };
    SmallVector<Type> types;
    SmallVector<Value> remaining;
    for (unsigned i = op.getNumResults(); i-- > 0;) {
      Value value = handed(0, i);
      if (!value || value != handed(1, i) || value.getType() != op.getResult(i).getType() ||
          !takeFuel(op, "Specialize")) {
        types.insert(types.begin(), op.getResult(i).getType());
        remaining.insert(remaining.begin(), op.getResult(i));
        continue;
      }
      op.getResult(i).replaceAllUsesWith(value);
      for (Operation *end : ends)
        end->eraseOperand(i);
    }
    if (remaining.size() == op.getNumResults())
      return op;
    for (Operation *end : ends) {
      auto function = cast<func::FuncOp>(end->getParentOp());
      function.setType(
          FunctionType::get(&getContext(), function.getFunctionType().getInputs(), end->getOperandTypes()));
    }
    if (types.empty()) {
      Operation *next = op->getNextNode();
      op.erase();
      return next;
    }
    OpBuilder b(op);
    auto without = b.create<IfOp>(op.getLoc(), types, op.getCondition(), op.getThenInputs(), op.getElseInputs(),
                                  op.getThenFunctionAttr(), op.getElseFunctionAttr());
    for (auto [before, now] : llvm::zip(remaining, without.getResults()))
      before.replaceAllUsesWith(now);
    op.erase();
    return without;
  }

  /// What the function need not be handed.
  void specialize(Operation *op, size_t which, SymbolTable &symbols) {
    Callee callee = calleesOf(op)[which];
    auto function = symbols.lookup<func::FuncOp>(callee.symbol.getValue());
    if (!function)
      return;
    for (size_t i = callee.inputs.size(); i-- > 0;) {
      BlockArgument argument = function.getArgument(callee.leading + unsigned(i));
      auto constant = callee.inputs[i].getDefiningOp<ConstantOp>();
      if (argument.use_empty() ? tellsSize(function, argument) : !constant)
        continue;
      if (!takeFuel(op, "Specialize"))
        continue;
      if (!argument.use_empty()) {
        OpBuilder b = OpBuilder::atBlockBegin(&function.getBody().front());
        argument.replaceAllUsesWith(b.clone(*constant)->getResult(0));
      }
      function.eraseArgument(argument.getArgNumber());
      inputsOf(op, which).erase(unsigned(i));
      callee = calleesOf(op)[which];
    }
  }

  /// Whether the argument alone tells a size that a check or a type in the function is about.
  static bool tellsSize(func::FuncOp function, BlockArgument argument) {
    std::set<std::string> own, others;
    for (BlockArgument each : function.getArguments())
      for (const SizeExpr &dim : getDims(each))
        dim.collectSymbols(each == argument ? own : others);
    if (std::includes(others.begin(), others.end(), own.begin(), own.end()))
      return false;
    Result<SizeTable> sizes = SizeTable::read(function);
    if (!sizes.ok())
      return true;
    std::set<std::string> used;
    for (const SizeTable::Check &check : sizes->checks()) {
      sizes->expand(check.a).collectSymbols(used);
      sizes->expand(check.b).collectSymbols(used);
    }
    auto note = [&](Value value) {
      for (const SizeExpr &dim : getDims(value))
        sizes->expand(dim).collectSymbols(used);
    };
    for (BlockArgument each : function.getArguments())
      if (each != argument)
        note(each);
    function.walk([&](Operation *op) { llvm::for_each(op->getResults(), note); });
    return llvm::any_of(own, [&](const std::string &name) { return !others.count(name) && used.count(name); });
  }

  static MutableOperandRange inputsOf(Operation *op, size_t which) {
    if (auto call = dyn_cast<CallOp>(op))
      return call.getInputsMutable();
    if (auto branch = dyn_cast<IfOp>(op))
      return which == 0 ? branch.getThenInputsMutable() : branch.getElseInputsMutable();
    return cast<LoopOp>(op).getInputsMutable();
  }

  /// Returns the op to go on with.
  Operation *inlineBranch(IfOp op, SymbolTable &symbols) {
    Operation *next = op->getNextNode();
    Result<Tensor> condition = readConstant(op.getCondition());
    if (!condition.ok())
      return next;
    Callee callee = calleesOf(op)[*condition->as<uint8_t>() ? 0 : 1];
    auto function = symbols.lookup<func::FuncOp>(callee.symbol.getValue());
    if (!function)
      return next;
    // Its sizes are its own: in the types of its values they become those of the function around them.
    Operation *caller = functionOf(op);
    Result<SizeTable> outer = SizeTable::read(caller), inner = SizeTable::read(function);
    if (!outer.ok() || !inner.ok())
      return next;
    SizeBridge bridge(*outer, *inner);
    bridgeArguments(op, callee, function.getArgumentTypes(), bridge);
    std::map<std::string, SizeExpr> fromData; // inside -> a new one outside
    auto told = [&](const std::string &name) {
      auto [known, isNew] = fromData.try_emplace(name, SizeExpr(0));
      if (isNew)
        known->second = outer->fresh();
      return known->second;
    };
    auto outside = [&](RankedTensorType type) {
      Dims dims;
      for (const SizeExpr &dim : getDims(type))
        dims.push_back(bridge.outside(dim, function.getArgumentTypes(), told));
      return outer->tensorType(dims, type.getElementType());
    };
    IRMapping mapping;
    mapping.map(function.getArguments(), callee.inputs);
    OpBuilder b(op);
    Operation *first = nullptr;
    for (Operation &original : function.getBody().front().without_terminator()) {
      Operation *copy = b.clone(original, mapping);
      first = first ? first : copy;
      for (Value result : copy->getResults())
        result.setType(outside(cast<RankedTensorType>(result.getType())));
    }
    for (auto [result, returned] :
         llvm::zip(op.getResults(), function.getBody().front().getTerminator()->getOperands())) {
      Value value = mapping.lookup(returned);
      // A size that the branch told is that of its value; other types may name it.
      for (auto [told, dim] : llvm::zip(getDims(result), getDims(value)))
        if (auto name = told.asSymbol(); name && SizeTable::isFromData(*name) && !dim.isInvalid() && !(told == dim))
          if (Status status = outer->resolve(*name, dim); !status.ok()) {
            emitError(op.getLoc(), status);
            signalPassFailure();
            return next;
          }
      result.replaceAllUsesWith(value);
    }
    op.erase();
    outer->write(caller);
    inlined.insert(function);
    return first ? first : next;
  }

  void removeUncalled(SymbolTable &symbols) {
    llvm::SetVector<Operation *> called;
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (function.isPublic())
        called.insert(function);
    for (size_t i = 0; i < called.size(); ++i)
      called[i]->walk([&](Operation *op) {
        for (const Callee &callee : calleesOf(op))
          if (Operation *function = symbols.lookup(callee.symbol.getValue()))
            called.insert(function);
      });
    for (auto function : llvm::make_early_inc_range(getOperation().getOps<func::FuncOp>()))
      if (!called.count(function))
        symbols.erase(function);
  }

  llvm::SmallPtrSet<Operation *, 8> inlined; // functions that were the branch of an if: nobody else calls them
};

} // namespace
} // namespace kiln
