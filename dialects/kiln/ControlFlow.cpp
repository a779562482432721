#include "dialects/kiln/ControlFlow.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;

namespace kiln {

bool isControlFlow(Operation *op) { return isa<CallOp, IfOp, LoopOp>(op); }

llvm::SmallVector<Callee, 2> calleesOf(Operation *op) {
  if (auto call = dyn_cast<CallOp>(op))
    return {{call.getCalleeAttr(), call.getInputs(), 0}};
  if (auto branch = dyn_cast<IfOp>(op))
    return {{branch.getThenFunctionAttr(), branch.getThenInputs(), 0},
            {branch.getElseFunctionAttr(), branch.getElseInputs(), 0}};
  if (auto loop = dyn_cast<LoopOp>(op))
    return {{loop.getBodyAttr(), loop.getInputs(), unsigned(2 + loop.getInitial().size())}};
  return {};
}

RankedTensorType SizeBridge::addArgument(RankedTensorType type, RankedTensorType present,
                                         llvm::function_ref<bool(unsigned)> varies) {
  Dims inside, outside;
  for (auto [d, dim] : llvm::enumerate(getDims(type))) {
    bool own = varies(unsigned(d)) || dim.isInvalid();
    SizeExpr expanded = own ? SizeExpr::invalid() : caller.expand(dim);
    outside.push_back(expanded);
    if (!own && expanded.isConstant()) {
      inside.push_back(expanded);
      continue;
    }
    auto same =
        own ? known.end() : llvm::find_if(known, [&](const auto &pair) { return caller.equal(pair.first, expanded); });
    if (same != known.end()) {
      inside.push_back(same->second);
      continue;
    }
    SizeExpr symbol = presentSymbol(present, unsigned(d));
    std::optional<std::string> name = symbol.asSymbol(), outer = dim.asSymbol();
    if (const SizeTable::Symbol *s = outer && !own ? caller.find(*outer) : nullptr; s && !s->dataDependent)
      (void)callee.constrain(*name, s->low, s->high, s->divisor); // it has the range already where this is repeated
    known.push_back({expanded, symbol});
    inside.push_back(symbol);
  }
  argumentsOutside.push_back(outside);
  return callee.tensorType(inside, type.getElementType());
}

/// The symbol that an argument's dim has already, unless it stands for another size by now; else a new one.
SizeExpr SizeBridge::presentSymbol(RankedTensorType present, unsigned d) {
  if (present && d < present.getRank()) {
    SizeExpr dim = getDims(present)[d];
    std::optional<std::string> name = dim.asSymbol();
    const SizeTable::Symbol *symbol = name ? callee.find(*name) : nullptr;
    bool free = llvm::none_of(known, [&](const auto &pair) { return pair.second == dim; });
    if (symbol && !symbol->definition && !symbol->dataDependent && free)
      return dim;
  }
  return callee.declareArgument();
}

SizeExpr SizeBridge::outside(const SizeExpr &dim, TypeRange arguments,
                             llvm::function_ref<SizeExpr(const std::string &)> told) const {
  if (dim.isInvalid())
    return dim;
  std::map<std::string, SizeExpr> symbols;
  for (auto [type, dims] : llvm::zip(arguments, argumentsOutside))
    for (auto [inside, outside] : llvm::zip(getDims(type), dims))
      if (std::optional<std::string> name = inside.asSymbol(); name && !outside.isInvalid())
        if (std::optional<std::string> base = callee.expand(inside).asSymbol())
          symbols.emplace(*base, outside);
  SizeExpr expanded = callee.expand(dim);
  std::set<std::string> used;
  expanded.collectSymbols(used);
  for (const std::string &name : used)
    if (!symbols.count(name)) {
      SizeExpr size = told(name);
      if (size.isInvalid())
        return size;
      symbols.emplace(name, size);
    }
  return expanded.substitute(symbols);
}

llvm::SmallVector<RankedTensorType> bridgeArguments(Operation *op, const Callee &callee, TypeRange present,
                                                    SizeBridge &bridge) {
  llvm::SmallVector<RankedTensorType> types;
  auto add = [&](RankedTensorType type, llvm::function_ref<bool(unsigned)> varies) {
    auto now = types.size() < present.size() ? dyn_cast<RankedTensorType>(present[types.size()]) : RankedTensorType();
    types.push_back(bridge.addArgument(type, now, varies));
  };
  auto never = [](unsigned) { return false; };
  if (auto loop = dyn_cast<LoopOp>(op)) {
    add(RankedTensorType::get({}, IntegerType::get(op->getContext(), 64)), never);
    add(RankedTensorType::get({}, IntegerType::get(op->getContext(), 1)), never);
    for (auto [i, initial] : llvm::enumerate(loop.getInitial()))
      add(cast<RankedTensorType>(initial.getType()),
          [&](unsigned dim) { return llvm::is_contained(loop.getVarying(), int64_t(i) * 64 + dim); });
  }
  for (Value input : callee.inputs)
    add(cast<RankedTensorType>(input.getType()), never);
  return types;
}

namespace {

RankedTensorType tensor(Type type) { return cast<RankedTensorType>(type); }

ResultShape shapeOutside(const CalleeSizes &callee, size_t result) {
  RankedTensorType type = tensor(callee.results[result]);
  ResultShape shape{{}, type.getElementType(), {}};
  for (const SizeExpr &dim : getDims(type))
    shape.dims.push_back(callee.bridge->outside(dim, callee.arguments));
  return shape;
}

/// Numbers of sizes that only running the callees tells, by what they are in each.
class SharedSizes {
public:
  void number(ResultShape &shape, ArrayRef<CalleeSizes> callees, size_t result) {
    shape.sharedSizes.assign(shape.dims.size(), -1);
    for (auto [d, dim] : llvm::enumerate(shape.dims)) {
      if (!dim.isInvalid())
        continue;
      std::vector<std::string> inside;
      for (const CalleeSizes &callee : callees)
        inside.push_back(callee.bridge->inside(getDims(callee.results[result])[d]));
      if (!llvm::is_contained(inside, ""))
        shape.sharedSizes[d] = numbers.try_emplace(std::move(inside), int(numbers.size())).first->second;
    }
  }

private:
  std::map<std::vector<std::string>, int> numbers;
};

Result<ResultShapes> branchShapes(IfOp op, ShapeContext &caller, ArrayRef<CalleeSizes> callees) {
  ResultShapes shapes;
  SharedSizes shared;
  if (callees[0].results.size() != callees[1].results.size() || callees[0].results.size() != op.getNumResults())
    return makeError(ErrorCode::E0306, "the branches of an If give ", callees[0].results.size(), " and ",
                     callees[1].results.size(), " values, ", op.getNumResults(), " are used");
  for (size_t i = 0; i < op.getNumResults(); ++i) {
    ResultShape shape = shapeOutside(callees[0], i), other = shapeOutside(callees[1], i);
    if (shape.elementType != other.elementType)
      return makeError(ErrorCode::E0305, "the branches of an If give different element types for output ", i);
    if (shape.dims.size() != other.dims.size())
      return makeError(ErrorCode::E0207, "output ", i, " of an If has rank ", shape.dims.size(), " or ",
                       other.dims.size(), "; ranks that depend on data are not supported");
    for (auto [dim, otherDim] : llvm::zip(shape.dims, other.dims))
      if (dim.isInvalid() || otherDim.isInvalid() || !(caller.expand(dim) == caller.expand(otherDim)))
        dim = SizeExpr::invalid();
    shared.number(shape, callees, i);
    shapes.push_back(shape);
  }
  return shapes;
}

Result<ResultShapes> loopShapes(LoopOp op, ShapeContext &caller, const CalleeSizes &body) {
  size_t carried = op.getInitial().size();
  if (body.arguments.size() < 2 + carried || body.results.size() != 1 + op.getNumResults())
    return makeError(ErrorCode::E0306, "a loop carries ", carried, " values and gives ", op.getNumResults(),
                     "; its body takes ", body.arguments.size(), " and gives ", body.results.size());
  RankedTensorType condition = tensor(body.results[0]);
  if (condition.getRank() != 0 || !condition.getElementType().isInteger(1))
    return makeError(ErrorCode::E0305, "the body of a loop gives a condition that is no single bool");
  ResultShapes shapes;
  for (size_t i = 0; i < carried; ++i) {
    RankedTensorType initial = tensor(op.getInitial()[i].getType()), next = tensor(body.results[1 + i]);
    if (initial.getElementType() != next.getElementType())
      return makeError(ErrorCode::E0305, "carried value ", i, " of a loop changes its element type");
    if (initial.getRank() != next.getRank())
      return makeError(ErrorCode::E0207, "carried value ", i, " of a loop has rank ", initial.getRank(),
                       " at first and then ", next.getRank(), "; ranks that depend on data are not supported");
    ResultShape shape{getDims(initial), initial.getElementType(), {}};
    for (int64_t dim : op.getVarying())
      if (size_t(dim / 64) == i)
        shape.dims[size_t(dim % 64)] = SizeExpr::invalid();
    shapes.push_back(shape);
  }
  SizeExpr trips = SizeExpr::invalid();
  if (op.getCount() && op.getCounted())
    if (std::optional<SizeValues> count = caller.values(op.getCount()))
      trips = caller.lowerBound((*count)[0]).value_or(-1) >= 0 ? (*count)[0] : SizeExpr::max((*count)[0], 0);
  SharedSizes shared;
  constexpr int tripCount = INT_MAX; // the number of that size, which no body has
  for (size_t i = carried; i < op.getNumResults(); ++i) {
    ResultShape element = shapeOutside(body, 1 + i);
    shared.number(element, body, 1 + i);
    // After no iteration each of these is 0 where only the body tells it, also where that would make it less.
    for (SizeExpr &dim : element.dims)
      if (!dim.isInvalid() && !caller.lowerBound(dim))
        dim = SizeExpr::max(dim, 0);
    element.dims.insert(element.dims.begin(), trips);
    element.sharedSizes.insert(element.sharedSizes.begin(), tripCount);
    shapes.push_back(element);
  }
  return shapes;
}

} // namespace

Result<ResultShapes> inferControlFlow(Operation *op, ShapeContext &caller, ArrayRef<CalleeSizes> callees) {
  if (auto branch = dyn_cast<IfOp>(op))
    return branchShapes(branch, caller, callees);
  if (auto loop = dyn_cast<LoopOp>(op))
    return loopShapes(loop, caller, callees[0]);
  ResultShapes shapes;
  SharedSizes shared;
  for (size_t i = 0; i < op->getNumResults(); ++i)
    shared.number(shapes.emplace_back(shapeOutside(callees[0], i)), callees, i);
  return shapes;
}

llvm::SmallVector<int64_t> varyingDims(TypeRange arguments, TypeRange results, size_t carried, ArrayRef<int64_t> listed,
                                       const SizeTable &callee) {
  llvm::SmallVector<int64_t> more;
  for (size_t i = 0; i < carried && 1 + i < results.size(); ++i) {
    Dims before = getDims(arguments[2 + i]), after = getDims(results[1 + i]);
    if (before.size() != after.size())
      continue; // an error of its own
    for (size_t d = 0; d < before.size(); ++d)
      if (int64_t number = int64_t(i * 64 + d);
          !llvm::is_contained(listed, number) && !callee.equal(before[d], after[d]))
        more.push_back(number);
  }
  return more;
}

} // namespace kiln
