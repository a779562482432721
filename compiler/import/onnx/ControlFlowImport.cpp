// Graphs inside nodes: each becomes a function of its own (docs/sizes.md), which is handed what it uses from outside.
#include "compiler/import/onnx/ModelImport.h"

#include "dialects/kiln/Build.h"
#include "dialects/kiln/Ops.h"

#include <numeric>

namespace kiln::onnx {

// --- values from outside

/// A value from outside of a graph that is a function of its own.
Result<Value> ModelImport::capture(std::string_view name, Scope &scope) {
  std::swap(state.sizes, *scope.frame->outerSizes); // where the other function's sizes are meant
  Result<Value> outside = [&] {
    mlir::OpBuilder::InsertionGuard guard(state.builder);
    state.builder.setInsertionPointToEnd(&scope.outer->frame->function.getBody().front());
    return lookup(name, *scope.outer);
  }();
  std::swap(state.sizes, *scope.frame->outerSizes);
  KILN_TRY(outside.status());
  return bringIn(*outside, *scope.frame, 0);
}

/// Constants are made again in the function, and so is arithmetic on sizes, which stays known there; anything else is
/// handed over.
Result<Value> ModelImport::bringIn(Value outside, Frame &frame, unsigned depth) {
  if (auto found = frame.known.find(outside); found != frame.known.end())
    return found->second;
  mlir::Operation *definition = outside.getDefiningOp();
  if (auto constant = outside.getDefiningOp<kiln::ConstantOp>())
    return frame.known[outside] = state.builder.clone(*constant)->getResult(0);
  constexpr unsigned deepest = 64; // shape arithmetic is shallow
  std::swap(state.sizes, *frame.outerSizes);
  bool isSizes = definition && definition->getNumResults() == 1 && depth < deepest &&
                 llvm::cast<mlir::RankedTensorType>(outside.getType()).hasStaticShape() && state.shapes.values(outside);
  std::swap(state.sizes, *frame.outerSizes);
  if (isSizes) {
    std::vector<Value> operands;
    for (Value operand : definition->getOperands()) {
      KILN_ASSIGN(Value inside, bringIn(operand, frame, depth + 1));
      operands.push_back(inside);
    }
    KILN_ASSIGN(mlir::Operation * again, makeOp(state.builder, outside.getType(), definition->getLoc(),
                                                mnemonicOf(definition), operands, toAttributes(definition)));
    return frame.known[outside] = again->getResult(0);
  }
  frame.captured.push_back(outside);
  mlir::Type type = frame.bridge->addArgument(llvm::cast<mlir::RankedTensorType>(outside.getType()), {});
  return frame.known[outside] = frame.function.getBody().front().addArgument(type, outside.getLoc());
}

// --- functions

Result<GraphProto> ModelImport::graphOf(const NodeProto &node, std::string_view attribute, const Scope &scope) const {
  for (const AttributeProto &given : node.attributes)
    if (given.name == attribute && given.type == AttributeProto::Graph)
      return parseSubgraph(given, scope.depth + 1);
  return makeError(ErrorCode::E0401, "has no graph '", attribute, "'");
}

/// Of the nodes of a graph inside `node`.
Result<Scope> ModelImport::innerScope(const NodeProto &node, const std::string &prefix, Scope &scope, Frame *frame) {
  if (scope.depth >= kMaxNesting)
    return makeError(ErrorCode::E0107, "functions and graphs nest deeper than ", kMaxNesting, " levels");
  Scope body;
  body.opsets = scope.opsets;
  body.prefix = labelOf(node, scope.prefix) + "/" + prefix;
  body.depth = scope.depth + 1;
  body.frame = frame;
  body.outer = &scope;
  return body;
}

Status ModelImport::addInitializers(const GraphProto &graph, Scope &body) {
  for (const TensorProto &tensor : graph.initializers)
    if (!body.initializers.emplace(tensor.name, &tensor).second)
      KILN_TRY(repeatInitializer(tensor, body));
  return Status();
}

std::optional<bool> knownBool(Value value) {
  Result<Tensor> constant = kiln::isConstant(value) ? readConstant(value) : Result<Tensor>(Tensor());
  if (!constant.ok() || !constant->valid())
    return std::nullopt;
  return *constant->as<uint8_t>() != 0;
}

/// An input that must be there.
Result<Value> ModelImport::operandOf(const NodeProto &node, size_t index, Scope &scope) {
  if (index >= node.inputs.size() || node.inputs[index].empty())
    return makeError(ErrorCode::E0306, "input ", index, " is missing");
  return lookup(node.inputs[index], scope);
}

/// A loop's body hands the condition on and slices what it goes through, where it is that of a Scan.
Result<Subgraph> ModelImport::importSubgraph(const NodeProto &node, const GraphProto &graph, std::string_view role,
                                             Scope &scope, const GraphArguments &arguments, const LoopParts *loop) {
  KILN_ASSIGN(Scope body, innerScope(node, "", scope, nullptr));
  bool isScan = loop && loop->isScan;
  size_t handed = arguments.types.size() - arguments.unnamed + (isScan ? loop->scanned.size() : 0) +
                  (loop ? loop->sequences.size() : 0);
  if (graph.inputs.size() != handed)
    return makeError(ErrorCode::E0306, "graph '", role, "' has ", graph.inputs.size(), " inputs, ", handed,
                     " are handed over");
  Subgraph result;
  // The function has sizes of its own: the table of the one around it waits.
  SizeTable outer = std::move(state.sizes);
  state.sizes = SizeTable();
  SizeBridge bridge(outer, state.sizes);
  mlir::OpBuilder::InsertionGuard guard(state.builder);
  mlir::Location loc = mlir::NameLoc::get(state.builder.getStringAttr(labelOf(node, scope.prefix)));
  state.builder.setInsertionPointToEnd(llvm::cast<mlir::ModuleOp>(scope.frame->function->getParentOp()).getBody());
  std::string name = "f" + std::to_string(subgraphs++) + "_" + std::string(role);
  result.function = state.builder.create<mlir::func::FuncOp>(loc, name, state.builder.getFunctionType({}, {}));
  result.function.setPrivate();
  mlir::Block *block = result.function.addEntryBlock();
  state.builder.setInsertionPointToEnd(block);
  Frame frame{result.function, scope.frame, &bridge, &outer};
  body.frame = &frame;
  body.isBatch = loop && loop->graph;
  auto run = [&]() -> Status {
    std::vector<std::string_view> tensors; // names of those inputs
    unsigned sequences = 0;
    for (auto [i, input] : llvm::enumerate(graph.inputs)) {
      if (!loop || i < 2 || !loop->sequenceAt(i - 2))
        tensors.push_back(input.name);
      else
        KILN_TRY(defineInput(input.name, {{}, NonTensor{.carried = sequences++}}, body));
    }
    for (auto [i, type] : llvm::enumerate(arguments.types)) {
      mlir::Type own = bridge.addArgument(type, {}, [&](unsigned dim) { return arguments.varies(unsigned(i), dim); });
      Value argument = block->addArgument(own, loc);
      if (i < arguments.unnamed)
        continue;
      KILN_TRY(defineInput(tensors[i - arguments.unnamed], {argument, std::nullopt}, body));
    }
    if (isScan)
      KILN_TRY(bindSlices(node, graph, *loop, body));
    KILN_TRY(addInitializers(graph, body));
    KILN_TRY(importNodes(graph.nodes, body));
    std::vector<Value> results, appended;
    if (isScan)
      results.push_back(block->getArgument(1));
    for (auto [place, output] : llvm::enumerate(graph.outputs)) {
      if (body.skips(output.name)) {
        result.skipped = true;
        continue;
      }
      auto value = lookupAny(output.name, body);
      if (!value.ok())
        return makeError(ErrorCode::E0302, "output \"", output.name, "\" of graph '", role, "' is not defined");
      if (loop && place >= 1 && loop->sequenceAt(place - 1)) {
        if (!value->nonTensor || value->nonTensor->carried != result.appended.size())
          return onlyAppends();
        appended.insert(appended.end(), value->nonTensor->items.begin(), value->nonTensor->items.end());
        result.appended.push_back(unsigned(value->nonTensor->items.size()));
        continue;
      }
      if (loop && loop->length && value->tensor) {
        KILN_ASSIGN(value->tensor, whileCounted(node, *loop, place, value->tensor, body));
      }
      if (value->nonTensor)
        llvm::append_range(results, value->nonTensor->parts());
      else
        results.push_back(value->tensor);
      result.outputs.push_back(std::move(value->nonTensor));
    }
    llvm::append_range(results, appended);
    state.builder.create<mlir::func::ReturnOp>(loc, results);
    result.function.setType(
        state.builder.getFunctionType(block->getArgumentTypes(), mlir::ValueRange(results).getTypes()));
    state.sizes.write(result.function);
    return Status();
  };
  Status status = run();
  result.sizes = std::exchange(state.sizes, std::move(outer));
  result.captured = std::move(frame.captured);
  KILN_TRY(status);
  return result;
}

Status ModelImport::setResultTypes(mlir::Operation *op, llvm::ArrayRef<Subgraph *> callees) {
  std::vector<SizeBridge> bridges;
  std::vector<CalleeSizes> sizes;
  bridges.reserve(callees.size());
  for (auto [callee, subgraph] : llvm::zip(calleesOf(op), callees)) {
    SizeBridge &bridge = bridges.emplace_back(state.sizes, subgraph->sizes);
    bridgeArguments(op, callee, subgraph->function.getArgumentTypes(), bridge);
    sizes.push_back({&bridge, subgraph->function.getArgumentTypes(), subgraph->function.getResultTypes()});
  }
  KILN_ASSIGN(ResultShapes shapes, inferControlFlow(op, state.shapes, sizes));
  for (auto [result, type] : llvm::zip(op->getResults(), nameResults(shapes, state.sizes)))
    result.setType(type);
  return Status();
}

/// `outputs` of the graphs, by which results belong together.
Status ModelImport::defineResults(const NodeProto &node, Scope &scope, mlir::ValueRange results,
                                  llvm::ArrayRef<std::optional<NonTensor>> outputs) {
  for (auto [name, output] : llvm::zip(node.outputs, outputs)) {
    GraphValue value{{}, output};
    size_t count = output ? output->parts().size() : 1;
    if (output)
      value.nonTensor->setParts(results.take_front(count));
    else
      value.tensor = results[0];
    results = results.drop_front(count);
    KILN_TRY(defineAny(name, value, scope));
  }
  return Status();
}

std::vector<mlir::Type> unsizedResults(mlir::func::FuncOp function, size_t skipped, size_t carried) {
  std::vector<mlir::Type> types;
  for (auto [i, type] : llvm::enumerate(function.getResultTypes().drop_front(skipped))) {
    auto tensor = llvm::cast<mlir::RankedTensorType>(type);
    Dims dims(size_t(tensor.getRank()) + (i >= carried ? 1 : 0), SizeExpr::invalid());
    types.push_back(makeTensorType(dims, tensor.getElementType()));
  }
  return types;
}

/// A function that nothing calls, and those that only it calls.
static void eraseFunction(mlir::func::FuncOp function) {
  auto module = llvm::cast<mlir::ModuleOp>(function->getParentOp());
  std::vector<mlir::func::FuncOp> inner;
  function.walk([&](mlir::Operation *op) {
    for (const Callee &callee : calleesOf(op))
      inner.push_back(module.lookupSymbol<mlir::func::FuncOp>(callee.symbol));
  });
  function.erase();
  for (mlir::func::FuncOp called : inner)
    eraseFunction(called);
}

static bool isScalar(Value value, unsigned bits) {
  auto type = llvm::cast<mlir::RankedTensorType>(value.getType());
  return type.getElementType().isInteger(bits) && type.hasStaticShape() && type.getNumElements() == 1;
}

/// A tensor of one element as a scalar, as ONNX takes counts and conditions.
Result<Value> ModelImport::scalarOf(Value value, unsigned bits, std::string_view what) {
  if (!isScalar(value, bits))
    return makeError(ErrorCode::E0305, what, " is no single ", bits == 1 ? "bool" : "int64");
  auto type = mlir::RankedTensorType::get({}, state.builder.getIntegerType(bits));
  return buildReshape(state.builder, state.location, value, type);
}

Status ModelImport::importControlFlow(const NodeProto &node, Scope &scope) {
  state.location = mlir::NameLoc::get(state.builder.getStringAttr(labelOf(node, scope.prefix)));
  if (node.opType == "If")
    return importIf(node, scope);
  return node.opType == "Loop" ? importLoop(node, scope) : importScan(node, scope);
}

Status ModelImport::importLoop(const NodeProto &node, Scope &scope) {
  LoopParts parts;
  if (!node.inputs.empty() && !node.inputs[0].empty()) {
    KILN_ASSIGN(parts.count, lookup(node.inputs[0], scope));
    KILN_ASSIGN(parts.count, scalarOf(parts.count, 64, "the trip count"));
  }
  if (node.inputs.size() > 1 && !node.inputs[1].empty()) {
    KILN_ASSIGN(parts.condition, lookup(node.inputs[1], scope));
    KILN_ASSIGN(parts.condition, scalarOf(parts.condition, 1, "the condition"));
  }
  std::vector<GraphValue> carried;
  for (size_t i = 2; i < node.inputs.size(); ++i) {
    GraphValue &value = carried.emplace_back();
    KILN_ASSIGN(value, lookupAny(node.inputs[i], scope));
    if (value.absent())
      return makeError(ErrorCode::E0306, "input ", i, " is missing");
    if (value.nonTensor)
      parts.sequences.emplace_back(i - 2, *value.nonTensor);
    else
      parts.initial.push_back(value.tensor);
  }
  if (!parts.sequences.empty()) {
    KILN_ASSIGN(bool unrolled, unrollLoop(node, scope, parts, std::move(carried)));
    if (unrolled)
      return Status();
    for (const auto &[place, sequence] : parts.sequences)
      if (!sequence.isList() && (!sequence.stacked || sequence.isOptional))
        return makeError(ErrorCode::E0204, "a loop that carries an optional, or a sequence that another loop carries, "
                                           "must be one that is unrolled");
  }
  return emitLoop(node, scope, parts);
}

Result<Value> firstDimTo(const NodeImport &view, Value x, int64_t axis) {
  Ints perm;
  for (int64_t i = 0; i < view.rank(x); ++i)
    perm.push_back(i < axis ? i + 1 : i == axis ? 0 : i);
  return view.transpose(x, perm);
}

Status ModelImport::emitLoop(const NodeProto &node, Scope &scope, const LoopParts &parts) {
  mlir::Location loc = state.location;
  std::vector<mlir::RankedTensorType> types{mlir::RankedTensorType::get({}, state.builder.getI64Type()),
                                            mlir::RankedTensorType::get({}, state.builder.getI1Type())};
  for (Value value : parts.initial)
    types.push_back(llvm::cast<mlir::RankedTensorType>(value.getType()));
  GraphProto graph;
  if (parts.graph) {
    graph = *parts.graph;
  } else {
    KILN_ASSIGN(graph, graphOf(node, "body", scope));
  }
  size_t results = graph.outputs.size() + (parts.isScan ? 1 : 0); // the condition among them
  if (size_t carried = parts.initial.size() + parts.sequences.size(); results < 1 + carried)
    return makeError(ErrorCode::E0306, "its body gives ", graph.outputs.size(), " values, not the condition and ",
                     carried, " carried ones");
  if (results - 1 < node.outputs.size())
    return makeError(ErrorCode::E0306, "has ", node.outputs.size(), " outputs, its body gives ", results - 1);
  // The body is imported for sizes that stay the same, and again where they do not.
  std::vector<int64_t> varying;
  Subgraph body;
  while (true) {
    auto varies = [&](unsigned argument, unsigned dim) {
      return argument >= 2 && llvm::is_contained(varying, int64_t(argument - 2) * 64 + dim);
    };
    KILN_ASSIGN(body, importSubgraph(node, graph, "body", scope, {types, parts.isScan ? 2u : 0u, varies}, &parts));
    if (body.skipped)
      return skipResults(node, scope);
    if (llvm::any_of(body.outputs, [](const auto &output) { return output.has_value(); }))
      return makeError(ErrorCode::E0305, "its body gives a sequence where no sequence is carried");
    auto more = varyingDims(body.function.getArgumentTypes(), body.function.getResultTypes(), parts.initial.size(),
                            varying, body.sizes);
    if (more.empty())
      break;
    varying.insert(varying.end(), more.begin(), more.end());
    eraseFunction(body.function);
  }
  // Nothing but the count ends a loop whose condition is true and handed on as it is.
  Value next = body.function.getBody().front().getTerminator()->getOperand(0);
  auto isTrue = [](Value value) { return knownBool(value) == true; };
  bool counted =
      (!parts.condition || isTrue(parts.condition)) && (next == body.function.getArgument(1) || isTrue(next));
  auto op = state.builder.create<kiln::LoopOp>(
      loc, unsizedResults(body.function, 1, parts.initial.size()), parts.count, parts.condition, parts.initial,
      body.captured, mlir::FlatSymbolRefAttr::get(body.function.getSymNameAttr()),
      state.builder.getDenseI64ArrayAttr(varying), counted ? state.builder.getUnitAttr() : mlir::UnitAttr());
  KILN_TRY(setResultTypes(op, {&body}));
  state.location = loc; // the body's nodes have theirs
  NodeImport view(state, node, opsetOf(node.domain, *scope.opsets), {});
  llvm::SmallVector<Value> values(op->getResults());
  for (auto [i, along] : llvm::enumerate(parts.results)) {
    Value &stacked = values[parts.initial.size() + i];
    KILN_ASSIGN(stacked, layOut(view, stacked, along));
  }
  unsigned appended = std::accumulate(body.appended.begin(), body.appended.end(), 0u);
  KILN_ASSIGN(std::vector<GraphValue> sequences,
              grownSequences(view, parts, body, mlir::ValueRange(values).take_back(appended)));
  auto tensor = values.begin();
  auto sequence = sequences.begin();
  for (auto [place, name] : llvm::enumerate(node.outputs)) {
    if (parts.isMap)
      KILN_TRY(defineAny(name, {{}, NonTensor{.stacked = *tensor++}}, scope));
    else
      KILN_TRY(defineAny(name, parts.sequenceAt(place) ? *sequence++ : GraphValue{*tensor++, std::nullopt}, scope));
  }
  return Status();
}

} // namespace kiln::onnx
