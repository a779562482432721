#include "compiler/import/onnx/Signature.h"

#include "dialects/kiln/Build.h"

namespace kiln::onnx {

namespace {

/// A dim that is neither a size nor a name; exporters also write -1.
bool isUnknown(const Dim &dim) {
  return dim.kind == Dim::Unknown || (dim.kind == Dim::Value && dim.value < 0) ||
         (dim.kind == Dim::Param && dim.param.empty());
}

} // namespace

Result<std::vector<mlir::Type>> Signature::inputTypes(const std::vector<const ValueInfoProto *> &inputs) {
  for (const ValueInfoProto *input : inputs)
    for (const Dim &dim : input->dims)
      if (dim.kind == Dim::Param)
        names.emplace(dim.param);
  for (const auto &[input, dims] : options.shapes)
    for (const DimOverride &dim : dims)
      if (const auto *name = std::get_if<std::string>(&dim))
        names.insert(*name);
  std::vector<DeclaredInput> declared;
  std::vector<mlir::Type> elementTypes, types;
  for (const ValueInfoProto *input : inputs) {
    KILN_ASSIGN(mlir::Type type, elementType(*input));
    elementTypes.push_back(type);
    KILN_ASSIGN(Dims dims, declaredDims(*input));
    declared.push_back({std::string(input->name), std::move(dims)});
  }
  KILN_TRY(applyShapes(options.shapes, declared, sizes, options.otherShapes));
  for (size_t i = 0; i < inputs.size(); ++i)
    types.push_back(sizes.tensorType(declared[i].dims, elementTypes[i]));
  return types;
}

std::string Signature::freshName(const ValueInfoProto &input, size_t axis) {
  std::string name = std::string(input.name) + "_" + std::to_string(axis);
  while (!names.insert(name).second)
    name += "_";
  return name;
}

Result<mlir::Type> Signature::elementType(const ValueInfoProto &input) {
  if (input.kind == ValueInfoProto::Missing)
    return makeError(ErrorCode::E0301, "input \"", input.name, "\" has no type");
  if (input.kind != ValueInfoProto::Tensor)
    return makeError(ErrorCode::E0204, "input \"", input.name,
                     "\" is no tensor; sequences, maps and optionals are not supported");
  std::optional<DType> dtype = dtypeFromOnnxId(input.elemType);
  if (!dtype)
    return makeError(ErrorCode::E0203, "input \"", input.name, "\" has element type ", onnxTypeName(input.elemType),
                     ", which is not supported");
  return elementTypeOf(context, *dtype);
}

Result<Dims> Signature::declaredDims(const ValueInfoProto &input) {
  auto given = options.shapes.find(std::string(input.name));
  if (!input.hasShape && given == options.shapes.end())
    return makeError(ErrorCode::E0207, "input \"", input.name, "\" has no declared rank; give its shape with --shape ",
                     input.name, "=...");
  Dims dims;
  size_t rank = input.hasShape ? input.dims.size() : given->second.size();
  for (size_t axis = 0; axis < rank; ++axis) {
    Dim dim = input.hasShape ? input.dims[axis] : Dim();
    if (isUnknown(dim))
      dims.push_back(sizes.declareUser(freshName(input, axis)));
    else if (dim.kind == Dim::Param)
      dims.push_back(sizes.declareUser(llvm::StringRef(dim.param.data(), dim.param.size())));
    else
      dims.push_back(SizeExpr(dim.value));
  }
  return dims;
}

} // namespace kiln::onnx
