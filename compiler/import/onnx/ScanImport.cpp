// Scan: a loop that slices what it goes through. Before opset 9 it does so for each sequence of a batch, which is a
// loop around it: its body is that Scan, of one sequence.
#include "compiler/import/onnx/ModelImport.h"

#include "dialects/kiln/Build.h"

namespace kiln::onnx {

/// Attribute `name` of a Scan: one of `count` numbers, all 0 where it is absent.
static Result<Ints> oneOfEach(const NodeImport &view, std::string_view name, size_t count) {
  KILN_ASSIGN(Ints values, view.intsAttribute(name, Ints(count, 0)));
  if (values.size() != count)
    return makeError(ErrorCode::E0404, name, " has ", values.size(), " entries; expected ", count);
  return values;
}

/// How many sequences a node goes through at once.
static Result<size_t> scanInputs(const NodeImport &view, size_t operands) {
  KILN_TRY(view.requireAttribute("num_scan_inputs"));
  KILN_ASSIGN(int64_t count, view.intAttribute("num_scan_inputs", 0));
  if (count < 1 || size_t(count) > operands)
    return makeError(ErrorCode::E0411, "num_scan_inputs is ", count, "; there are ", operands, " inputs");
  return size_t(count);
}

/// A loop that slices its last operands, and lays out what it stacks.
Status ModelImport::importScan(const NodeProto &node, Scope &scope) {
  NodeImport view(state, node, opsetOf(node.domain, *scope.opsets), {});
  bool isOfBatch = view.opset() < 9;
  if (isOfBatch && !scope.isBatch)
    return importBatch(node, scope);
  size_t first = isOfBatch ? 1 : 0; // behind the length
  KILN_ASSIGN(size_t slices, scanInputs(view, node.inputs.size() - first));
  KILN_ASSIGN(GraphProto graph, graphOf(node, "body", scope));
  LoopParts parts;
  parts.isScan = true;
  size_t carried = node.inputs.size() - first - slices;
  if (graph.outputs.size() < carried)
    return makeError(ErrorCode::E0306, "its body gives ", graph.outputs.size(), " values, not the ", carried,
                     " carried ones");
  for (size_t i = 0; i < carried; ++i) {
    KILN_ASSIGN(parts.initial.emplace_back(), operandOf(node, first + i, scope));
  }
  KILN_ASSIGN(Ints axes, oneOfEach(view, "scan_input_axes", slices));
  KILN_ASSIGN(Ints directions, oneOfEach(view, isOfBatch ? "directions" : "scan_input_directions", slices));
  if (isOfBatch && !node.inputs[0].empty()) {
    KILN_ASSIGN(parts.length, operandOf(node, 0, scope));
    if (llvm::any_of(directions, [](int64_t direction) { return direction != 0; }))
      return makeError(ErrorCode::E0205, "sequence_lens with a direction from the end is not supported: the standard "
                                         "does not say at which end of a shorter sequence the rest lies");
  }
  SizeExpr length = SizeExpr::invalid();
  for (size_t i = 0; i < slices; ++i) {
    KILN_ASSIGN(Value value, operandOf(node, first + carried + i, scope));
    KILN_ASSIGN(int64_t axis, view.normalizeAxis(axes[i], view.rank(value)));
    SizeExpr size = view.dims(value)[size_t(axis)];
    if (i > 0)
      KILN_TRY(view.requireEqual(length, size));
    length = i > 0 ? length : size;
    parts.scanned.push_back({value, axis, directions[i] != 0});
  }
  size_t stacked = graph.outputs.size() - carried;
  KILN_ASSIGN(Ints resultAxes, oneOfEach(view, "scan_output_axes", stacked));
  KILN_ASSIGN(Ints resultDirections, oneOfEach(view, "scan_output_directions", stacked));
  for (size_t i = 0; i < stacked; ++i)
    parts.results.push_back({{}, resultAxes[i], resultDirections[i] != 0});
  KILN_ASSIGN(parts.count, view.sizeOf(parts.scanned[0].value, parts.scanned[0].axis));
  return emitLoop(node, scope, parts);
}

/// A loop over the first dim of everything, the lengths of the sequences too.
Status ModelImport::importBatch(const NodeProto &node, Scope &scope) {
  NodeImport view(state, node, opsetOf(node.domain, *scope.opsets), {});
  if (node.inputs.empty())
    return makeError(ErrorCode::E0306, "has no inputs");
  KILN_TRY(scanInputs(view, node.inputs.size() - 1).status());
  KILN_ASSIGN(GraphProto inner, graphOf(node, "body", scope));
  // Names that no model has.
  std::vector<std::string> names;
  for (size_t i = 0; i < node.inputs.size() + inner.outputs.size(); ++i)
    names.push_back(std::string(1, '\0') + std::to_string(i));
  GraphProto graph;
  NodeProto one = node;
  one.name = "sequence";
  one.outputs.clear();
  LoopParts parts;
  parts.isScan = true;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    if (i == 0 && node.inputs[0].empty())
      continue;
    KILN_ASSIGN(Value value, operandOf(node, i, scope));
    if (view.rank(value) < 1)
      return makeError(ErrorCode::E0304, "input ", i, " is a scalar; expected a batch");
    if (i == 0 && (view.rank(value) != 1 || view.dtype(value) != DType::I64))
      return makeError(ErrorCode::E0305, "sequence_lens is no vector of int64");
    if (!parts.scanned.empty())
      KILN_TRY(view.requireEqual(view.dims(parts.scanned[0].value)[0], view.dims(value)[0]).withContext("batches: "));
    parts.scanned.push_back({value});
    graph.inputs.emplace_back().name = names[i];
    one.inputs[i] = names[i];
  }
  for (size_t i = 0; i < inner.outputs.size(); ++i) {
    graph.outputs.emplace_back().name = names[node.inputs.size() + i];
    one.outputs.push_back(graph.outputs.back().name);
    parts.results.push_back({});
  }
  graph.nodes.push_back(std::move(one));
  parts.graph = &graph;
  KILN_ASSIGN(parts.count, view.sizeOf(parts.scanned[0].value, 0));
  return emitLoop(node, scope, parts);
}

/// An output of the body in an iteration behind the length of the sequence: what is carried stays, what is stacked is
/// 0.
Result<Value> ModelImport::whileCounted(const NodeProto &node, const LoopParts &loop, size_t output, Value value,
                                        Scope &body) {
  NodeImport view(state, node, opsetOf(node.domain, *body.opsets), {});
  mlir::Block &block = body.frame->function.getBody().front();
  KILN_ASSIGN(Value length, bringIn(loop.length, *body.frame, 0));
  KILN_ASSIGN(Value counts, view.emit("less", {block.getArgument(0), length}));
  Value other =
      output < loop.initial.size() ? Value(block.getArgument(unsigned(2 + output))) : view.scalar(0, view.dtype(value));
  return view.emit("where", {counts, value, other});
}

/// The last inputs of a Scan's body: what it goes through, at the number of the iteration.
Status ModelImport::bindSlices(const NodeProto &node, const GraphProto &graph, const LoopParts &loop, Scope &body) {
  NodeImport view(state, node, opsetOf(node.domain, *body.opsets), {});
  Value iteration = body.frame->function.getArgument(0);
  for (auto [i, along] : llvm::enumerate(loop.scanned)) {
    KILN_ASSIGN(Value whole, bringIn(along.value, *body.frame, 0));
    Value at = iteration, slice = whole;
    if (along.reversed) { // -1, -2, ...
      KILN_ASSIGN(at, view.emit("sub", {view.scalar(-1, DType::I64), iteration}));
    }
    Attributes attributes;
    attributes.set("axis", along.axis);
    if (!along.whole) {
      KILN_ASSIGN(slice, view.emit("gather", {whole, at}, attributes));
    }
    const ValueInfoProto &input = graph.inputs[loop.initial.size() + i];
    if (!body.values.emplace(input.name, slice).second)
      return makeError(ErrorCode::E0303, "input \"", input.name, "\" of graph 'body' is defined twice");
  }
  return Status();
}

/// What a Scan stacked, along its axis and from its end.
Result<Value> layOut(const NodeImport &view, Value stacked, const LoopParts::Along &along) {
  KILN_ASSIGN(int64_t axis, view.normalizeAxis(along.axis, view.rank(stacked)));
  if (along.reversed) {
    Attributes backwards;
    backwards.set("starts", Ints{-1});
    backwards.set("ends", Ints{std::numeric_limits<int64_t>::min()});
    backwards.set("axes", Ints{0});
    backwards.set("steps", Ints{-1});
    KILN_ASSIGN(stacked, view.emit("slice", {stacked}, backwards));
  }
  return firstDimTo(view, stacked, axis);
}

} // namespace kiln::onnx
