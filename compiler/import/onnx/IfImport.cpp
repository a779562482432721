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

/// Lets a branch give its sequence stacked, or as an optional (`as` says which). `item`: the type of the items that it
/// does not have.
Status ModelImport::stackOutput(const NodeProto &node, const Scope &scope, Subgraph &branch, size_t output,
                                mlir::RankedTensorType item, const NonTensor &as) {
  std::optional<NonTensor> &value = branch.outputs[output];
  if (value && value->stacked && value->isOptional == as.isOptional)
    return Status();
  auto [first, count] = resultsOf(branch, output);
  mlir::OpBuilder::InsertionGuard guard(state.builder);
  mlir::Operation *end = branch.function.getBody().front().getTerminator();
  state.builder.setInsertionPoint(end);
  bool isPresent = as.ofSequence && value && value->isSequence(); // a sequence that becomes an optional one
  auto build = [&]() -> Result<Value> {
    NodeImport view(state, node, opsetOf(node.domain, *scope.opsets), {});
    auto own = end->getOperands().slice(first, count);
    if (count > 0) {
      Value stacked = own[0];
      if (!value || !value->stacked) {
        KILN_ASSIGN(stacked, stack(view, {own.begin(), own.end()}));
      }
      return isPresent ? withUnitDim(view, stacked, 0) : Result<Value>(stacked);
    }
    std::vector<int64_t> dims(as.ofSequence ? 2 : 1, 0);
    dims[0] = isPresent;
    for (int64_t dim : item.getShape()) // without items any size will do
      dims.push_back(mlir::ShapedType::isDynamic(dim) ? 0 : dim);
    KILN_ASSIGN(Tensor none, Tensor::create(*dtypeOf(item.getElementType()), dims));
    return makeConstant(state.builder, state.location, std::move(none));
  };
  std::swap(state.sizes, branch.sizes);
  Result<Value> stacked = build();
  if (stacked.ok()) {
    end->eraseOperands(first, count);
    end->insertOperands(first, *stacked);
    branch.function.setType(state.builder.getFunctionType(branch.function.getArgumentTypes(), end->getOperandTypes()));
    state.sizes.write(branch.function);
    value = as;
    value->stacked = *stacked;
  }
  std::swap(state.sizes, branch.sizes);
  return stacked.status();
}

/// Gives an output the same form in both branches.
Status ModelImport::alignOutput(const NodeProto &node, const Scope &scope, Subgraph &one, Subgraph &other,
                                size_t output) {
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
  bool mixed = (ofSequence(a) && ofTensor(b)) || (ofSequence(b) && ofTensor(a));
  if (mixed || !first || !second || first.getRank() != second.getRank() ||
      first.getElementType() != second.getElementType())
    return makeError(ErrorCode::E0204, "branches that give different sequences or optionals are not supported");
  KILN_TRY(stackOutput(node, scope, one, output, first, as));
  return stackOutput(node, scope, other, output, first, as);
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
    KILN_TRY(alignOutput(node, scope, thenPart, elsePart, i));
  auto op = state.builder.create<kiln::IfOp>(loc, unsizedResults(thenPart.function, 0, SIZE_MAX), condition,
                                             thenPart.captured, elsePart.captured,
                                             mlir::FlatSymbolRefAttr::get(thenPart.function.getSymNameAttr()),
                                             mlir::FlatSymbolRefAttr::get(elsePart.function.getSymNameAttr()));
  KILN_TRY(setResultTypes(op, {&thenPart, &elsePart}));
  return defineResults(node, scope, op->getResults(), thenPart.outputs);
}

} // namespace kiln::onnx
