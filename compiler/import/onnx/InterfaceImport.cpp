// Inputs and outputs of the model. The function that a model becomes takes and gives tensors; what they are to the host
// stands in attributes (ValuePart.h).
#include "compiler/import/ExtraOutputs.h"
#include "compiler/import/onnx/ModelImport.h"
#include "compiler/import/onnx/Signature.h"

#include "dialects/kiln/Build.h"

namespace kiln::onnx {

/// The attribute dictionaries of a function's arguments or results.
static llvm::SmallVector<mlir::DictionaryAttr> attributesOf(mlir::Builder &builder,
                                                            llvm::ArrayRef<FunctionPort> ports) {
  llvm::SmallVector<mlir::DictionaryAttr> all;
  for (const FunctionPort &port : ports) {
    mlir::NamedAttrList attributes;
    attributes.append(nameAttrName, builder.getStringAttr(port.name));
    if (port.part)
      attributes.append(valueAttrName, port.part->attribute(builder.getContext()));
    all.push_back(attributes.getDictionary(builder.getContext()));
  }
  return all;
}

// --- inputs

/// The function that the model becomes, without results yet; its arguments are what the graph's inputs are made of. The
/// builder stands in it.
Result<mlir::func::FuncOp> ModelImport::importInputs(const GraphProto &graph, Scope &scope) {
  // Up to IR version 3 initializers are listed among the inputs; they stay constants.
  std::vector<const ValueInfoProto *> inputs;
  for (const ValueInfoProto &input : graph.inputs)
    if (!scope.initializers.count(input.name))
      inputs.push_back(&input);
  Signature signature(state.builder.getContext(), state.sizes, options);
  KILN_ASSIGN(auto ports, signature.inputPorts(inputs));
  std::vector<FunctionPort> all;
  std::vector<mlir::Type> types;
  for (const std::vector<FunctionPort> &own : ports)
    for (const FunctionPort &port : own) {
      all.push_back(port);
      types.push_back(port.type);
    }
  auto function = state.builder.create<mlir::func::FuncOp>(state.builder.getUnknownLoc(), "main",
                                                           state.builder.getFunctionType(types, {}));
  mlir::Block *body = function.addEntryBlock();
  function.setAllArgAttrs(attributesOf(state.builder, all));
  state.builder.setInsertionPointToEnd(body);
  auto argument = body->args_begin();
  for (size_t i = 0; i < inputs.size(); ++i) {
    std::string_view name = inputs[i]->name;
    mlir::ValueRange own(mlir::Block::BlockArgListType(argument, argument + ptrdiff_t(ports[i].size())));
    argument += ptrdiff_t(ports[i].size());
    if (scope.values.count(name) || scope.nonTensors.count(name))
      return makeError(ErrorCode::E0303, "input \"", name, "\" is defined twice");
    const std::optional<ValuePart> &part = ports[i][0].part;
    if (!part) {
      scope.values.emplace(name, own[0]);
      continue;
    }
    NonTensor value{.isOptional = part->isOptional, .ofSequence = part->isOptional && part->isSequence};
    if (part->items > 0)
      value.items.assign(own.begin(), own.end());
    else
      value.stacked = own[0];
    scope.nonTensors.emplace(name, std::move(value));
    anyNonTensors = true;
  }
  return function;
}

// --- outputs

/// The caller's extra outputs: the name of each and its value.
Result<std::vector<std::pair<std::string_view, Value>>> ModelImport::extraOutputs(Scope &scope) {
  std::vector<std::pair<std::string_view, Value>> extra;
  for (std::string_view name : options.extraOutputs) {
    std::string_view value = name;
    if (!scope.knows(name))
      for (const NodeProto &node : model.graph->nodes)
        if (labelOf(node, "") == name)
          for (std::string_view output : node.outputs)
            if (value == name && !output.empty())
              value = output;
    if (!scope.knows(value)) {
      std::vector<std::string> known;
      for (const NodeProto &node : model.graph->nodes)
        known.insert(known.end(), node.outputs.begin(), node.outputs.end());
      return unknownValue(name, known);
    }
    KILN_ASSIGN(Value found, lookup(value, scope));
    extra.emplace_back(name, found);
  }
  return extra;
}

/// Results of the function under way.
struct ModelImport::Outputs {
  std::vector<FunctionPort> ports;
  std::vector<Value> values;
  std::set<std::string, std::less<>> names; // results are asked for by name

  void add(std::string name, Value value, std::optional<ValuePart> part = std::nullopt) {
    ports.push_back({std::move(name), value.getType(), std::move(part)});
    values.push_back(value);
  }
};

static Status declaredOtherwise(const ValueInfoProto &output, std::string_view declared, std::string_view is) {
  return makeError(ErrorCode::E0305, "output \"", output.name, "\" of the graph is declared as ", declared,
                   ", but its value is ", is);
}

static std::string_view kindName(ValueInfoProto::Kind kind) {
  switch (kind) {
  case ValueInfoProto::Tensor: return "a tensor";
  case ValueInfoProto::Sequence: return "a sequence";
  case ValueInfoProto::Optional: return "an optional";
  default: return "something else";
  }
}

/// Whether a value may be an output that is declared so; one that is not declared may be any.
static Status checkDeclared(const ValueInfoProto &output, const GraphValue &value) {
  using Kind = ValueInfoProto::Kind;
  bool isSequence = value.nonTensor && value.nonTensor->isSequence();
  Kind kind = value.tensor ? Kind::Tensor : isSequence ? Kind::Sequence : Kind::Optional;
  bool fits =
      output.kind == Kind::Missing || output.kind == kind || (output.kind == Kind::Optional && kind == output.held);
  if (!fits)
    return declaredOtherwise(output, kindName(output.kind), kindName(kind));
  for (Value part : value.tensor ? std::vector<Value>{value.tensor} : value.nonTensor->parts()) {
    int32_t type = dtypeOnnxId(*dtypeOf(llvm::cast<mlir::RankedTensorType>(part.getType()).getElementType()));
    if (output.kind != Kind::Missing && output.elemType != 0 && output.elemType != type)
      return declaredOtherwise(output, onnxTypeName(output.elemType), onnxTypeName(type));
  }
  return Status();
}

/// No items, along a first dim; of the declared type.
Result<Value> ModelImport::noItems(const ValueInfoProto &output) {
  int32_t type = output.elemType ? output.elemType : dtypeOnnxId(DType::F32);
  std::optional<DType> dtype = dtypeFromOnnxId(type);
  if (!dtype)
    return makeError(ErrorCode::E0203, "output \"", output.name, "\" has element type ", onnxTypeName(type),
                     ", which is not supported");
  KILN_ASSIGN(Tensor none, Tensor::create(*dtype, {0}));
  return makeConstant(state.builder, state.location, std::move(none));
}

Status ModelImport::addOutput(const ValueInfoProto &output, const GraphValue &value, Outputs &outputs) {
  KILN_TRY(checkDeclared(output, value));
  std::string name(output.name);
  bool isOptional = output.kind == ValueInfoProto::Optional && output.held != ValueInfoProto::Sequence;
  if (value.tensor && !isOptional) {
    outputs.add(name, value.tensor);
    return Status();
  }
  state.location = mlir::NameLoc::get(state.builder.getStringAttr(name));
  if (value.tensor) {
    NodeProto none; // an output belongs to no node
    NodeImport view(state, none, 0, {});
    KILN_ASSIGN(Value stacked, withUnitDim(view, value.tensor, 0));
    outputs.add(name, stacked, ValuePart{.value = name, .isOptional = true});
    return Status();
  }
  const NonTensor &parts = *value.nonTensor;
  if (Value stacked = parts.stacked; stacked || parts.items.empty()) {
    if (!stacked) {
      KILN_ASSIGN(stacked, noItems(output));
    }
    outputs.add(name, stacked,
                ValuePart{.value = name,
                          .isOptional = !parts.isSequence(),
                          .isSequence = parts.isSequence() || parts.ofSequence});
    return Status();
  }
  for (size_t i = 0; i < parts.items.size(); ++i) {
    std::string item = itemName(name, i);
    while (!outputs.names.insert(item).second)
      item += "_";
    outputs.add(item, parts.items[i], ValuePart{name, false, true, int64_t(i), int64_t(parts.items.size())});
  }
  return Status();
}

Status ModelImport::importOutputs(mlir::func::FuncOp function, Scope &scope) {
  Outputs outputs;
  for (const ValueInfoProto &output : model.graph->outputs)
    if (!outputs.names.emplace(output.name).second)
      return makeError(ErrorCode::E0303, "output \"", output.name, "\" of the graph is listed twice");
  KILN_ASSIGN(auto extra, extraOutputs(scope));
  std::erase_if(extra,
                [&](const auto &each) { return !outputs.names.emplace(each.first).second; }); // it is one already
  for (const ValueInfoProto &output : model.graph->outputs) {
    auto value = lookupAny(output.name, scope);
    if (!value.ok() || value->absent())
      return makeError(ErrorCode::E0302, "output \"", output.name, "\" of the graph is not defined");
    KILN_TRY(addOutput(output, *value, outputs));
  }
  for (auto [name, value] : extra)
    outputs.add(std::string(name), value);
  state.builder.create<mlir::func::ReturnOp>(state.builder.getUnknownLoc(), outputs.values);
  function.setType(
      state.builder.getFunctionType(function.getArgumentTypes(), mlir::ValueRange(outputs.values).getTypes()));
  function.setAllResultAttrs(attributesOf(state.builder, outputs.ports));
  return Status();
}

} // namespace kiln::onnx
