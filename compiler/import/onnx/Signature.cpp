#include "compiler/import/onnx/Signature.h"

#include "dialects/kiln/Build.h"

namespace kiln::onnx {

namespace {

/// A dim that is neither a size nor a name; exporters also write -1.
bool isUnknown(const Dim &dim) {
  return dim.kind == Dim::Unknown || (dim.kind == Dim::Value && dim.value < 0) ||
         (dim.kind == Dim::Param && dim.param.empty());
}

/// Whether it is a sequence of tensors, or one that may be absent.
bool holdsSequence(const ValueInfoProto &input) {
  return (input.kind == ValueInfoProto::Sequence && input.held == ValueInfoProto::Tensor) ||
         (input.kind == ValueInfoProto::Optional && input.held == ValueInfoProto::Sequence);
}

} // namespace

std::string itemName(std::string_view sequence, size_t item) {
  return std::string(sequence) + "[" + std::to_string(item) + "]";
}

Result<std::vector<std::vector<FunctionPort>>>
Signature::inputPorts(const std::vector<const ValueInfoProto *> &inputs) {
  for (const ValueInfoProto *input : inputs)
    for (const Dim &dim : input->dims)
      if (dim.kind == Dim::Param)
        names.emplace(dim.param);
  for (const auto &[input, dims] : options.shapes)
    for (const DimOverride &dim : dims)
      if (const auto *name = std::get_if<std::string>(&dim))
        names.insert(*name);
  std::vector<DeclaredInput> declared;
  std::vector<mlir::Type> elementTypes;
  std::vector<size_t> counts; // of what is declared, by input
  for (const ValueInfoProto *input : inputs) {
    KILN_ASSIGN(elementTypes.emplace_back(), elementType(*input));
    KILN_ASSIGN(std::vector<DeclaredInput> own, declaredInputs(*input, inputs));
    counts.push_back(own.size());
    declared.insert(declared.end(), own.begin(), own.end());
  }
  KILN_TRY(applyShapes(options.shapes, declared, sizes, options.otherShapes));
  std::vector<std::vector<FunctionPort>> ports(inputs.size());
  auto next = declared.begin();
  for (size_t i = 0; i < inputs.size(); ++i)
    for (size_t item = 0; item < counts[i]; ++item, ++next) {
      FunctionPort &port = ports[i].emplace_back();
      port.name = next->name;
      bool isItem = port.name != inputs[i]->name;
      if (inputs[i]->kind != ValueInfoProto::Tensor)
        port.part = ValuePart{std::string(inputs[i]->name), inputs[i]->kind == ValueInfoProto::Optional,
                              holdsSequence(*inputs[i]), int64_t(item), isItem ? int64_t(counts[i]) : 0};
      if (port.part && !isItem && port.part->isSequence)
        next->dims.insert(next->dims.begin(), sizes.declareUser(freshName(next->name + "_length")));
      if (port.part && port.part->isOptional)
        next->dims.insert(next->dims.begin(), presence(*inputs[i]));
      port.type = sizes.tensorType(next->dims, elementTypes[i]);
    }
  return ports;
}

std::string Signature::freshName(std::string name) {
  while (!names.insert(name).second)
    name += "_";
  return name;
}

/// 1 where an optional input is there, else 0; for a run to tell.
SizeExpr Signature::presence(const ValueInfoProto &input) {
  SizeExpr given = sizes.declareUser(freshName(std::string(input.name) + "_given"));
  (void)sizes.constrain(*given.asSymbol(), 0, 1); // a range that cannot be empty
  return given;
}

Result<mlir::Type> Signature::elementType(const ValueInfoProto &input) {
  if (input.kind == ValueInfoProto::Missing)
    return makeError(ErrorCode::E0301, "input \"", input.name, "\" has no type");
  bool holdsTensors = input.kind == ValueInfoProto::Tensor || holdsSequence(input) ||
                      (input.kind == ValueInfoProto::Optional && input.held == ValueInfoProto::Tensor);
  if (!holdsTensors || input.held == ValueInfoProto::Opaque)
    return makeError(ErrorCode::E0204, "input \"", input.name,
                     "\" is neither a tensor nor a sequence or an optional of tensors, so it is not supported");
  std::optional<DType> dtype = dtypeFromOnnxId(input.elemType);
  if (!dtype)
    return makeError(ErrorCode::E0203, "input \"", input.name, "\" has element type ", onnxTypeName(input.elemType),
                     ", which is not supported");
  return elementTypeOf(context, *dtype);
}

/// What shapes may be given for: the input, or the items of a sequence whose shapes are given.
Result<std::vector<DeclaredInput>> Signature::declaredInputs(const ValueInfoProto &input,
                                                             const std::vector<const ValueInfoProto *> &inputs) {
  std::string name(input.name);
  std::vector<DeclaredInput> items;
  if (input.kind == ValueInfoProto::Sequence)
    for (std::string item = itemName(name, 0); options.shapes.count(item); item = itemName(name, items.size())) {
      if (std::ranges::any_of(inputs, [&](const ValueInfoProto *other) { return other->name == item; }))
        break;
      items.push_back({item, itemDims(input, item)});
    }
  if (!items.empty() && options.shapes.count(name))
    return makeError(ErrorCode::E0703, "shapes are given for the sequence \"", name, "\" and for its items");
  if (items.empty()) {
    KILN_ASSIGN(Dims dims, declaredDims(input));
    items.push_back({name, std::move(dims)});
  }
  return items;
}

/// Of one item of several: what the model declares may be another size in each of them, unless it is a number.
Dims Signature::itemDims(const ValueInfoProto &input, const std::string &item) const {
  if (!input.hasShape)
    return Dims(options.shapes.at(item).size(), SizeExpr::invalid());
  Dims dims;
  for (const Dim &dim : input.dims)
    dims.push_back(dim.kind == Dim::Value && !isUnknown(dim) ? SizeExpr(dim.value) : SizeExpr::invalid());
  return dims;
}

Result<Dims> Signature::declaredDims(const ValueInfoProto &input) {
  auto given = options.shapes.find(std::string(input.name));
  if (!input.hasShape && given == options.shapes.end() && holdsSequence(input))
    return makeError(ErrorCode::E0207, "the items of input \"", input.name,
                     "\" have no declared rank; give the shape that all have with --shape ", input.name, "=...",
                     input.kind == ValueInfoProto::Optional
                         ? ""
                         : ", or that of each with --shape " + itemName(input.name, 0) + "=... and so on");
  if (!input.hasShape && given == options.shapes.end())
    return makeError(ErrorCode::E0207, "input \"", input.name, "\" has no declared rank; give its shape with --shape ",
                     input.name, "=...");
  Dims dims;
  size_t rank = input.hasShape ? input.dims.size() : given->second.size();
  for (size_t axis = 0; axis < rank; ++axis) {
    Dim dim = input.hasShape ? input.dims[axis] : Dim();
    if (isUnknown(dim))
      dims.push_back(sizes.declareUser(freshName(std::string(input.name) + "_" + std::to_string(axis))));
    else if (dim.kind == Dim::Param)
      dims.push_back(sizes.declareUser(llvm::StringRef(dim.param.data(), dim.param.size())));
    else
      dims.push_back(SizeExpr(dim.value));
  }
  return dims;
}

} // namespace kiln::onnx
