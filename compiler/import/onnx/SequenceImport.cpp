// Names that stand for sequences and optionals, the operators on them, and loops that carry them (Sequences.h).
#include "compiler/import/onnx/ModelImport.h"
#include "compiler/import/onnx/Sequences.h"

#include "dialects/kiln/Build.h"
#include "dialects/kiln/Ops.h"

#include <array>

namespace kiln::onnx {

constexpr std::array<std::string_view, 12> operatorNames = {"ConcatFromSequence", "Optional",      "OptionalGetElement",
                                                            "OptionalHasElement", "SequenceAt",    "SequenceConstruct",
                                                            "SequenceEmpty",      "SequenceErase", "SequenceInsert",
                                                            "SequenceLength",     "SequenceMap",   "SplitToSequence"};

bool isSequenceOperator(const NodeProto &node) {
  return node.domain.empty() && std::binary_search(operatorNames.begin(), operatorNames.end(), node.opType);
}

// --- names

Result<std::optional<NonTensor>> ModelImport::lookupNonTensor(std::string_view name, Scope &scope) {
  if (auto found = scope.nonTensors.find(name); found != scope.nonTensors.end())
    return std::optional(found->second);
  if (!scope.outer || scope.values.count(name) || scope.initializers.count(name))
    return std::optional<NonTensor>();
  if (scope.outer->frame == scope.frame)
    return lookupNonTensor(name, *scope.outer);
  std::swap(state.sizes, *scope.frame->outerSizes); // where the other function's sizes are meant
  auto outside = lookupNonTensor(name, *scope.outer);
  std::swap(state.sizes, *scope.frame->outerSizes);
  if (!outside.ok() || !*outside)
    return outside;
  if ((*outside)->carried)
    KILN_TRY(requireList(**outside));
  std::vector<Value> inside;
  for (Value part : (*outside)->parts()) {
    KILN_ASSIGN(inside.emplace_back(), bringIn(part, *scope.frame, 0));
  }
  (*outside)->setParts(inside);
  scope.nonTensors.emplace(name, **outside);
  return outside;
}

/// What a node is handed, and what its results are: either of them may be no tensor.
Result<GraphValue> ModelImport::lookupAny(std::string_view name, Scope &scope) {
  if (name.empty())
    return GraphValue();
  GraphValue value;
  KILN_ASSIGN(value.nonTensor, lookupNonTensor(name, scope));
  if (!value.nonTensor) {
    KILN_ASSIGN(value.tensor, lookup(name, scope));
  }
  return value;
}

Status ModelImport::defineAny(std::string_view name, const GraphValue &value, Scope &scope) {
  if (name.empty())
    return Status();
  if (!value.nonTensor)
    return define(name, value.tensor, scope);
  if (scope.knows(name))
    return makeError(ErrorCode::E0303, "output \"", name, "\" is defined twice");
  scope.nonTensors.emplace(name, *value.nonTensor);
  anyNonTensors = true;
  return Status();
}

bool ModelImport::takesNonTensors(const NodeProto &node, const Scope &scope) const {
  return anyNonTensors && std::ranges::any_of(node.inputs, [&](std::string_view name) {
           for (const Scope *s = &scope; s; s = s->outer)
             if (s->nonTensors.count(name) || s->values.count(name) || s->initializers.count(name))
               return s->nonTensors.count(name) > 0;
           return false;
         });
}

Status ModelImport::skipResults(const NodeProto &node, Scope &scope) {
  for (std::string_view output : node.outputs)
    if (!output.empty())
      scope.skipped.insert(output);
  return Status();
}

// --- nodes

Status ModelImport::importSequence(const NodeProto &node, Scope &scope) {
  if (!isSequenceOperator(node) && node.opType != "Identity")
    return makeError(ErrorCode::E0204, "takes no sequences or optionals");
  state.location = mlir::NameLoc::get(state.builder.getStringAttr(labelOf(node, scope.prefix)));
  NodeImport view(state, node, opsetOf(node.domain, *scope.opsets), {});
  std::vector<GraphValue> operands;
  for (std::string_view input : node.inputs) {
    KILN_ASSIGN(operands.emplace_back(), lookupAny(input, scope));
  }
  auto tensor = [&](size_t i) -> Result<Value> {
    if (i >= operands.size() || operands[i].absent())
      return makeError(ErrorCode::E0306, "input ", i, " is missing");
    if (operands[i].nonTensor)
      return makeError(ErrorCode::E0305, "input ", i, " is no tensor");
    return operands[i].tensor;
  };
  auto sequence = [&](size_t i) -> Result<NonTensor> {
    if (i >= operands.size() || operands[i].absent())
      return makeError(ErrorCode::E0306, "input ", i, " is missing");
    if (!operands[i].nonTensor || !operands[i].nonTensor->isSequence())
      return makeError(ErrorCode::E0305, "input ", i, " is no sequence");
    return *operands[i].nonTensor;
  };
  bool hasPosition = operands.size() > (node.opType == "SequenceInsert" ? 2 : 1) && !operands.back().absent();
  auto set = [&](const GraphValue &value) {
    return node.outputs.empty() ? Status() : defineAny(node.outputs[0], value, scope);
  };

  if (node.opType == "Identity" || node.opType == "OptionalGetElement") {
    if (operands.empty() || operands[0].absent())
      return makeError(ErrorCode::E0306, "input 0 is missing");
    if (operands[0].nonTensor && operands[0].nonTensor->isNone && node.opType != "Identity")
      return makeError(ErrorCode::E0306, "the optional is empty");
    if (node.opType == "OptionalGetElement" && operands[0].nonTensor && operands[0].nonTensor->isOptional) {
      KILN_ASSIGN(Value value, valueOf(view, *operands[0].nonTensor));
      if (operands[0].nonTensor->ofSequence)
        return set({{}, NonTensor{.stacked = value}});
      return set({value, std::nullopt});
    }
    return set(operands[0]);
  }
  if (node.opType == "Optional")
    return set(operands.empty() || operands[0].absent() ? GraphValue{{}, NonTensor{.isNone = true}} : operands[0]);
  if (node.opType == "OptionalHasElement" && operands.size() == 1 && operands[0].nonTensor &&
      operands[0].nonTensor->isOptional) {
    KILN_ASSIGN(Value count, view.sizeOf(operands[0].nonTensor->stacked, 0));
    KILN_ASSIGN(Value has, view.cast(count, DType::Bool));
    return set({has, std::nullopt});
  }
  if (node.opType == "OptionalHasElement") {
    bool has = !operands.empty() && !operands[0].absent() && !(operands[0].nonTensor && operands[0].nonTensor->isNone);
    return set({view.scalar(has, DType::Bool), std::nullopt});
  }
  if (node.opType == "SequenceEmpty")
    return set({{}, NonTensor()});
  if (node.opType == "SequenceConstruct") {
    NonTensor result;
    for (size_t i = 0; i < operands.size(); ++i) {
      KILN_ASSIGN(Value item, tensor(i));
      KILN_TRY(checkItem(view, result, item));
      result.items.push_back(item);
    }
    return set({{}, result});
  }
  if (node.opType == "SplitToSequence") {
    KILN_ASSIGN(Value x, tensor(0));
    Value sizes;
    if (hasPosition) {
      KILN_ASSIGN(sizes, tensor(1));
    }
    KILN_ASSIGN(NonTensor parts, splitToSequence(view, x, sizes));
    return set({{}, parts});
  }
  if (node.opType == "SequenceMap")
    return importSequenceMap(node, scope, operands);

  KILN_ASSIGN(NonTensor list, sequence(0));
  if (node.opType == "SequenceInsert" && !hasPosition) {
    KILN_ASSIGN(Value item, tensor(1));
    KILN_TRY(checkItem(view, list, item));
    KILN_ASSIGN(list, appended(view, list, item));
    return set({{}, list});
  }
  if (list.stacked && node.opType == "SequenceLength") {
    KILN_ASSIGN(Value length, view.sizeOf(list.stacked, 0));
    return set({length, std::nullopt});
  }
  bool mayBeStacked = node.opType == "SequenceAt" || node.opType == "ConcatFromSequence";
  if (list.carried || !mayBeStacked)
    KILN_TRY(requireList(list));
  int64_t count = int64_t(list.items.size());
  if (node.opType == "SequenceLength")
    return set({view.scalar(double(count), DType::I64), std::nullopt});
  if (node.opType == "ConcatFromSequence") {
    KILN_ASSIGN(Value joined, concatFromSequence(view, list));
    return set({joined, std::nullopt});
  }
  if (node.opType == "SequenceAt") {
    KILN_ASSIGN(Value operand, tensor(1));
    if (list.stacked || !view.knownInts(operand)) {
      KILN_ASSIGN(Value item, itemAt(view, list, operand));
      return set({item, std::nullopt});
    }
    KILN_ASSIGN(size_t at, position(view, operand, count));
    return set({list.items[at], std::nullopt});
  }
  if (node.opType == "SequenceErase") {
    size_t at = size_t(count) - 1;
    if (hasPosition) {
      KILN_ASSIGN(Value operand, tensor(1));
      KILN_ASSIGN(at, position(view, operand, count));
    } else if (count == 0) {
      return makeError(ErrorCode::E0412, "the sequence is empty");
    }
    list.items.erase(list.items.begin() + ptrdiff_t(at));
    return set({{}, list});
  }
  if (node.opType == "SequenceInsert") {
    KILN_ASSIGN(Value item, tensor(1));
    KILN_TRY(checkItem(view, list, item));
    KILN_ASSIGN(Value operand, tensor(2));
    std::optional<Ints> known = view.knownInts(operand);
    // -1 is before the last; only from the front there is one place more.
    KILN_ASSIGN(size_t at, position(view, operand, count + (known && known->size() == 1 && (*known)[0] < 0 ? 0 : 1)));
    list.items.insert(list.items.begin() + ptrdiff_t(at), item);
    return set({{}, list});
  }
  llvm_unreachable("an operator that operatorNames lists");
}

// --- bodies, once for each item

/// Imports the graph into the function at hand, with values for its inputs. Returns those of its outputs; nothing where
/// something in it is not supported.
Result<std::optional<std::vector<GraphValue>>> ModelImport::inlineGraph(const NodeProto &node, const GraphProto &graph,
                                                                        Scope &scope, const std::string &label,
                                                                        const std::vector<GraphValue> &inputs) {
  KILN_ASSIGN(Scope body, innerScope(node, label + "/", scope, scope.frame));
  if (graph.inputs.size() != inputs.size())
    return makeError(ErrorCode::E0306, "graph 'body' has ", graph.inputs.size(), " inputs, ", inputs.size(),
                     " are handed over");
  for (size_t i = 0; i < inputs.size(); ++i)
    KILN_TRY(defineInput(graph.inputs[i].name, inputs[i], body));
  KILN_TRY(addInitializers(graph, body));
  KILN_TRY(importNodes(graph.nodes, body));
  std::vector<GraphValue> results;
  for (const ValueInfoProto &output : graph.outputs) {
    if (body.skips(output.name))
      return std::optional<std::vector<GraphValue>>();
    KILN_ASSIGN(results.emplace_back(), lookupAny(output.name, body));
  }
  return std::optional(std::move(results));
}

Status ModelImport::defineInput(std::string_view name, const GraphValue &value, Scope &body) {
  bool isNew = value.nonTensor ? !body.values.count(name) && body.nonTensors.emplace(name, *value.nonTensor).second
                               : !body.nonTensors.count(name) && body.values.emplace(name, value.tensor).second;
  return isNew ? Status() : makeError(ErrorCode::E0303, "input \"", name, "\" of graph 'body' is defined twice");
}

/// Of sequences whose length only a run tells: a loop over their items.
Status ModelImport::mapStacked(const NodeProto &node, Scope &scope, const std::vector<GraphValue> &operands) {
  NodeImport view(state, node, opsetOf(node.domain, *scope.opsets), {});
  KILN_ASSIGN(GraphProto graph, graphOf(node, "body", scope));
  LoopParts parts;
  parts.isScan = parts.isMap = true;
  std::optional<SizeExpr> length;
  for (const GraphValue &operand : operands) {
    LoopParts::Along &along = parts.scanned.emplace_back();
    along.whole = !operand.nonTensor;
    along.value = operand.tensor;
    if (operand.absent())
      return makeError(ErrorCode::E0306, "input ", parts.scanned.size() - 1, " is missing");
    if (along.whole)
      continue;
    KILN_ASSIGN(along.value,
                stackAlike(view, *operand.nonTensor,
                           "the tensors of a sequence must have equal dims where the length of another one "
                           "is not known when compiling"));
    SizeExpr own = view.dims(along.value)[0];
    if (length)
      KILN_TRY(view.requireEqual(*length, own));
    length = own;
  }
  parts.results.resize(graph.outputs.size());
  KILN_ASSIGN(parts.count, view.sizeOf(parts.scanned[0].value, 0));
  return emitLoop(node, scope, parts);
}

Status ModelImport::importSequenceMap(const NodeProto &node, Scope &scope, const std::vector<GraphValue> &operands) {
  if (operands.empty() || !operands[0].nonTensor)
    return makeError(ErrorCode::E0305, "input 0 is no sequence");
  for (size_t i = 0; i < operands.size(); ++i) {
    if (operands[i].nonTensor && !operands[i].nonTensor->isSequence())
      return makeError(ErrorCode::E0305, "input ", i, " is no sequence");
    if (operands[i].nonTensor && operands[i].nonTensor->carried)
      return onlyAppends();
  }
  if (std::ranges::any_of(operands, [](const GraphValue &o) { return o.nonTensor && o.nonTensor->stacked; }))
    return mapStacked(node, scope, operands);
  size_t count = operands[0].nonTensor->items.size();
  for (const GraphValue &operand : operands)
    if (operand.nonTensor && operand.nonTensor->items.size() != count)
      return makeError(ErrorCode::E0304, "its sequences have ", count, " and ", operand.nonTensor->items.size(),
                       " items");
  KILN_ASSIGN(GraphProto graph, graphOf(node, "body", scope));
  std::vector<GraphValue> results(node.outputs.size(), GraphValue{{}, NonTensor()});
  if (graph.outputs.size() < results.size())
    return makeError(ErrorCode::E0306, "has ", results.size(), " outputs, its body gives ", graph.outputs.size());
  for (size_t i = 0; i < count; ++i) {
    std::vector<GraphValue> inputs;
    for (const GraphValue &operand : operands)
      inputs.push_back(operand.nonTensor ? GraphValue{operand.nonTensor->items[i], std::nullopt} : operand);
    KILN_ASSIGN(auto items, inlineGraph(node, graph, scope, std::to_string(i), inputs));
    if (!items)
      return skipResults(node, scope);
    for (size_t k = 0; k < results.size(); ++k) {
      if ((*items)[k].nonTensor)
        return makeError(ErrorCode::E0305, "its body gives a sequence");
      results[k].nonTensor->items.push_back((*items)[k].tensor);
    }
  }
  for (size_t k = 0; k < results.size(); ++k)
    KILN_TRY(defineAny(node.outputs[k], results[k], scope));
  return Status();
}

// --- loops that carry sequences

/// Imports the body for each iteration, if their number is known and no more than a program may well be made of. False
/// where it is not: then nothing is defined.
Result<bool> ModelImport::unrollLoop(const NodeProto &node, Scope &scope, const LoopParts &parts,
                                     std::vector<GraphValue> carried) {
  mlir::Location loc = state.location;
  NodeImport view(state, node, opsetOf(node.domain, *scope.opsets), {});
  std::optional<Ints> count = parts.count ? view.knownInts(parts.count) : std::nullopt;
  std::optional<bool> goesOn = parts.condition ? knownBool(parts.condition) : true;
  if (!count || (*count)[0] > mostUnrolled || !goesOn)
    return false;
  KILN_ASSIGN(GraphProto graph, graphOf(node, "body", scope));
  if (graph.outputs.size() < 1 + carried.size() || graph.outputs.size() - 1 < node.outputs.size())
    return makeError(ErrorCode::E0306, "its body gives ", graph.outputs.size(), " values");
  size_t stacks = graph.outputs.size() - 1 - carried.size();
  std::vector<std::vector<Value>> stacked(stacks);
  for (int64_t i = 0; i < (*count)[0]; ++i) {
    if (!goesOn)
      return false;
    if (!*goesOn)
      break;
    std::vector<GraphValue> inputs{{view.scalar(double(i), DType::I64), std::nullopt},
                                   {view.scalar(1, DType::Bool), std::nullopt}};
    inputs.insert(inputs.end(), carried.begin(), carried.end());
    KILN_ASSIGN(auto results, inlineGraph(node, graph, scope, std::to_string(i), inputs));
    if (!results) {
      KILN_TRY(skipResults(node, scope));
      return true;
    }
    state.location = loc; // the body's nodes have theirs
    if ((*results)[0].nonTensor)
      return makeError(ErrorCode::E0305, "the condition is no tensor");
    goesOn = knownBool((*results)[0].tensor);
    for (size_t k = 0; k < carried.size(); ++k)
      carried[k] = (*results)[1 + k];
    for (size_t k = 0; k < stacks; ++k) {
      const GraphValue &item = (*results)[1 + carried.size() + k];
      if (item.nonTensor)
        return makeError(ErrorCode::E0305, "its body gives a sequence to stack");
      stacked[k].push_back(item.tensor);
    }
  }
  for (const std::vector<Value> &rows : stacked) {
    if (rows.empty())
      return makeError(ErrorCode::E0204, "a loop that carries a sequence stacks the results of no iteration");
    KILN_ASSIGN(carried.emplace_back().tensor, stack(view, rows));
  }
  for (size_t k = 0; k < node.outputs.size(); ++k)
    KILN_TRY(defineAny(node.outputs[k], carried[k], scope));
  return true;
}

/// What the loop makes of the sequences that it carries; `stacks`: what it appended to all of them, each stacked.
Result<std::vector<GraphValue>> ModelImport::grownSequences(const NodeImport &view, const LoopParts &parts,
                                                            const Subgraph &body, mlir::ValueRange stacks) {
  std::vector<GraphValue> grown;
  for (auto [entry, count] : llvm::zip(parts.sequences, body.appended)) {
    const NonTensor &initial = entry.second;
    std::vector<Value> iterations(stacks.begin(), stacks.begin() + count);
    stacks = stacks.drop_front(count);
    GraphValue &value = grown.emplace_back(GraphValue{{}, initial});
    if (iterations.empty())
      continue;
    Value whole = iterations[0];
    if (iterations.size() > 1) {
      for (Value &each : iterations) {
        KILN_ASSIGN(each, withUnitDim(view, each, 1));
      }
      KILN_ASSIGN(whole, joinAlike(view, iterations, 1));
      KILN_ASSIGN(whole, mergeDims(view, whole, 0));
    }
    if (!initial.parts().empty()) {
      Value before = initial.stacked;
      if (!before) {
        KILN_ASSIGN(before, stack(view, initial.items));
      }
      KILN_ASSIGN(whole, joinAlike(view, {before, whole}, 0));
    }
    value.nonTensor = NonTensor{.stacked = whole};
  }
  return grown;
}

} // namespace kiln::onnx
