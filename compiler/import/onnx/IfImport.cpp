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

/// The type of the items that a branch gives, where there are any; that of a tensor is its own. Null where they differ.
static mlir::RankedTensorType itemType(const Subgraph &branch, size_t output) {
  auto [first, count] = resultsOf(branch, output);
  auto types = mlir::func::FuncOp(branch.function).getResultTypes().slice(first, count);
  auto type = llvm::cast<mlir::RankedTensorType>(types[0]);
  if (branch.outputs[output] && branch.outputs[output]->stacked)
    return makeTensorType(llvm::ArrayRef<SizeExpr>(getDims(type)).drop_front(), type.getElementType());
  return llvm::all_equal(types) ? type : mlir::RankedTensorType();
}

static bool hasItems(const Subgraph &branch, size_t output) { return resultsOf(branch, output).second > 0; }

/// Lets a branch give its items, or the value of an optional, along a first dim. `item`: the type of those that it does
/// not have.
Status ModelImport::stackOutput(const NodeProto &node, const Scope &scope, Subgraph &branch, size_t output,
                                mlir::RankedTensorType item, bool isOptional) {
  std::optional<NonTensor> &value = branch.outputs[output];
  if (value && value->stacked)
    return Status();
  auto [first, count] = resultsOf(branch, output);
  mlir::OpBuilder::InsertionGuard guard(state.builder);
  mlir::Operation *end = branch.function.getBody().front().getTerminator();
  state.builder.setInsertionPoint(end);
  auto build = [&]() -> Result<Value> {
    NodeImport view(state, node, opsetOf(node.domain, *scope.opsets), {});
    auto own = end->getOperands().slice(first, count);
    if (count > 0)
      return stack(view, {own.begin(), own.end()});
    std::vector<int64_t> dims{0};
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
    value = NonTensor{.isOptional = isOptional, .stacked = *stacked};
  }
  std::swap(state.sizes, branch.sizes);
  return stacked.status();
}

/// Gives an output the same form in both branches.
Status ModelImport::alignOutput(const NodeProto &node, const Scope &scope, Subgraph &one, Subgraph &other,
                                size_t output) {
  const std::optional<NonTensor> &a = one.outputs[output], &b = other.outputs[output];
  auto refuse = [] {
    return makeError(ErrorCode::E0204, "branches that give different sequences or optionals are not supported");
  };
  auto isSequence = [](const std::optional<NonTensor> &value) { return value && value->isSequence(); };
  if (!a && !b)
    return Status();
  if (isSequence(a) != isSequence(b))
    return refuse();
  if (a && b && a->isNone == b->isNone && bool(a->stacked) == bool(b->stacked) && a->items.size() == b->items.size())
    return Status();
  bool hasOne = hasItems(one, output), hasOther = hasItems(other, output);
  mlir::RankedTensorType first = hasOne ? itemType(one, output) : itemType(other, output);
  mlir::RankedTensorType second = hasOther ? itemType(other, output) : first;
  if (!first || !second || first.getRank() != second.getRank() || first.getElementType() != second.getElementType())
    return refuse();
  bool isOptional = !isSequence(a);
  KILN_TRY(stackOutput(node, scope, one, output, first, isOptional));
  return stackOutput(node, scope, other, output, first, isOptional);
}

Status ModelImport::importIf(const NodeProto &node, Scope &scope) {
  mlir::Location loc = state.location;
  KILN_ASSIGN(Value condition, operandOf(node, 0, scope));
  KILN_ASSIGN(condition, scalarOf(condition, 1, "the condition"));
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
