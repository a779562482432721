#include "dialects/kiln/Build.h"

#include "dialects/kiln/Dialect.h"
#include "dialects/kiln/Movement.h"
#include "mlir/Interfaces/FunctionInterfaces.h"

using namespace mlir;

namespace kiln {

StringRef mnemonicOf(Operation *op) {
  return op->getName().getDialectNamespace() == "kiln" ? op->getName().stripDialect() : StringRef();
}

static std::string_view view(StringRef text) { return {text.data(), text.size()}; }

bool isView(Operation *op) {
  auto kilnOp = dyn_cast<KilnOpInterface>(op);
  return kilnOp && kilnOp.getFusionRole() == FusionRole::View && op->getNumOperands() == 1;
}

bool isPointwise(Operation *op) {
  auto kilnOp = dyn_cast<KilnOpInterface>(op);
  return kilnOp && kilnOp.getFusionRole() == FusionRole::Elementwise && findOp(view(mnemonicOf(op)))->elementwise;
}

Attributes toAttributes(Operation *op) {
  const OpInfo *info = findOp(view(mnemonicOf(op)));
  assert(info && "not an op of the kiln dialect");
  Attributes result;
  for (const AttributeInfo &attribute : info->attributes) {
    mlir::Attribute value = op->getAttr(StringRef(attribute.name.data(), attribute.name.size()));
    if (auto integer = dyn_cast_or_null<IntegerAttr>(value))
      result.set(attribute.name, kiln::Attribute(integer.getInt()));
    else if (auto number = dyn_cast_or_null<FloatAttr>(value))
      result.set(attribute.name, kiln::Attribute(number.getValueAsDouble()));
    else if (auto text = dyn_cast_or_null<StringAttr>(value))
      result.set(attribute.name, kiln::Attribute(text.str()));
    else if (auto list = dyn_cast_or_null<DenseI64ArrayAttr>(value))
      result.set(attribute.name, kiln::Attribute(std::vector<int64_t>(list.asArrayRef())));
    else if (auto reals = dyn_cast_or_null<DenseF64ArrayAttr>(value))
      result.set(attribute.name, kiln::Attribute(std::vector<double>(reals.asArrayRef())));
  }
  return completeAttributes(*info, result);
}

/// An empty list of numbers is one of integers in Attributes, but not here.
static bool takesReals(const OpInfo &op, std::string_view name) {
  const AttributeInfo *info = op.findAttribute(name);
  return info && info->kind == AttributeInfo::Kind::Floats;
}

/// How many operands lie at each place of the op's definition, for ops that have several optional ones.
static constexpr StringLiteral segmentsName = "operandSegmentSizes";

SmallVector<Value> operandsOf(Operation *op) {
  auto segments = op->getAttrOfType<DenseI32ArrayAttr>(segmentsName);
  if (!segments)
    return SmallVector<Value>(op->getOperands());
  SmallVector<Value> result;
  unsigned next = 0;
  for (int32_t size : segments.asArrayRef())
    result.push_back(size ? op->getOperand(next++) : Value());
  while (!result.empty() && !result.back())
    result.pop_back();
  return result;
}

Result<SmallVector<NamedAttribute>> fromAttributes(MLIRContext *context, const OpInfo &op,
                                                   const Attributes &attributes) {
  KILN_ASSIGN(Attributes normal, normalizeAttributes(op, attributes));
  Builder builder(context);
  SmallVector<NamedAttribute> result;
  for (const auto &[name, value] : normal) {
    mlir::Attribute converted;
    if (auto *integer = std::get_if<int64_t>(&value))
      converted = builder.getI64IntegerAttr(*integer);
    else if (auto *number = std::get_if<double>(&value))
      converted = builder.getF64FloatAttr(*number);
    else if (auto *text = std::get_if<std::string>(&value))
      converted = builder.getStringAttr(*text);
    else if (auto *list = std::get_if<std::vector<int64_t>>(&value); list && list->empty() && takesReals(op, name))
      converted = builder.getDenseF64ArrayAttr({});
    else if (list)
      converted = builder.getDenseI64ArrayAttr(*list);
    else if (auto *reals = std::get_if<std::vector<double>>(&value))
      converted = builder.getDenseF64ArrayAttr(*reals);
    result.push_back(builder.getNamedAttr(name, converted));
  }
  return result;
}

/// Checks what is needed to make the op at all.
static Result<OperationState> makeState(MLIRContext *context, Location loc, StringRef mnemonic, ValueRange operands,
                                        const Attributes &attributes) {
  const OpInfo *info = findOp(view(mnemonic));
  if (!info)
    return makeError(ErrorCode::E0901, "there is no op ", mnemonic.str());
  SmallVector<Value> places(operands);
  while (!places.empty() && !places.back())
    places.pop_back();
  int count = places.size();
  if (count < info->minOperands || (info->maxOperands >= 0 && count > info->maxOperands))
    return makeError(ErrorCode::E0306, mnemonic.str(), " takes ", info->minOperands,
                     info->maxOperands < 0                   ? " or more"
                     : info->maxOperands > info->minOperands ? ".." + std::to_string(info->maxOperands)
                                                             : "",
                     " operands, not ", count);
  OperationState state(loc, ("kiln." + mnemonic).str());
  const bool segmented = state.name.hasTrait<OpTrait::AttrSizedOperandSegments>();
  SmallVector<int32_t> segments(size_t(segmented ? info->maxOperands : 0));
  for (auto [i, operand] : llvm::enumerate(places)) {
    if (!operand && segmented && int(i) >= info->minOperands)
      continue;
    if (!operand || !isa<RankedTensorType>(operand.getType()))
      return makeError(ErrorCode::E0306, mnemonic.str(), ": an operand is absent or no tensor");
    state.addOperands(operand);
    if (segmented)
      segments[i] = 1;
  }
  Attributes normal = attributes;
  // Negative axes count from the end; the IR holds the canonical form.
  if (const kiln::Attribute *axis = attributes.find("axis"); axis && count) {
    auto *value = std::get_if<int64_t>(axis);
    int64_t rank = getRank(places.front().getType());
    if (value && *value < 0 && *value >= -rank)
      normal.set("axis", kiln::Attribute(*value + rank));
  }
  KILN_ASSIGN(auto named, fromAttributes(context, *info, normal));
  state.addAttributes(named);
  if (segmented)
    state.addAttribute(segmentsName, DenseI32ArrayAttr::get(context, segments));
  return state;
}

Result<Operation *> makeOp(OpBuilder &builder, SizeTable &sizes, Location loc, StringRef mnemonic, ValueRange operands,
                           const Attributes &attributes) {
  KILN_ASSIGN(OperationState state, makeState(builder.getContext(), loc, mnemonic, operands, attributes));
  // The rule looks at operands and attributes of an op, so it gets one without results first.
  Operation *probe = Operation::create(state);
  ShapeContext context(sizes);
  auto rule = dyn_cast<KilnOpInterface>(probe);
  Result<ResultShapes> shapes =
      rule ? rule.inferShapes(context) : makeError(ErrorCode::E0901, "kiln.", mnemonic.str(), " is not registered");
  probe->erase();
  if (!shapes.ok())
    return shapes.status();
  state.addTypes(SmallVector<Type>(llvm::to_vector_of<Type>(nameResults(*shapes, sizes))));
  return builder.create(state);
}

Result<Operation *> makeOp(OpBuilder &builder, TypeRange resultTypes, Location loc, StringRef mnemonic,
                           ValueRange operands, const Attributes &attributes) {
  KILN_ASSIGN(OperationState state, makeState(builder.getContext(), loc, mnemonic, operands, attributes));
  state.addTypes(resultTypes);
  return builder.create(state);
}

Value buildOp(OpBuilder &builder, Type resultType, Location loc, StringRef mnemonic, ValueRange operands,
              const Attributes &attributes) {
  Result<Operation *> op = makeOp(builder, TypeRange(resultType), loc, mnemonic, operands, attributes);
  if (!op.ok())
    llvm::report_fatal_error(llvm::Twine("kiln.") + mnemonic + ": " + formatError(op.status()));
  return (*op)->getResult(0);
}

Value buildReshape(OpBuilder &builder, Location loc, Value x, Type type) {
  return x.getType() == type ? x : buildOp(builder, type, loc, "reshape", x);
}

Operation *functionOf(Operation *op) {
  while (op && !isa<FunctionOpInterface>(op))
    op = op->getParentOp();
  return op;
}

InFlightDiagnostic emitError(Location loc, const Status &status) { return mlir::emitError(loc) << formatError(status); }

} // namespace kiln
