#include "compiler/import/onnx/Signature.h"

#include "dialects/kiln/Build.h"

namespace kiln::onnx {

namespace {

std::string print(const DimOverride &override) {
  if (const auto *size = std::get_if<int64_t>(&override))
    return std::to_string(*size);
  if (const auto *name = std::get_if<std::string>(&override))
    return "\"" + *name + "\"";
  SizeRange range = std::get<SizeRange>(override);
  return "(" + std::to_string(range.low) + ", " + std::to_string(range.high) + ")";
}

Status overrideError(const ValueInfoProto &input, size_t axis, const std::string &why) {
  return makeError(ErrorCode::E0701, "shape of input \"", input.name, "\", dim ", axis, ": ", why);
}

/// A dim that is neither a size nor a name; exporters also write -1.
bool isUnknown(const Dim &dim) {
  return dim.kind == Dim::Unknown || (dim.kind == Dim::Value && dim.value < 0) ||
         (dim.kind == Dim::Param && dim.param.empty());
}

} // namespace

Result<std::vector<mlir::Type>> Signature::inputTypes(const std::vector<const ValueInfoProto *> &inputs) {
  KILN_TRY(collect(inputs));
  std::vector<mlir::Type> types;
  for (const ValueInfoProto *input : inputs) {
    auto type = inputType(*input);
    if (!type.ok())
      return type.status();
    types.push_back(*type);
  }
  return types;
}

/// Checks the overrides and takes the names that unnamed dims must not get.
Status Signature::collect(const std::vector<const ValueInfoProto *> &inputs) {
  std::map<std::string, const ValueInfoProto *, std::less<>> byName;
  for (const ValueInfoProto *input : inputs) {
    byName.emplace(input->name, input);
    for (const Dim &dim : input->dims)
      if (dim.kind == Dim::Param)
        names.emplace(dim.param);
  }
  for (const auto &[name, dims] : options.shapes) {
    auto found = byName.find(name);
    if (found == byName.end())
      return makeError(ErrorCode::E0501, "a shape is given for \"", name, "\", which is no input of the model");
    const ValueInfoProto &input = *found->second;
    if (input.hasShape && input.dims.size() != dims.size())
      return makeError(ErrorCode::E0701, "shape of input \"", name, "\": ", dims.size(),
                       " dims are given; the model has ", input.dims.size());
    for (size_t axis = 0; axis < dims.size(); ++axis) {
      const DimOverride &override = dims[axis];
      if (const auto *size = std::get_if<int64_t>(&override); size && *size < 0)
        return overrideError(input, axis, print(override) + " is negative");
      if (const auto *range = std::get_if<SizeRange>(&override); range && (range->low < 0 || range->low > range->high))
        return overrideError(input, axis, print(override) + " is no range of sizes");
      if (const auto *symbol = std::get_if<std::string>(&override)) {
        if (symbol->empty())
          return overrideError(input, axis, "the name is empty");
        names.insert(*symbol);
      }
      if (input.hasShape && input.dims[axis].kind == Dim::Param && !isUnknown(input.dims[axis]))
        KILN_TRY(bindName(input, axis, input.dims[axis].param, override));
    }
  }
  return Status();
}

Status Signature::bindName(const ValueInfoProto &input, size_t axis, std::string_view name,
                           const DimOverride &override) {
  auto [known, added] = bindings.emplace(std::string(name), override);
  if (!added && print(known->second) != print(override))
    return overrideError(input, axis,
                         print(override) + " contradicts " + print(known->second) + ", given for the same name \"" +
                             std::string(name) + "\"");
  return Status();
}

std::string Signature::freshName(const ValueInfoProto &input, size_t axis) {
  std::string name = std::string(input.name) + "_" + std::to_string(axis);
  while (!names.insert(name).second)
    name += "_";
  return name;
}

Result<SizeExpr> Signature::apply(const DimOverride &override, const std::string &name) {
  if (const auto *size = std::get_if<int64_t>(&override))
    return SizeExpr(*size);
  if (const auto *symbol = std::get_if<std::string>(&override))
    return sizes.declare(*symbol);
  SizeRange range = std::get<SizeRange>(override);
  SizeExpr symbol = sizes.declare(name);
  KILN_TRY(sizes.constrain(name, range.low, range.high));
  return symbol;
}

Result<mlir::Type> Signature::inputType(const ValueInfoProto &input) {
  if (input.kind == ValueInfoProto::Missing)
    return makeError(ErrorCode::E0301, "input \"", input.name, "\" has no type");
  if (input.kind != ValueInfoProto::Tensor)
    return makeError(ErrorCode::E0204, "input \"", input.name,
                     "\" is no tensor; sequences, maps and optionals are not supported");
  std::optional<DType> dtype = dtypeFromOnnxId(input.elemType);
  if (!dtype)
    return makeError(ErrorCode::E0203, "input \"", input.name, "\" has element type ", onnxTypeName(input.elemType),
                     ", which is not supported");
  auto given = options.shapes.find(std::string(input.name));
  const std::vector<DimOverride> *overrides = given == options.shapes.end() ? nullptr : &given->second;
  if (!input.hasShape && !overrides)
    return makeError(ErrorCode::E0207, "input \"", input.name, "\" has no declared rank; give its shape");
  Dims dims;
  size_t rank = input.hasShape ? input.dims.size() : overrides->size();
  for (size_t axis = 0; axis < rank; ++axis) {
    Dim dim = input.hasShape ? input.dims[axis] : Dim();
    if (isUnknown(dim)) {
      std::string name = freshName(input, axis);
      if (overrides) {
        KILN_ASSIGN(SizeExpr size, apply((*overrides)[axis], name));
        dims.push_back(size);
      } else {
        dims.push_back(sizes.declare(name));
      }
    } else if (dim.kind == Dim::Param) {
      std::string name(dim.param);
      if (auto bound = bindings.find(name); bound != bindings.end()) {
        KILN_ASSIGN(SizeExpr size, apply(bound->second, name));
        dims.push_back(size);
      } else {
        dims.push_back(sizes.declare(name));
      }
    } else {
      if (overrides) {
        const auto *size = std::get_if<int64_t>(&(*overrides)[axis]);
        const auto *range = std::get_if<SizeRange>(&(*overrides)[axis]);
        if (size ? *size != dim.value : !range || dim.value < range->low || dim.value > range->high)
          return overrideError(
              input, axis, print((*overrides)[axis]) + " is given; the model fixes it to " + std::to_string(dim.value));
      }
      dims.push_back(SizeExpr(dim.value));
    }
  }
  return mlir::Type(sizes.tensorType(dims, elementTypeOf(context, *dtype)));
}

} // namespace kiln::onnx
