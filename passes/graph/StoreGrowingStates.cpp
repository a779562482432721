// StoreGrowingStates: a state that grows is stored with its growing axis first, and added to in that order.
//
//   func @f(%past : [1, H, P, D], %new) {              func @f(%past : [P, 1, H, D], %new) {
//     %k = kiln.concat %past, %new {axis = 2}            %1 = kiln.transpose %new {perm = [2, 0, 1, 3]}
//     ... = kiln.matmul %q, %k                      =>   %2 = kiln.concat %past, %1 {axis = 0}
//     return %k                                          %k = kiln.transpose %2 {perm = [1, 2, 0, 3]}
//   }                                                    ... = kiln.matmul %q, %k
//                                                        return %2
//
// What a run adds then lies behind what was there, and nothing moves (isAppend). Kernels read a transposed operand
// where it lies. A new value that is made in another way is transposed before it is returned.
//
// Whether a state grows shows in an entry that reads and writes it; all entries agree on its order. Runs when no op
// tells a size any more that it need not; algebra, which follows, merges the transposes.
#include "dialects/kiln/Build.h"
#include "dialects/kiln/GrowingStates.h"
#include "dialects/kiln/Ops.h"
#include "passes/graph/Match.h"
#include "passes/graph/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;

namespace kiln {

#define GEN_PASS_DEF_STOREGROWINGSTATES
#include "passes/graph/Passes.h.inc"

namespace {

/// The values of a state in an entry.
struct Ends {
  std::optional<unsigned> argument, result;
};

/// Changes one entry.
class Storing {
public:
  explicit Storing(func::FuncOp function) : function(function), block(function.getBody().front()) {}

  void argument(unsigned index, size_t axis) {
    BlockArgument value = block.getArgument(index);
    OpBuilder builder = OpBuilder::atBlockBegin(&block);
    function.setArgAttr(index, growingAttrName, builder.getI64IntegerAttr(int64_t(axis)));
    Type type = value.getType();
    value.setType(orderedType(type, toStoredOrder(axis, getRank(type))));
    if (axis > 0) {
      Value inModelOrder = buildTranspose(builder, value.getLoc(), value, toModelOrder(axis, getRank(type)));
      value.replaceAllUsesExcept(inModelOrder, inModelOrder.getDefiningOp());
      stored[inModelOrder] = value;
    } else {
      stored[value] = value;
    }
  }

  void result(unsigned index, size_t axis) {
    OpOperand &returned = block.getTerminator()->getOpOperand(index);
    OpBuilder builder(block.getTerminator());
    function.setResultAttr(index, growingAttrName, builder.getI64IntegerAttr(int64_t(axis)));
    returned.set(inStoredOrder(returned.get(), axis, builder));
  }

  void finish() {
    function.setType(
        FunctionType::get(function.getContext(), block.getArgumentTypes(), block.getTerminator()->getOperandTypes()));
  }

private:
  static Type orderedType(Type type, ArrayRef<int64_t> order) {
    Dims from = getDims(type), to;
    for (int64_t d : order)
      to.push_back(from[d]);
    return makeTensorType(to, cast<RankedTensorType>(type).getElementType());
  }

  /// A value that becomes that of a state, in stored order, where the builder is or above it.
  Value inStoredOrder(Value value, size_t axis, OpBuilder builder) {
    if (Value known = stored.lookup(value))
      return known;
    auto concat = value.getDefiningOp<ConcatOp>();
    auto rank = getRank(value.getType());
    if (!concat || !addsToState(concat, axis))
      return axis > 0 ? buildTranspose(builder, value.getLoc(), value, toStoredOrder(axis, rank)) : value;
    builder.setInsertionPoint(concat);
    SmallVector<Value> parts;
    for (Value part : concat.getXs()) {
      if (parts.empty())
        parts.push_back(inStoredOrder(part, axis, builder));
      else
        parts.push_back(axis > 0 ? buildTranspose(builder, concat.getLoc(), part, toStoredOrder(axis, rank)) : part);
    }
    Value whole = buildOp(builder, orderedType(value.getType(), toStoredOrder(axis, rank)), concat.getLoc(), "concat",
                          parts, attribute("axis", int64_t(0)));
    Value inModelOrder = axis > 0 ? buildTranspose(builder, concat.getLoc(), whole, toModelOrder(axis, rank)) : whole;
    value.replaceAllUsesWith(inModelOrder);
    concat.erase();
    stored[inModelOrder] = whole;
    return whole;
  }

  /// Whether a concat joins a state's value before the run, first, with others along the axis.
  bool addsToState(ConcatOp concat, size_t axis) {
    auto along = int64_t(concat.getAxis());
    Value first = concat.getXs().front();
    if (size_t(along < 0 ? along + getRank(concat.getType()) : along) != axis)
      return false;
    auto inner = first.getDefiningOp<ConcatOp>();
    return stored.count(first) || (inner && addsToState(inner, axis));
  }

  func::FuncOp function;
  Block &block;
  DenseMap<Value, Value> stored; // of values of states in the model's order
};

class StoreGrowingStatesPass : public impl::StoreGrowingStatesBase<StoreGrowingStatesPass> {
public:
  using StoreGrowingStatesBase::StoreGrowingStatesBase;

  void runOnOperation() override {
    axes.clear();
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (function.isPublic() && failed(findGrowing(function)))
        return signalPassFailure();
    if (axes.empty())
      return;
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (function.isPublic())
        store(function);
  }

private:
  static llvm::MapVector<StringAttr, Ends> statesOf(func::FuncOp function) {
    llvm::MapVector<StringAttr, Ends> states;
    for (unsigned i = 0; i < function.getNumArguments(); ++i)
      if (auto name = function.getArgAttrOfType<StringAttr>(i, stateAttrName);
          name && !function.getArgAttr(i, growingAttrName))
        states[name].argument = i;
    for (unsigned i = 0; i < function.getNumResults(); ++i)
      if (auto name = function.getResultAttrOfType<StringAttr>(i, stateAttrName);
          name && !function.getResultAttr(i, growingAttrName))
        states[name].result = i;
    return states;
  }

  LogicalResult findGrowing(func::FuncOp function) {
    Result<SizeTable> sizes = SizeTable::read(function);
    if (!sizes.ok())
      return emitError(function.getLoc(), sizes.status());
    Block &block = function.getBody().front();
    for (auto &[name, ends] : statesOf(function))
      if (ends.argument && ends.result)
        if (auto axis =
                growingAxis(block.getArgument(*ends.argument), block.getTerminator()->getOperand(*ends.result), *sizes))
          axes.try_emplace(name, *axis);
    return success();
  }

  void store(func::FuncOp function) {
    Storing storing(function);
    llvm::MapVector<StringAttr, Ends> states = statesOf(function);
    for (auto &[name, ends] : states)
      if (auto axis = axes.find(name); axis != axes.end() && ends.argument)
        storing.argument(*ends.argument, axis->second);
    for (auto &[name, ends] : states)
      if (auto axis = axes.find(name); axis != axes.end() && ends.result)
        storing.result(*ends.result, axis->second);
    storing.finish();
  }

  DenseMap<StringAttr, unsigned> axes;
};

} // namespace
} // namespace kiln
