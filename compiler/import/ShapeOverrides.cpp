#include "compiler/import/ShapeOverrides.h"

#include "dialects/kiln/AttributeNames.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "runtime/base/SizeList.h"

#include <algorithm>
#include <cctype>
#include <charconv>

namespace kiln {

namespace {

/// One dim: "224", "N" or "1..64".
Result<DimOverride> readDim(std::string_view text) {
  auto number = [](std::string_view digits, int64_t &value) {
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return error == std::errc() && end == digits.data() + digits.size() && value >= 0;
  };
  int64_t low, high;
  if (number(text, low))
    return DimOverride(low);
  if (size_t dots = text.find(".."); dots != std::string_view::npos) {
    if (!number(text.substr(0, dots), low) || !number(text.substr(dots + 2), high) || low > high)
      return makeError(ErrorCode::E0701, "\"", text, "\" is no range of sizes such as 1..64");
    return DimOverride(SizeRange{low, high});
  }
  auto letter = [](char c) { return std::isalpha(static_cast<unsigned char>(c)) || c == '_'; };
  if (text.empty() || !letter(text[0]) ||
      !std::ranges::all_of(text, [&](char c) { return letter(c) || std::isdigit(static_cast<unsigned char>(c)); }))
    return makeError(ErrorCode::E0701, "\"", text, "\" is no size; use a number, a name, or a range such as 1..64");
  return DimOverride(std::string(text));
}

std::string print(const DimOverride &override) {
  if (const auto *size = std::get_if<int64_t>(&override))
    return std::to_string(*size);
  if (const auto *name = std::get_if<std::string>(&override))
    return "\"" + *name + "\"";
  SizeRange range = std::get<SizeRange>(override);
  return "(" + std::to_string(range.low) + ", " + std::to_string(range.high) + ")";
}

std::string namesOf(const std::vector<DeclaredInput> &inputs) {
  std::string names;
  for (const DeclaredInput &input : inputs)
    names += (names.empty() ? "\"" : ", \"") + input.name + "\"";
  return names.empty() ? "none" : names;
}

/// A size's name with an x in it was read as two sizes.
std::string separatorHint(const std::vector<DimOverride> &dims) {
  bool named = std::ranges::any_of(dims, [](const DimOverride &d) { return std::holds_alternative<std::string>(d); });
  return named ? "; in --shape, use commas where a name contains x" : "";
}

class Application {
public:
  Application(SizeTable &sizes) : sizes(sizes) {}

  Status apply(DeclaredInput &input, const std::vector<DimOverride> &overrides) {
    if (input.dims.size() != overrides.size())
      return makeError(ErrorCode::E0701, "shape of input \"", input.name, "\": ", overrides.size(),
                       " dims are given; the model has ", input.dims.size(), separatorHint(overrides));
    for (size_t axis = 0; axis < overrides.size(); ++axis)
      if (Status status = apply(input, axis, overrides[axis]); !status.ok())
        return makeError(ErrorCode::E0701, "shape of input \"", input.name, "\", dim ", axis, ": ", status.message());
    return Status();
  }

private:
  static Status wrong(const std::string &why) { return makeError(ErrorCode::E0701, why); }

  Status apply(const DeclaredInput &input, size_t axis, const DimOverride &override, SizeExpr &dim) {
    const auto *size = std::get_if<int64_t>(&override);
    const auto *name = std::get_if<std::string>(&override);
    const auto *range = std::get_if<SizeRange>(&override);
    if (size && *size < 0)
      return wrong(print(override) + " is negative");
    if (name && name->empty())
      return wrong("the name is empty");
    if (range && (range->low < 0 || range->low > range->high))
      return wrong(print(override) + " is no range of sizes");
    if (auto fixed = dim.asConstant()) {
      if (size ? *size == *fixed : range && *fixed >= range->low && *fixed <= range->high)
        return Status();
      return wrong(print(override) + " is given; the model fixes it to " + std::to_string(*fixed));
    }
    if (dim.isInvalid()) {
      if (size)
        dim = SizeExpr(*size);
      else
        dim = sizes.declareUser(name ? *name : newName(input.name + "_" + std::to_string(axis)));
    }
    auto symbol = dim.asSymbol();
    if (!symbol)
      return Status();
    auto [known, added] = given.emplace(*symbol, override);
    if (!added && print(known->second) != print(override))
      return wrong(print(override) + " contradicts " + print(known->second) + ", given for the same name \"" + *symbol +
                   "\"");
    if (range)
      return sizes.constrain(*symbol, range->low, range->high);
    return sizes.define(*symbol, size ? SizeExpr(*size) : sizes.declareUser(*name));
  }
  Status apply(DeclaredInput &input, size_t axis, const DimOverride &override) {
    return apply(input, axis, override, input.dims[axis]);
  }

  /// `name`, made longer until no size has it.
  std::string newName(std::string name) const {
    while (sizes.find(SizeExpr::symbolName(name)))
      name += "_";
    return name;
  }

  SizeTable &sizes;
  std::map<std::string, DimOverride> given; // symbol -> what the caller said of it
};

} // namespace

Status readShape(std::string_view text, ShapeOverrides &shapes) {
  size_t equals = text.rfind('=');
  if (equals == std::string_view::npos || equals == 0)
    return makeError(ErrorCode::E0701, "shape \"", text, "\" is not of the form NAME=1x3x224x224");
  std::string name(text.substr(0, equals));
  std::vector<DimOverride> dims;
  for (std::string_view size : splitSizes(text.substr(equals + 1))) {
    Result<DimOverride> dim = readDim(size);
    if (!dim.ok())
      return dim.status().withContext("shape \"" + std::string(text) + "\": ");
    dims.push_back(*dim);
  }
  if (!shapes.emplace(name, std::move(dims)).second)
    return makeError(ErrorCode::E0703, "two shapes for the input \"", name, "\"");
  return Status::success();
}

Status applyShapes(const ShapeOverrides &shapes, std::vector<DeclaredInput> &inputs, SizeTable &sizes,
                   std::set<std::string> *others) {
  Application application(sizes);
  for (const auto &[name, dims] : shapes) {
    auto input = std::ranges::find(inputs, name, &DeclaredInput::name);
    if (input == inputs.end() && others) {
      others->insert(name);
      continue;
    }
    if (input == inputs.end())
      return makeError(ErrorCode::E0501, "a shape is given for \"", name,
                       "\", which is no input of the model; its inputs are ", namesOf(inputs));
    KILN_TRY(application.apply(*input, dims));
  }
  return Status();
}

Status applyShapes(const ShapeOverrides &shapes, mlir::ModuleOp module) {
  for (auto function : module.getOps<mlir::func::FuncOp>()) {
    KILN_ASSIGN(SizeTable sizes, SizeTable::read(function));
    std::vector<DeclaredInput> inputs;
    for (mlir::BlockArgument argument : function.getArguments()) {
      auto name = function.getArgAttrOfType<mlir::StringAttr>(argument.getArgNumber(), nameAttrName);
      inputs.push_back({name ? name.getValue().str() : "", getDims(argument)});
      for (const SizeExpr &dim : inputs.back().dims)
        if (auto symbol = dim.asSymbol())
          sizes.declareStored(*symbol);
    }
    KILN_TRY(applyShapes(shapes, inputs, sizes));
    for (auto [argument, input] : llvm::zip(function.getArguments(), inputs))
      if (auto type = llvm::dyn_cast<mlir::RankedTensorType>(argument.getType()))
        argument.setType(sizes.tensorType(input.dims, type.getElementType()));
    function.setType(
        mlir::FunctionType::get(module.getContext(), function.front().getArgumentTypes(), function.getResultTypes()));
    sizes.write(function);
  }
  return Status();
}

} // namespace kiln
