// If: two graphs as functions, and what they give as one. Where both give sequences or optionals of the same items,
// each item is a result of its own; else the items are stacked, so that a run tells their number.
#include "compiler/import/onnx/ModelImport.h"

#include "dialects/kiln/Build.h"
#include "dialects/kiln/Ops.h"

namespace kiln::onnx {

/// The first of a branch's results that make up one of its outputs, and their number.
static std::pair<unsigned, unsigned> resultsOf(const Subgraph &branch, size_t output) {
  auto count = [&](size_t i) { return branch.outputs[i] ? unsigned(branch.outputs[i]->parts().size()) : 1u; };
  unsigned first = 0;
  for (size_t i = 0; i < output; ++i)
    first += count(i);
  return {first, count(output)};
}

static bool hasItems(const Subgraph &branch, size_t output) { return resultsOf(branch, output).second > 0; }

/// The type of the items that a branch gives; that of a tensor is its own. Null where they differ.
static mlir::RankedTensorType itemType(const Subgraph &branch, size_t output) {
  auto [first, count] = resultsOf(branch, output);
  auto types = mlir::func::FuncOp(branch.function).getResultTypes().slice(first, count);
  auto type = llvm::cast<mlir::RankedTensorType>(types[0]);
  const std::optional<NonTensor> &value = branch.outputs[output];
  if (value && value->stacked)
    return makeTensorType(llvm::ArrayRef<SizeExpr>(getDims(type)).drop_front(value->ofSequence ? 2 : 1),
                          type.getElementType());
  return llvm::all_equal(types) ? type : mlir::RankedTensorType();
}

/// The type that the branches declare for the items of an output that has none in either; a rank that they do not
/// declare is 0.
static Result<mlir::RankedTensorType> declaredItemType(mlir::MLIRContext *context, const ValueInfoProto &declared) {
  int32_t type = declared.elemType ? declared.elemType : dtypeOnnxId(DType::F32);
  std::optional<DType> dtype = dtypeFromOnnxId(type);
  if (!dtype)
    return makeError(ErrorCode::E0203, "output \"", declared.name, "\" of a branch has element type ",
                     onnxTypeName(type), ", which is not supported");
  Dims dims;
  for (const Dim &dim : declared.dims)
    dims.push_back(SizeExpr(dim.kind == Dim::Value && dim.value >= 0 ? dim.value : 0));
  return makeTensorType(dims, elementTypeOf(context, *dtype));
}

/// The sizes around the If and those of a branch that is imported already.
SizeBridge ModelImport::bridgeTo(Subgraph &branch) {
  SizeBridge bridge(state.sizes, branch.sizes);
  for (auto [captured, type] : llvm::zip(branch.captured, branch.function.getArgumentTypes()))
    bridge.addArgument(llvm::cast<mlir::RankedTensorType>(captured.getType()),
                       llvm::cast<mlir::RankedTensorType>(type));
  return bridge;
}

/// Hands a value from around the If to such a branch.
Value ModelImport::handOver(Subgraph &branch, Value outside) {
  mlir::Type type = bridgeTo(branch).addArgument(llvm::cast<mlir::RankedTensorType>(outside.getType()), {});
  branch.captured.push_back(outside);
  return branch.function.getBody().front().addArgument(type, outside.getLoc());
}

/// A stacked sequence or optional without items, of items of these dims: those of the other branch, so that both give
/// the same sizes wherever they are known; any size will do where they are not.
Result<Value> ModelImport::noItemsOf(const NodeImport &view, llvm::ArrayRef<int64_t> leading, const Dims &item,
                                     mlir::Type elementType) {
  std::vector<int64_t> ones(leading);
  Dims dims(leading.begin(), leading.end());
  for (const SizeExpr &dim : item) {
    bool mayBeNegative = !dim.isInvalid() && !state.shapes.lowerBound(dim);
    dims.push_back(dim.isInvalid() ? SizeExpr(0) : mayBeNegative ? SizeExpr::max(dim, 0) : dim);
    ones.push_back(dims.back().isConstant() ? dims.back().constant() : 1);
  }
  KILN_ASSIGN(Tensor none, Tensor::create(*dtypeOf(elementType), ones));
  return view.stretch(makeConstant(state.builder, state.location, std::move(none)), dims);
}

/// Lets a branch give its sequence stacked, or as an optional (`as` says which). `item`: the type of the items that it
/// does not have, over the sizes around the If.
Status ModelImport::stackOutput(const NodeProto &node, const Scope &scope, Subgraph &branch, size_t output,
                                const Dims &item, mlir::Type elementType, const NonTensor &as) {
  std::optional<NonTensor> &value = branch.outputs[output];
  if (value && value->stacked && value->isOptional == as.isOptional)
    return Status();
  auto [first, count] = resultsOf(branch, output);
  NodeImport view(state, node, opsetOf(node.domain, *scope.opsets), {});
  bool isPresent = as.ofSequence && value && value->isSequence(); // a sequence that becomes an optional one
  Value none;
  if (count == 0) {
    std::vector<int64_t> leading(as.ofSequence ? 2 : 1, 0);
    leading[0] = isPresent;
    KILN_ASSIGN(none, noItemsOf(view, leading, item, elementType));
  }
  mlir::OpBuilder::InsertionGuard guard(state.builder);
  mlir::Operation *end = branch.function.getBody().front().getTerminator();
  state.builder.setInsertionPoint(end);
  if (none && kiln::isConstant(none))
    none = state.builder.clone(*none.getDefiningOp())->getResult(0);
  else if (none)
    none = handOver(branch, none);
  auto build = [&]() -> Result<Value> {
    if (none)
      return none;
    auto own = end->getOperands().slice(first, count);
    Value stacked = own[0];
    if (!value || !value->stacked) {
      KILN_ASSIGN(stacked, stack(view, {own.begin(), own.end()}));
    }
    return isPresent ? withUnitDim(view, stacked, 0) : Result<Value>(stacked);
  };
  std::swap(state.sizes, branch.sizes);
  Result<Value> stacked = build();
  if (stacked.ok()) {
    end->eraseOperands(first, count);
    end->insertOperands(first, *stacked);
    branch.function.setType(state.builder.getFunctionType(end->getBlock()->getArgumentTypes(), end->getOperandTypes()));
    state.sizes.write(branch.function);
    value = as;
    value->stacked = *stacked;
  }
  std::swap(state.sizes, branch.sizes);
  return stacked.status();
}

/// Gives an output the same form in both branches, which declare it so.
Status ModelImport::alignOutput(const NodeProto &node, const Scope &scope, Subgraph &one, Subgraph &other,
                                size_t output, const ValueInfoProto &declared) {
  using Output = std::optional<NonTensor>;
  const Output &a = one.outputs[output], &b = other.outputs[output];
  auto same = [&] {
    return a && b && a->isNone == b->isNone && a->isOptional == b->isOptional && a->ofSequence == b->ofSequence &&
           bool(a->stacked) == bool(b->stacked) && a->items.size() == b->items.size();
  };
  if ((!a && !b) || same())
    return Status();
  auto isSequence = [](const Output &value) { return value && value->isSequence(); };
  auto ofSequence = [&](const Output &value) { return isSequence(value) || (value && value->ofSequence); };
  auto ofTensor = [](const Output &value) { return !value || (value->isOptional && !value->ofSequence); };
  NonTensor as{.isOptional = !isSequence(a) || !isSequence(b)};
  as.ofSequence = as.isOptional && (ofSequence(a) || ofSequence(b));
  mlir::RankedTensorType first, second;
  if (hasItems(one, output))
    first = second = itemType(one, output);
  if (hasItems(other, output))
    second = itemType(other, output);
  first = hasItems(one, output) ? first : second;
  Dims item;
  if (!hasItems(one, output) && !hasItems(other, output)) {
    KILN_ASSIGN(first, declaredItemType(state.builder.getContext(), declared));
    second = first;
    item = getDims(first);
  } else if (first && !(hasItems(one, output) && hasItems(other, output))) {
    Subgraph &full = hasItems(one, output) ? one : other;
    SizeBridge bridge = bridgeTo(full);
    for (const SizeExpr &dim : getDims(first))
      item.push_back(bridge.outside(dim, full.function.getArgumentTypes()));
  }
  bool mixed = (ofSequence(a) && ofTensor(b)) || (ofSequence(b) && ofTensor(a));
  if (mixed || !first || !second || first.getRank() != second.getRank() ||
      first.getElementType() != second.getElementType())
    return makeError(ErrorCode::E0204, "branches that give different sequences or optionals are not supported");
  KILN_TRY(stackOutput(node, scope, one, output, item, first.getElementType(), as));
  return stackOutput(node, scope, other, output, item, first.getElementType(), as);
}

/// Where sizes or constants tell the condition, the nodes of the branch that is taken stand for the If. Exporters ask
/// so whether a dim is 1 before they squeeze it, and the branches have different ranks then.
Result<bool> ModelImport::importTakenBranch(const NodeProto &node, Scope &scope, Value condition) {
  mlir::Location loc = state.location;
  NodeImport view(state, node, opsetOf(node.domain, *scope.opsets), {});
  auto known = view.knownSizes(condition);
  if (!known || known->size() != 1 || !(*known)[0].isConstant())
    return false;
  bool taken = !(*known)[0].isConstant(0);
  KILN_ASSIGN(GraphProto graph, graphOf(node, taken ? "then_branch" : "else_branch", scope));
  KILN_ASSIGN(auto results, inlineGraph(node, graph, scope, taken ? "then" : "else", {}));
  state.location = loc; // the branch's nodes have theirs
  if (!results) {
    KILN_TRY(skipResults(node, scope));
    return true;
  }
  if (results->size() < node.outputs.size())
    return makeError(ErrorCode::E0306, "has ", node.outputs.size(), " outputs, its branch gives ", results->size());
  for (auto [name, result] : llvm::zip(node.outputs, *results))
    KILN_TRY(defineAny(name, result, scope));
  return true;
}

/// Where sizes or constants tell the condition, the nodes of the branch that is taken stand for the If. Exporters ask
/// so whether a dim is 1 before they squeeze it, and the branches have different ranks then.
Result<bool> ModelImport::importTakenBranch(const NodeProto &node, Scope &scope, Value condition) {
  mlir::Location loc = state.location;
  NodeImport view(state, node, opsetOf(node.domain, *scope.opsets), {});
  auto known = view.knownSizes(condition);
  if (!known || known->size() != 1 || !(*known)[0].isConstant())
    return false;
  bool taken = !(*known)[0].isConstant(0);
  KILN_ASSIGN(GraphProto graph, graphOf(node, taken ? "then_branch" : "else_branch", scope));
  KILN_ASSIGN(auto results, inlineGraph(node, graph, scope, taken ? "then" : "else", {}));
  state.location = loc; // the branch's nodes have theirs
  if (!results) {
    KILN_TRY(skipResults(node, scope));
    return true;
  }
  if (results->size() < node.outputs.size())
    return makeError(ErrorCode::E0306, "has ", node.outputs.size(), " outputs, its branch gives ", results->size());
  for (auto [name, result] : llvm::zip(node.outputs, *results))
    KILN_TRY(defineAny(name, result, scope));
  return true;
}

Status ModelImport::importIf(const NodeProto &node, Scope &scope) {
  mlir::Location loc = state.location;
  KILN_ASSIGN(Value condition, operandOf(node, 0, scope));
  KILN_ASSIGN(condition, scalarOf(condition, 1, "the condition"));
  KILN_ASSIGN(bool decided, importTakenBranch(node, scope, condition));
  if (decided)
    return Status();
  KILN_ASSIGN(GraphProto thenGraph, graphOf(node, "then_branch", scope));
  KILN_ASSIGN(GraphProto elseGraph, graphOf(node, "else_branch", scope));
  KILN_ASSIGN(Subgraph thenPart, importSubgraph(node, thenGraph, "then", scope, {}));
  KILN_ASSIGN(Subgraph elsePart, importSubgraph(node, elseGraph, "else", scope, {}));
  if (thenPart.skipped || elsePart.skipped)
    return skipResults(node, scope);
  if (thenPart.outputs.size() < node.outputs.size())
    return makeError(ErrorCode::E0306, "has ", node.outputs.size(), " outputs, its branches give ",
                     thenPart.outputs.size());
  for (size_t i = 0; i < std::min(thenPart.outputs.size(), elsePart.outputs.size()); ++i)
    KILN_TRY(alignOutput(node, scope, thenPart, elsePart, i,
                         thenGraph.outputs[i].elemType ? thenGraph.outputs[i] : elseGraph.outputs[i]));
  auto op = state.builder.create<kiln::IfOp>(loc, unsizedResults(thenPart.function, 0, SIZE_MAX), condition,
                                             thenPart.captured, elsePart.captured,
                                             mlir::FlatSymbolRefAttr::get(thenPart.function.getSymNameAttr()),
                                             mlir::FlatSymbolRefAttr::get(elsePart.function.getSymNameAttr()));
  KILN_TRY(setResultTypes(op, {&thenPart, &elsePart}));
  return defineResults(node, scope, op->getResults(), thenPart.outputs);
}

} // namespace kiln::onnx
