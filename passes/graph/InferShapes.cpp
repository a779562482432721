// InferShapes: every value gets its dims over the function's symbols, from the inputs on.
//
//   %s = kiln.constant [2, -1]
//   %1 = kiln.reshape %0, %s : (tensor<?x6xf32, #kiln.dims<[N, 6]>>, tensor<2xi64>) -> tensor<?x?xf32>
//
// becomes, with the size table saying d$_0 = N*3,
//
//   %1 = kiln.reshape %0 : (tensor<?x6xf32, #kiln.dims<[N, 6]>>) -> tensor<2x?xf32, #kiln.dims<[2, d$_0]>>
//
// It runs first, since everything after asks for dims, and again after rewrites that made more sizes known. Sizes that
// turn out to be equal (an elementwise op joins them) become one symbol, which may need another round.
//
// A function that a control-flow op calls gets the sizes of what is handed over, over symbols of its own, when its
// caller comes to that op; what it returns gives the op's results.
#include "dialects/kiln/Build.h"
#include "dialects/kiln/ControlFlow.h"
#include "dialects/kiln/DataSizes.h"
#include "dialects/kiln/Ops.h"
#include "passes/graph/Passes.h"

#include <deque>
#include <set>

using namespace mlir;

namespace kiln {

#define GEN_PASS_DEF_INFERSHAPES
#include "passes/graph/Passes.h.inc"

namespace {

class InferShapesPass : public impl::InferShapesBase<InferShapesPass> {
public:
  using InferShapesBase::InferShapesBase;

  void runOnOperation() override {
    SymbolTableCollection tables;
    symbols = &tables;
    std::set<Operation *> called;
    getOperation().walk([&](Operation *op) {
      for (const Callee &callee : calleesOf(op))
        called.insert(resolve(callee));
    });
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (!called.count(function) && failed(infer(function, [](SizeTable &) { return Status(); })))
        return signalPassFailure();
  }

private:
  /// Models need two or three; each round costs a walk over the function.
  static constexpr int maxRounds = 32;

  LogicalResult fail(Location loc, const Status &status) { return emitError(loc, status); }

  func::FuncOp resolve(const Callee &callee) {
    return symbols->lookupNearestSymbolFrom<func::FuncOp>(getOperation(), callee.symbol);
  }

  /// `setArguments` may change the types of the function's arguments.
  LogicalResult infer(func::FuncOp function, llvm::function_ref<Status(SizeTable &)> setArguments) {
    Result<SizeTable> table = SizeTable::read(function);
    if (!table.ok())
      return fail(function.getLoc(), table.status());
    if (Status status = setArguments(*table); !status.ok())
      return fail(function.getLoc(), status);
    // Each round may find sizes equal; all types then change to the one symbol. Every round but the last merges
    // symbols. Types between two rounds do not agree, so they are no result.
    size_t merges = 0;
    for (int round = 0; round == 0 || table->mergeCount() != merges; ++round) {
      if (round == maxRounds)
        return fail(function.getLoc(), makeError(ErrorCode::E0906, "kiln-infer-shapes still finds sizes equal after ",
                                                 maxRounds, " rounds"));
      merges = table->mergeCount();
      if (failed(inferAll(function, *table)))
        return failure();
    }
    SmallVector<Type> results;
    function.walk([&](func::ReturnOp op) { results.assign(op.getOperandTypes().begin(), op.getOperandTypes().end()); });
    SmallVector<Type> arguments(function.getArgumentTypes());
    if (!function.empty())
      arguments.assign(function.front().getArgumentTypes().begin(), function.front().getArgumentTypes().end());
    function.setType(FunctionType::get(&getContext(), arguments, results));
    table->dropUnused(function);
    table->write(function);
    return success();
  }

  /// The functions that `op` calls, with the sizes that it hands over; then its results.
  LogicalResult inferControlFlow(Operation *op, SizeTable &sizes, ShapeContext &context) {
    SmallVector<CalleeSizes, 2> callees;
    std::deque<SizeTable> tables;
    std::deque<SizeBridge> bridges;
    for (const Callee &callee : calleesOf(op)) {
      func::FuncOp function = resolve(callee);
      if (!function || function.getNumArguments() != callee.leading + callee.inputs.size())
        return fail(op->getLoc(),
                    makeError(ErrorCode::E0313, "calls a function that does not exist or takes other inputs"));
      auto setArguments = [&](SizeTable &table) {
        SizeBridge bridge(sizes, table);
        return setArgumentTypes(op, callee, function, table, bridge);
      };
      if (failed(infer(function, setArguments)))
        return failure();
      // Once more, for what was found equal inside.
      Result<SizeTable> table = SizeTable::read(function);
      if (!table.ok())
        return fail(function.getLoc(), table.status());
      tables.push_back(*std::move(table));
      bridges.emplace_back(sizes, tables.back());
      bridgeArguments(op, callee, function.getArgumentTypes(), bridges.back());
      callees.push_back(
          {&bridges.back(), function.getFunctionType().getInputs(), function.getFunctionType().getResults()});
      if (auto loop = dyn_cast<LoopOp>(op))
        if (!varyingDims(callees.back().arguments, callees.back().results, loop.getInitial().size(), loop.getVarying(),
                         tables.back())
                 .empty())
          return fail(op->getLoc(), makeError(ErrorCode::E0901, "a carried size changes that did not before"));
    }
    Result<ResultShapes> shapes = kiln::inferControlFlow(op, context, callees);
    if (!shapes.ok())
      return fail(op->getLoc(), shapes.status());
    return setShapes(op, *std::move(shapes), sizes);
  }

  /// A size from data keeps its name from one inference to the next, since other types may hold it, until it is known.
  LogicalResult setShapes(Operation *op, ResultShapes shapes, SizeTable &sizes) {
    // Calls `with(dim, old, number)` for each dim whose old name is that of a size from data.
    auto forEachNamed = [&](llvm::function_ref<Status(SizeExpr &, const SizeExpr &, int)> with) -> Status {
      for (auto [value, shape] : llvm::zip(op->getResults(), shapes))
        if (auto before = dyn_cast<RankedTensorType>(value.getType());
            before && getRank(before) == int64_t(shape.dims.size()))
          for (auto [d, old] : llvm::enumerate(getDims(before))) {
            auto name = old.asSymbol();
            if (const SizeTable::Symbol *symbol = name ? sizes.find(*name) : nullptr; symbol && symbol->dataDependent)
              KILN_TRY(with(shape.dims[d], old, shape.sharedSize(d)));
          }
      return Status();
    };
    std::map<int, SizeExpr> shared; // of sizes that several dims have: the name that all keep
    (void)forEachNamed([&](SizeExpr &dim, const SizeExpr &old, int number) {
      if (dim.isInvalid() && number >= 0)
        shared.emplace(number, old);
      return Status();
    });
    for (ResultShape &shape : shapes)
      for (auto [d, dim] : llvm::enumerate(shape.dims))
        if (auto known = shared.find(shape.sharedSize(d)); dim.isInvalid() && known != shared.end())
          dim = known->second;
    Status status = forEachNamed([&](SizeExpr &dim, const SizeExpr &old, int) {
      if (dim.isInvalid())
        dim = old;
      else if (!sizesFromData(dim, sizes).count(*old.asSymbol()))
        return sizes.resolve(*old.asSymbol(), dim);
      return Status();
    });
    if (!status.ok())
      return fail(op->getLoc(), status);
    for (auto [value, type] : llvm::zip(op->getResults(), nameResults(shapes, sizes)))
      value.setType(type);
    return success();
  }

  static Status setArgumentTypes(Operation *op, const Callee &callee, func::FuncOp function, SizeTable &table,
                                 SizeBridge &bridge) {
    std::set<std::string> shown;
    SmallVector<std::pair<std::string, SizeExpr>> replaced;
    for (auto [argument, type] :
         llvm::zip(function.getArguments(), bridgeArguments(op, callee, function.getArgumentTypes(), bridge))) {
      if (cast<RankedTensorType>(argument.getType()).getElementType() != type.getElementType() ||
          getRank(argument.getType()) != type.getRank())
        return makeError(ErrorCode::E0313, "argument ", argument.getArgNumber(),
                         " has another type than its caller says");
      for (auto [before, now] : llvm::zip(getDims(argument), getDims(type))) {
        if (auto name = now.asSymbol())
          shown.insert(*name);
        if (auto name = before.asSymbol(); name && !(before == now))
          replaced.emplace_back(*name, now);
      }
      argument.setType(type);
    }
    // Sizes that were found equal outside since: what is known of the one holds of the other.
    for (auto &[name, now] : replaced)
      if (const SizeTable::Symbol *symbol = table.find(name);
          symbol && !symbol->definition && !symbol->dataDependent && !shown.count(name))
        KILN_TRY(table.define(name, now));
    return Status();
  }

  SymbolTableCollection *symbols = nullptr; // of the run under way

  static Type elementTypeOf(Value value) { return cast<RankedTensorType>(value.getType()).getElementType(); }

  LogicalResult inferAll(func::FuncOp function, SizeTable &sizes) {
    for (BlockArgument argument : function.getArguments())
      for (const SizeExpr &dim : getDims(argument))
        if (auto name = dim.asSymbol())
          sizes.declareStored(*name);
    for (BlockArgument argument : function.getArguments())
      if (isa<RankedTensorType>(argument.getType()))
        argument.setType(sizes.tensorType(getDims(argument), elementTypeOf(argument)));
    ShapeContext context(sizes);
    context.rememberValues(); // no op is erased in a round
    WalkResult result = function.walk([&](KilnOpInterface op) -> WalkResult {
      if (isControlFlow(op))
        return failed(inferControlFlow(op, sizes, context)) ? WalkResult::interrupt() : WalkResult::advance();
      if (op.getFusionRole() == FusionRole::Structure)
        return WalkResult::skip();
      // The dims that an op carries itself may name symbols that have been merged since.
      for (Value value : op->getResults())
        if (auto type = dyn_cast<RankedTensorType>(value.getType()))
          value.setType(type.hasStaticShape() ? type : canonicalType(sizes, type));
      Result<ResultShapes> shapes = op.inferShapes(context);
      if (!shapes.ok())
        return emitError(op.getLoc(), shapes.status());
      if (failed(setShapes(op, *std::move(shapes), sizes)))
        return WalkResult::interrupt();
      makeStatic(op, context);
      return WalkResult::advance();
    });
    return failure(result.wasInterrupted());
  }

  /// Merged symbols replaced; dims without a symbol stay so.
  static Type canonicalType(SizeTable &sizes, RankedTensorType type) {
    Dims dims = getDims(type);
    for (SizeExpr &dim : dims)
      if (!dim.isInvalid())
        dim = sizes.intern(dim);
    return makeTensorType(dims, type.getElementType());
  }

  /// Drops shape operands that the result type or attributes now say.
  static void makeStatic(Operation *op, ShapeContext &context) {
    if (isa<ReshapeOp, ExpandOp, TileOp>(op)) {
      if (op->getNumOperands() == 2 && context.values(op->getOperand(1))) {
        op->eraseOperand(1);
        op->removeAttr("allow_zero");
      }
    } else if (auto slice = dyn_cast<SliceOp>(op)) {
      makeStaticSlice(slice, context);
    } else if (auto pad = dyn_cast<PadOp>(op)) {
      makeStaticPad(pad, context);
    } else if (isa<ConvOp, MaxPoolOp, AvgPoolOp>(op) && op->hasAttr("auto_pad")) {
      resolveAutoPad(op);
    }
  }

  static void makeStaticSlice(SliceOp slice, ShapeContext &context) {
    if (slice.getBounds().empty())
      return;
    SmallVector<SmallVector<int64_t>, 4> lists;
    for (Value bound : slice.getBounds()) {
      auto values = context.constantValues(bound);
      if (!values)
        return;
      lists.push_back(*values);
    }
    int64_t count = lists[0].size(), rank = getRank(slice.getX().getType());
    if (lists.size() < 3)
      lists.push_back(llvm::to_vector(llvm::seq<int64_t>(0, count)));
    if (lists.size() < 4)
      lists.push_back(SmallVector<int64_t>(count, 1));
    for (int64_t &axis : lists[2])
      axis += axis < 0 ? rank : 0;
    slice.setStarts(lists[0]);
    slice.setEnds(lists[1]);
    slice.setAxes(lists[2]);
    slice.setSteps(lists[3]);
    slice.getBoundsMutable().clear();
  }

  static void makeStaticPad(PadOp pad, ShapeContext &context) {
    if (pad.getBounds().empty())
      return;
    auto pads = context.constantValues(pad.getBounds()[0]);
    auto value = pad.getBounds().size() > 1 ? splatValue(pad.getBounds()[1]) : std::optional<double>(0);
    if (!pads || !value)
      return;
    pad.setPads(*pads);
    if (*value != 0)
      pad->setAttr("value", Builder(pad).getF64FloatAttr(*value));
    pad.getBoundsMutable().clear();
  }

  /// same_upper and same_lower become pads once the spatial sizes are integers.
  static void resolveAutoPad(Operation *op) {
    auto mode = op->getAttrOfType<StringAttr>("auto_pad").getValue();
    auto type = cast<RankedTensorType>(op->getOperand(0).getType());
    auto layout = op->getAttrOfType<StringAttr>("layout");
    size_t first = layout && layout.getValue() == "nhwc" ? 1 : 2;
    auto strides = op->getAttrOfType<DenseI64ArrayAttr>("strides").asArrayRef();
    auto dilations = op->getAttrOfType<DenseI64ArrayAttr>("dilations").asArrayRef();
    ArrayRef<int64_t> window = isa<ConvOp>(op)
                                   ? cast<RankedTensorType>(op->getOperand(1).getType()).getShape().drop_front(2)
                                   : op->getAttrOfType<DenseI64ArrayAttr>("kernel").asArrayRef();
    SmallVector<int64_t> pads(2 * strides.size());
    for (size_t i = 0; i < strides.size(); ++i) {
      int64_t size = type.getDimSize(first + i);
      if (ShapedType::isDynamic(size) || ShapedType::isDynamic(window[i]) || size > INT32_MAX || window[i] > INT32_MAX)
        return;
      int64_t count = (size + strides[i] - 1) / strides[i];
      int64_t total = std::max<int64_t>(0, (count - 1) * strides[i] + (window[i] - 1) * dilations[i] + 1 - size);
      pads[i] = mode == "same_upper" ? total / 2 : total - total / 2;
      pads[strides.size() + i] = total - pads[i];
    }
    op->setAttr("pads", DenseI64ArrayAttr::get(op->getContext(), pads));
    op->removeAttr("auto_pad");
  }
};

} // namespace
} // namespace kiln
