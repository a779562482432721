#include "compiler/import/onnx/GraphImport.h"

#include "compiler/import/onnx/ModelImport.h"
#include "compiler/import/onnx/OpTable.h"
#include "dialects/kiln/Ops.h"
#include "runtime/base/Text.h"

namespace kiln::onnx {

constexpr const char *definedTwice = "constants are defined twice, with equal elements";

/// Of the default domain: the newest whose changes to the imported operators are known.
constexpr int64_t newestOpset = 28;

// --- names

std::string ModelImport::labelOf(const NodeProto &node, const std::string &prefix) const {
  if (!node.name.empty())
    return prefix + std::string(node.name);
  for (std::string_view output : node.outputs)
    if (!output.empty())
      return prefix + std::string(node.opType) + "_" + std::string(output);
  return prefix + std::string(node.opType);
}

std::string ModelImport::contextOf(const NodeProto &node, const Scope &scope) const {
  std::string op =
      node.domain.empty() ? std::string(node.opType) : std::string(node.domain) + "." + std::string(node.opType);
  return "node \"" + labelOf(node, scope.prefix) + "\" (" + op + ", opset " +
         std::to_string(opsetOf(node.domain, *scope.opsets)) + "): ";
}

/// 0 where the default domain is not imported, but models before IR version 3 import nothing: version 1. So is every
/// other domain that is not imported, as ONNX Runtime takes it.
int64_t ModelImport::opsetOf(std::string_view domain, const std::vector<OpsetImport> &opsets) const {
  for (const OpsetImport &import : opsets)
    if (import.domain == domain)
      return import.version;
  return domain.empty() && model.irVersion >= 3 ? 0 : 1;
}

const FunctionProto *ModelImport::functionOf(const NodeProto &node) const {
  auto found = functions.find({node.domain, node.opType, node.overload});
  return found == functions.end() ? nullptr : found->second;
}

// --- what is not supported

/// An operator may mean something else in a version that the importer does not know.
static Status checkOpsets(const std::vector<OpsetImport> &opsets) {
  for (const OpsetImport &import : opsets)
    if (import.domain.empty() && (import.version < 1 || import.version > newestOpset))
      return makeError(ErrorCode::E0202, "opset ", import.version, " is not supported; versions 1 to ", newestOpset,
                       " are");
  return Status();
}

/// Lists what is not supported. Returns the number of nodes once functions are inlined, which a small model can make
/// very large.
Result<size_t> ModelImport::scan(const std::vector<NodeProto> &nodes, const std::vector<OpsetImport> &opsets,
                                 const std::string &prefix, unsigned depth) {
  if (depth > kMaxNesting)
    return makeError(ErrorCode::E0107, "functions and graphs nest deeper than ", kMaxNesting, " levels");
  size_t total = 0;
  for (const NodeProto &node : nodes) {
    int64_t opset = opsetOf(node.domain, opsets);
    size_t inside = 0;
    if (const FunctionProto *function = functionOf(node)) {
      KILN_ASSIGN(inside, scanFunction(*function, labelOf(node, prefix) + "/", depth + 1));
    } else if (opset == 0) {
      return makeError(ErrorCode::E0301, "node \"", labelOf(node, prefix), "\" (", node.opType,
                       "): the model imports no opset of domain \"", node.domain, "\"");
    } else {
      if (!findConverter(node.domain, node.opType, opset) && !isControlFlow(node) && !isSequence(node))
        unsupported.addOperator(node.opType, node.domain, opset, labelOf(node, prefix));
      for (const AttributeProto &attribute : node.attributes)
        if (attribute.type == AttributeProto::Graph) {
          KILN_ASSIGN(GraphProto body, parseSubgraph(attribute, depth + 1));
          KILN_ASSIGN(size_t count, scan(body.nodes, opsets, labelOf(node, prefix) + "/", depth + 1));
          inside += count;
        }
    }
    total += 1 + inside;
    if (total > kMaxNodes)
      return makeError(ErrorCode::E0107, "the model has more than ", kMaxNodes,
                       " nodes once its functions are inlined");
  }
  return total;
}

Result<size_t> ModelImport::scanFunction(const FunctionProto &function, const std::string &prefix, unsigned depth) {
  auto [known, isNew] = scanned.try_emplace(&function);
  if (isNew) {
    KILN_ASSIGN(known->second, scan(function.nodes, function.opsets, prefix, depth));
  } else if (!known->second) {
    return makeError(ErrorCode::E0107, "function \"", function.name, "\" calls itself");
  }
  return *known->second;
}

// --- order

/// The order in which nodes can be imported: the file's, unless it uses values before it defines
/// them.
Result<std::vector<size_t>> ModelImport::order(const std::vector<NodeProto> &nodes, const Scope &scope) const {
  std::unordered_map<std::string_view, size_t> producers;
  for (size_t i = 0; i < nodes.size(); ++i)
    for (std::string_view output : nodes[i].outputs)
      if (!output.empty() && (scope.knows(output) || !producers.emplace(output, i).second) && !isConstant(nodes[i]))
        return makeError(ErrorCode::E0303, contextOf(nodes[i], scope), "output \"", output, "\" is defined twice");
  bool sorted = true;
  for (size_t i = 0; i < nodes.size(); ++i)
    for (std::string_view input : nodes[i].inputs) {
      if (input.empty() || scope.knows(input))
        continue;
      auto producer = producers.find(input);
      if (producer == producers.end())
        return makeError(ErrorCode::E0302, contextOf(nodes[i], scope), "input \"", input,
                         "\" is no output of a node, no input and no initializer");
      sorted &= producer->second < i;
    }
  if (!sorted)
    return sortByUse(nodes, scope, producers);
  std::vector<size_t> inOrder(nodes.size());
  for (size_t i = 0; i < nodes.size(); ++i)
    inOrder[i] = i;
  return inOrder;
}

Result<std::vector<size_t>>
ModelImport::sortByUse(const std::vector<NodeProto> &nodes, const Scope &scope,
                       const std::unordered_map<std::string_view, size_t> &producers) const {
  enum Mark : char { New, Open, Done };
  std::vector<Mark> marks(nodes.size(), New);
  std::vector<size_t> result;
  struct Visit {
    size_t node, nextInput;
  };
  std::vector<Visit> stack; // on the heap: models may be deep chains
  for (size_t root = 0; root < nodes.size(); ++root) {
    if (marks[root] != New)
      continue;
    marks[root] = Open;
    stack.push_back({root, 0});
    while (!stack.empty()) {
      Visit &top = stack.back();
      const NodeProto &node = nodes[top.node];
      if (top.nextInput == node.inputs.size()) {
        marks[top.node] = Done;
        result.push_back(top.node);
        stack.pop_back();
        continue;
      }
      auto producer = producers.find(node.inputs[top.nextInput++]);
      if (producer == producers.end() || marks[producer->second] == Done)
        continue;
      if (marks[producer->second] == Open) {
        std::string cycle;
        size_t at = stack.size();
        while (stack[--at].node != producer->second)
          ;
        for (size_t shown = at; shown < stack.size() && shown < at + 8; ++shown)
          cycle += (cycle.empty() ? "\"" : ", \"") + labelOf(nodes[stack[shown].node], scope.prefix) + "\"";
        if (stack.size() - at > 8)
          cycle += " and " + std::to_string(stack.size() - at - 8) + " more";
        return makeError(ErrorCode::E0307, contextOf(nodes[producer->second], scope), "is part of a cycle of ",
                         stack.size() - at, " nodes: ", cycle);
      }
      marks[producer->second] = Open;
      stack.push_back({producer->second, 0});
    }
  }
  return result;
}

// --- import

Result<Value> ModelImport::lookup(std::string_view name, Scope &scope) {
  if (auto found = scope.values.find(name); found != scope.values.end())
    return found->second;
  auto initializer = scope.initializers.find(name);
  if (initializer == scope.initializers.end() && scope.outer && scope.outer->frame == scope.frame)
    return lookup(name, *scope.outer);
  if (initializer == scope.initializers.end() && scope.outer) {
    KILN_ASSIGN(Value value, capture(name, scope));
    scope.values.emplace(name, value);
    return value;
  }
  if (scope.nonTensors.count(name))
    return makeError(ErrorCode::E0305, "value \"", name, "\" is no tensor");
  if (initializer == scope.initializers.end())
    return makeError(ErrorCode::E0302, "value \"", name, "\" is not defined");
  auto loc = mlir::NameLoc::get(state.builder.getStringAttr(llvm::StringRef(name.data(), name.size())));
  KILN_ASSIGN(Value value, state.initializer(*initializer->second, loc));
  scope.initializers.erase(initializer);
  scope.values.emplace(name, value);
  return value;
}

static bool sameConstant(Value a, Value b) {
  auto first = a.getDefiningOp<kiln::ConstantOp>(), second = b.getDefiningOp<kiln::ConstantOp>();
  if (!first || !second || a.getType() != b.getType())
    return false;
  if (first.getValue() == second.getValue()) // also where they are bound later: looking at elements rules that out
    return true;
  Tensor storageOfA, storageOfB;
  mlir::SmallVector<int64_t> dimsOfA, dimsOfB;
  auto viewOfA = viewConstant(a, storageOfA, dimsOfA), viewOfB = viewConstant(b, storageOfB, dimsOfB);
  return viewOfA.ok() && viewOfB.ok() && // memcmp takes no null pointers
         (viewOfA->bytes() == 0 || std::memcmp(viewOfA->data, viewOfB->data, size_t(viewOfA->bytes())) == 0);
}

/// Gives a result its name. A constant that is defined again counts where it is the same.
Status ModelImport::define(std::string_view name, Value value, Scope &scope) {
  if (scope.knows(name)) {
    auto known = lookup(name, scope);
    if (!known.ok() || !sameConstant(*known, value))
      return makeError(ErrorCode::E0303, "output \"", name, "\" is defined twice");
    state.irregular[definedTwice].emplace(name);
    return Status();
  }
  scope.values.emplace(name, value);
  return Status();
}

Status ModelImport::repeatInitializer(const TensorProto &tensor, Scope &scope) {
  KILN_ASSIGN(Value first, lookup(tensor.name, scope));
  KILN_ASSIGN(Value again, state.initializer(tensor, first.getLoc()));
  if (!sameConstant(first, again))
    return makeError(ErrorCode::E0303, "initializer \"", tensor.name, "\" is defined twice");
  state.irregular[definedTwice].emplace(tensor.name);
  return Status();
}

Status ModelImport::importNodes(const std::vector<NodeProto> &nodes, Scope &scope) {
  KILN_ASSIGN(std::vector<size_t> inOrder, order(nodes, scope));
  for (size_t index : inOrder)
    KILN_TRY(importNode(nodes[index], scope));
  return Status();
}

Status ModelImport::importNode(const NodeProto &node, Scope &scope) {
  const FunctionProto *function = functionOf(node);
  Converter converter =
      function ? nullptr : findConverter(node.domain, node.opType, opsetOf(node.domain, *scope.opsets));
  if (++imported > kMaxNodes)
    return makeError(ErrorCode::E0107, "the bodies of loops nest too deep: more than ", kMaxNodes,
                     " nodes were imported");
  bool control = isControlFlow(node), sequence = isSequence(node);
  bool skip = !function && !converter && !control && !sequence; // scan has listed it
  for (std::string_view input : node.inputs)
    skip |= scope.skips(input);
  Status status;
  if (!skip && function) {
    status = inlineCall(node, *function, scope);
  } else if (!skip && !control && (sequence || takesNonTensors(node, scope))) {
    status = importSequence(node, scope).withContext(contextOf(node, scope));
  } else if (!skip && control) {
    status = importControlFlow(node, scope).withContext(contextOf(node, scope));
  } else if (!skip) {
    std::vector<Value> operands;
    for (std::string_view input : node.inputs) {
      Value operand;
      if (!input.empty()) {
        auto value = lookup(input, scope);
        if (!value.ok()) {
          status = value.status().withContext(contextOf(node, scope));
          break;
        }
        operand = *value;
      }
      operands.push_back(operand);
    }
    if (status.ok())
      status = convert(converter, node, scope, std::move(operands)).withContext(contextOf(node, scope));
  }
  if (!status.ok() && isUnsupported(status.code())) {
    unsupported.addFeature(status);
    skip = true;
    status = Status();
  }
  if (skip)
    return skipResults(node, scope);
  return status;
}

Status ModelImport::convert(Converter converter, const NodeProto &node, Scope &scope, std::vector<Value> operands) {
  state.location = mlir::NameLoc::get(state.builder.getStringAttr(labelOf(node, scope.prefix)));
  state.inFunction = scope.depth > 0;
  auto graphs = [&](std::string_view attribute, const std::vector<Value> &values) {
    return applyGraph(node, attribute, scope, values);
  };
  NodeImport view(state, node, opsetOf(node.domain, *scope.opsets), std::move(operands), graphs);
  KILN_TRY(converter(view));
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    if (node.outputs[i].empty())
      continue;
    if (!view.results()[i])
      return makeError(ErrorCode::E0205, "output ", i, " (\"", node.outputs[i], "\") is not supported");
    KILN_TRY(define(node.outputs[i], view.results()[i], scope));
  }
  return Status();
}

/// Of a graph of tensors.
Result<std::vector<Value>> ModelImport::applyGraph(const NodeProto &node, std::string_view attribute, Scope &scope,
                                                   const std::vector<Value> &operands) {
  KILN_ASSIGN(GraphProto graph, graphOf(node, attribute, scope));
  if (graph.inputs.size() != operands.size())
    return makeError(ErrorCode::E0306, "graph '", attribute, "' has ", graph.inputs.size(), " inputs, ",
                     operands.size(), " are handed over");
  std::vector<GraphValue> inputs;
  for (Value operand : operands)
    inputs.push_back({operand, {}});
  KILN_ASSIGN(auto outputs, inlineGraph(node, graph, scope, std::string(attribute), inputs));
  if (!outputs)
    return makeError(ErrorCode::E0205, "graph '", attribute, "' holds what is not supported");
  std::vector<Value> results;
  for (const GraphValue &output : *outputs) {
    if (!output.tensor)
      return makeError(ErrorCode::E0305, "graph '", attribute, "' does not give a tensor");
    results.push_back(output.tensor);
  }
  return results;
}

Status ModelImport::inlineCall(const NodeProto &node, const FunctionProto &function, Scope &scope) {
  if (scope.depth >= kMaxNesting)
    return makeError(ErrorCode::E0107, contextOf(node, scope), "functions nest deeper than ", kMaxNesting, " levels");
  if (node.inputs.size() > function.inputs.size() || node.outputs.size() > function.outputs.size())
    return makeError(ErrorCode::E0306, contextOf(node, scope), "has ", node.inputs.size(), " inputs and ",
                     node.outputs.size(), " outputs; the function has ", function.inputs.size(), " and ",
                     function.outputs.size());
  Scope body;
  body.opsets = &function.opsets;
  body.prefix = labelOf(node, scope.prefix) + "/";
  body.depth = scope.depth + 1;
  body.frame = scope.frame;
  Names absent;
  for (size_t i = 0; i < function.inputs.size(); ++i) {
    Result<GraphValue> operand = i < node.inputs.size() ? lookupAny(node.inputs[i], scope) : GraphValue();
    if (!operand.ok())
      return operand.status().withContext(contextOf(node, scope));
    if (operand->nonTensor)
      body.nonTensors.emplace(function.inputs[i], *operand->nonTensor);
    else if (operand->tensor)
      body.values.emplace(function.inputs[i], operand->tensor);
    else
      absent.insert(function.inputs[i]);
  }
  // An attribute that refers to the caller's takes its value, else the function's default, else it
  // is absent.
  std::vector<NodeProto> nodes = function.nodes;
  for (NodeProto &inner : nodes) {
    for (std::string_view &input : inner.inputs)
      if (absent.count(input))
        input = {};
    std::vector<AttributeProto> resolved;
    for (AttributeProto &attribute : inner.attributes) {
      if (attribute.refName.empty()) {
        resolved.push_back(attribute);
        continue;
      }
      for (const std::vector<AttributeProto> *source : {&node.attributes, &function.defaults}) {
        auto found = std::find_if(source->begin(), source->end(),
                                  [&](const AttributeProto &given) { return given.name == attribute.refName; });
        if (found == source->end())
          continue;
        resolved.push_back(*found);
        resolved.back().name = attribute.name;
        break;
      }
    }
    inner.attributes = std::move(resolved);
  }
  KILN_TRY(importNodes(nodes, body));
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    if (node.outputs[i].empty())
      continue;
    if (body.skipped.count(function.outputs[i])) {
      scope.skipped.insert(node.outputs[i]);
      continue;
    }
    auto value = lookupAny(function.outputs[i], body);
    if (!value.ok())
      return value.status().withContext(contextOf(node, scope));
    if (value->nonTensor)
      scope.nonTensors.emplace(node.outputs[i], *value->nonTensor);
    else
      scope.values.emplace(node.outputs[i], value->tensor);
  }
  return Status();
}

Status ModelImport::run() {
  if (!model.graph)
    return makeError(ErrorCode::E0301, "the model has no graph; is it an ONNX model?");
  const GraphProto &graph = *model.graph;
  for (const FunctionProto &function : model.functions)
    functions.emplace(std::tuple(function.domain, function.name, function.overload), &function);
  KILN_TRY(checkOpsets(model.opsets));
  for (const FunctionProto &function : model.functions)
    KILN_TRY(checkOpsets(function.opsets));
  KILN_TRY(scan(graph.nodes, model.opsets, "", 0).status());
  if (graph.hasSparseInitializer)
    unsupported.addFeature(makeError(ErrorCode::E0204, "sparse initializers are not supported"));
  // Operators that are not supported are known by now; what else is not shows in the nodes that do not depend on them.
  Status status = importGraph(graph);
  if (!status.ok() && isUnsupported(status.code()))
    unsupported.addFeature(status);
  return unsupported.empty() ? status : unsupported.error();
}

Status ModelImport::importGraph(const GraphProto &graph) {
  Scope scope;
  scope.opsets = &model.opsets;
  std::vector<const TensorProto *> repeated;
  for (const TensorProto &tensor : graph.initializers)
    if (!scope.initializers.emplace(tensor.name, &tensor).second)
      repeated.push_back(&tensor);
  KILN_ASSIGN(mlir::func::FuncOp function, importInputs(graph, scope));
  Frame frame{function};
  scope.frame = &frame;
  for (const std::vector<ValueInfoProto> *infos : {&graph.valueInfos, &graph.outputs})
    for (const ValueInfoProto &info : *infos)
      if (info.kind == ValueInfoProto::Tensor && info.hasShape)
        state.declaredRanks.emplace(info.name, int64_t(info.dims.size()));
  for (const TensorProto *tensor : repeated)
    KILN_TRY(repeatInitializer(*tensor, scope));
  KILN_TRY(importNodes(graph.nodes, scope));
  if (!unsupported.empty())
    return Status();
  KILN_TRY(importOutputs(function, scope));
  state.sizes.dropUnused(function); // names that the caller's shapes replaced
  state.sizes.write(function);
  return Status();
}

/// Tells what was taken although it is wrong.
static void warn(const ImportState &state, const ImportOptions &options, const std::string &label) {
  constexpr size_t shown = 8;
  if (!options.warn)
    return;
  for (const auto &[what, names] : state.irregular) {
    std::string text = label + ": " + what;
    size_t count = 0;
    for (const std::string &name : names)
      if (++count <= shown)
        text += (count == 1 ? ": \"" : ", \"") + name + "\"";
    if (count > shown)
      text += " and " + std::to_string(count - shown) + " more";
    options.warn(printable(text));
  }
}

Status importModel(ImportState &state, const ModelProto &model, const ImportOptions &options,
                   const std::string &label) {
  Status status = ModelImport(state, model, options, label).run();
  if (status.ok())
    warn(state, options, label);
  if (status.ok() || status.message().starts_with(label + ": "))
    return status;
  return status.withContext(label + ": ");
}

} // namespace kiln::onnx
