// Sequences and optionals, which are gone after import. One of known length is a list of values, and costs nothing
// later: exporters write them where a framework splits and joins. One whose length only a run tells (parts of an
// unknown size, what a loop appends) is a tensor that has its items along the first dim, and they must have equal dims.
#include "compiler/import/onnx/ModelImport.h"
#include "compiler/import/onnx/ops/Shared.h"

#include "dialects/kiln/Build.h"
#include "dialects/kiln/Ops.h"

#include <array>

namespace kiln::onnx {

/// Loops of no more iterations are unrolled.
constexpr int64_t mostUnrolled = 1000;
/// Lists have no more items.
constexpr int64_t mostItems = 100'000;

Status onlyAppends() {
  return makeError(ErrorCode::E0204,
                   "a loop may only append to a sequence that it carries, unless it is unrolled: its "
                   "trip count, at most ",
                   mostUnrolled, ", and its condition are known when compiling");
}

namespace {

constexpr std::array<std::string_view, 12> operatorNames = {"ConcatFromSequence", "Optional",      "OptionalGetElement",
                                                            "OptionalHasElement", "SequenceAt",    "SequenceConstruct",
                                                            "SequenceEmpty",      "SequenceErase", "SequenceInsert",
                                                            "SequenceLength",     "SequenceMap",   "SplitToSequence"};

Status checkItem(const NodeImport &view, const NonTensor &sequence, Value item) {
  if (!sequence.items.empty() && view.dtype(sequence.items[0]) != view.dtype(item))
    return makeError(ErrorCode::E0305, "the tensors of a sequence must be of one type, not ",
                     dtypeName(view.dtype(sequence.items[0])), " and ", dtypeName(view.dtype(item)));
  return Status();
}

/// The position that an operand gives, from 0 on; `ends` is how many there are.
Result<size_t> position(const NodeImport &view, Value operand, int64_t ends) {
  std::optional<Ints> known = view.knownInts(operand);
  if (!known || known->size() != 1)
    return makeError(ErrorCode::E0208, "the position in a sequence must be known when compiling");
  int64_t at = (*known)[0] + ((*known)[0] < 0 ? ends : 0);
  if (at < 0 || at >= ends)
    return makeError(ErrorCode::E0412, "position ", (*known)[0], " is not in the sequence");
  return size_t(at);
}

/// What needs the items one by one.
Status requireList(const NonTensor &sequence) {
  if (sequence.carried)
    return onlyAppends();
  return sequence.stacked ? makeError(ErrorCode::E0208, "the length of the sequence must be known when compiling")
                          : Status();
}

/// x with a dim of size 1 more.
Result<Value> withUnitDim(const NodeImport &view, Value x, size_t axis) {
  Dims dims = view.dims(x);
  dims.insert(dims.begin() + axis, SizeExpr(1));
  return view.reshape(x, dims);
}

/// `parts` beside each other along an axis.
Result<Value> join(const NodeImport &view, const std::vector<Value> &parts, int64_t axis) {
  if (parts.size() == 1)
    return parts[0];
  Attributes attributes;
  attributes.set("axis", axis);
  return view.emit("concat", parts, attributes);
}

/// The items along a first dim.
Result<Value> stack(const NodeImport &view, const std::vector<Value> &items) {
  std::vector<Value> rows;
  for (Value item : items) {
    KILN_ASSIGN(rows.emplace_back(), withUnitDim(view, item, 0));
  }
  return join(view, rows, 0);
}

/// Two neighbouring dims as one.
Result<Value> mergeDims(const NodeImport &view, Value x, size_t first) {
  Dims dims = view.dims(x);
  dims[first] = dims[first] * dims[first + 1];
  dims.erase(dims.begin() + first + 1);
  return view.reshape(x, dims);
}

/// Parts of size 1 of an unknown number.
Result<NonTensor> splitToRows(const NodeImport &view, Value x, int64_t axis, bool keepDims) {
  Ints perm{axis};
  for (int64_t i = 0; i < view.rank(x); ++i)
    if (i != axis)
      perm.push_back(i);
  NonTensor result;
  KILN_ASSIGN(result.stacked, view.transpose(x, perm));
  if (keepDims) {
    KILN_ASSIGN(result.stacked, withUnitDim(view, result.stacked, size_t(axis) + 1));
  }
  return result;
}

/// x without a dim of size 1.
Result<Value> withoutUnitDim(const NodeImport &view, Value x, int64_t axis) {
  Dims dims = view.dims(x);
  dims.erase(dims.begin() + axis);
  return view.reshape(x, dims);
}

/// `sizes`: absent for parts of size 1, a scalar for equal parts (the last one may be smaller), or one size a part.
Result<NonTensor> splitToSequence(const NodeImport &view, Value x, Value sizes) {
  KILN_ASSIGN(int64_t axis, view.axisAttribute("axis", 0, x));
  KILN_ASSIGN(int64_t keepDims, view.intAttribute("keepdims", 1));
  SizeExpr size = view.dims(x)[size_t(axis)];
  std::optional<Ints> known = sizes ? view.knownInts(sizes) : Ints{1};
  NonTensor result;
  if (sizes && view.rank(sizes) != 0) {
    if (known) {
      KILN_ASSIGN(result.items, splitInto(view, x, axis, *known));
      return result;
    }
    SizeExpr count = view.dims(sizes)[0];
    if (!count.isConstant())
      return makeError(ErrorCode::E0208, "the number of parts must be known when compiling");
    KILN_ASSIGN(result.items, splitInto(view, x, axis, sizes, size_t(count.constant())));
    return result;
  }
  if (!known)
    return makeError(ErrorCode::E0208, "the size of the parts must be known when compiling");
  int64_t part = (*known)[0];
  if (part < 1)
    return makeError(ErrorCode::E0411, "split is ", part);
  bool isShort = size.isConstant() && size.constant() / part < mostItems;
  if (!isShort && part == 1)
    return splitToRows(view, x, axis, sizes || keepDims);
  if (!size.isConstant())
    return makeError(ErrorCode::E0208, "the size of what is split must be known when compiling");
  if (!isShort)
    return makeError(ErrorCode::E0205, "a split into ", size.constant() / part, " parts; at most ", mostItems,
                     " are supported");
  Ints parts(size_t(size.constant() / part), part);
  if (size.constant() % part)
    parts.push_back(size.constant() % part);
  KILN_ASSIGN(result.items, splitInto(view, x, axis, parts));
  if (!sizes && !keepDims)
    for (Value &item : result.items) {
      KILN_ASSIGN(item, withoutUnitDim(view, item, axis));
    }
  return result;
}

Result<Value> joinStacked(const NodeImport &view, Value stacked, int64_t axis, bool isNew) {
  KILN_TRY(view.requireNotNegative(view.dims(stacked)[0] - SizeExpr(1))); // an empty sequence has no type to join in
  int64_t rank = view.rank(stacked);
  KILN_ASSIGN(axis, view.normalizeAxis(axis, isNew ? rank : rank - 1));
  KILN_ASSIGN(Value joined, firstDimTo(view, stacked, axis));
  return isNew ? Result<Value>(joined) : mergeDims(view, joined, size_t(axis));
}

Result<Value> concatFromSequence(const NodeImport &view, const NonTensor &sequence) {
  KILN_TRY(view.requireAttribute("axis"));
  KILN_ASSIGN(int64_t axis, view.intAttribute("axis", 0));
  KILN_ASSIGN(int64_t isNew, view.intAttribute("new_axis", 0));
  if (sequence.stacked)
    return joinStacked(view, sequence.stacked, axis, isNew != 0);
  if (sequence.items.empty())
    return makeError(ErrorCode::E0306, "joins an empty sequence");
  std::vector<Value> parts = sequence.items;
  KILN_ASSIGN(axis, view.normalizeAxis(axis, view.rank(parts[0]) + (isNew ? 1 : 0)));
  if (isNew)
    for (Value &part : parts) {
      KILN_ASSIGN(part, withUnitDim(view, part, size_t(axis)));
    }
  return join(view, parts, axis);
}

/// The item at a position that only a run tells.
Result<Value> itemAt(const NodeImport &view, const NonTensor &sequence, Value at) {
  Value stacked = sequence.stacked;
  if (!stacked) {
    auto alike = [&](Value item) { return view.dims(item) == view.dims(sequence.items[0]); };
    if (sequence.items.empty() || !llvm::all_of(sequence.items, alike))
      return makeError(ErrorCode::E0208,
                       "the position in a sequence of different tensors must be known when compiling");
    KILN_ASSIGN(stacked, stack(view, sequence.items));
  }
  KILN_ASSIGN(at, view.reshape(at, {}));
  Attributes attributes;
  attributes.set("axis", int64_t(0));
  return view.emit("gather", {stacked, at}, attributes);
}

/// With one more item at its end.
Result<NonTensor> appended(const NodeImport &view, NonTensor sequence, Value item) {
  if (!sequence.stacked) {
    sequence.items.push_back(item);
    return sequence;
  }
  KILN_ASSIGN(Value row, withUnitDim(view, item, 0));
  KILN_ASSIGN(sequence.stacked, join(view, {sequence.stacked, row}, 0));
  return sequence;
}

} // namespace

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
    if (!operands[i].nonTensor || operands[i].nonTensor->isNone)
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
    return set(operands[0]);
  }
  if (node.opType == "Optional")
    return set(operands.empty() || operands[0].absent() ? GraphValue{{}, NonTensor{.isNone = true}} : operands[0]);
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

Status ModelImport::importSequenceMap(const NodeProto &node, Scope &scope, const std::vector<GraphValue> &operands) {
  if (operands.empty() || !operands[0].nonTensor || operands[0].nonTensor->isNone)
    return makeError(ErrorCode::E0305, "input 0 is no sequence");
  for (const GraphValue &operand : operands)
    if (operand.nonTensor)
      KILN_TRY(requireList(*operand.nonTensor));
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
      KILN_ASSIGN(whole, join(view, iterations, 1));
      KILN_ASSIGN(whole, mergeDims(view, whole, 0));
    }
    if (!initial.parts().empty()) {
      Value before = initial.stacked;
      if (!before) {
        KILN_ASSIGN(before, stack(view, initial.items));
      }
      KILN_ASSIGN(whole, join(view, {before, whole}, 0));
    }
    value.nonTensor = NonTensor{.stacked = whole};
  }
  return grown;
}

} // namespace kiln::onnx
