#include "dialects/plan/PlanDialect.h"

#include "runtime/base/Attributes.h"

#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace kiln;
using namespace kiln::plan_ir;

#include "dialects/plan/PlanDialect.cpp.inc"

#define GET_TYPEDEF_CLASSES
#include "dialects/plan/PlanTypes.cpp.inc"

#define GET_OP_CLASSES
#include "dialects/plan/PlanOps.cpp.inc"

void PlanDialect::initialize() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/plan/PlanTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/plan/PlanOps.cpp.inc"
      >();
}

//===-- !plan.view
//--------------------------------------------------------------------------------------------------===//

namespace {

struct ViewText {
  DType dtype;
  std::vector<SizeExpr> dims;
};

/// Splits "f32[N,max(A,B),3]".
std::optional<ViewText> parseView(StringRef text) {
  size_t open = text.find('[');
  if (open == StringRef::npos || !text.ends_with("]"))
    return std::nullopt;
  std::optional<DType> dtype = dtypeFromName(std::string_view(text.take_front(open)));
  if (!dtype)
    return std::nullopt;
  Result<std::vector<SizeExpr>> dims = parseSizes(std::string_view(text.drop_front(open + 1).drop_back()));
  if (!dims.ok())
    return std::nullopt;
  return ViewText{*dtype, *std::move(dims)};
}

LogicalResult verifySize(Operation *op, StringRef text) {
  if (SizeExpr::parse(std::string_view(text)).ok())
    return success();
  return op->emitOpError() << "\"" << text << "\" is not a size expression";
}

} // namespace

LogicalResult ViewType::verify(function_ref<InFlightDiagnostic()> emitError, StringRef text) {
  if (parseView(text))
    return success();
  return emitError() << "\"" << text << "\" is not an element type with dims, such as \"f32[N,3]\"";
}

ViewType ViewType::get(MLIRContext *context, DType dtype, ArrayRef<SizeExpr> dims) {
  return get(context, std::string(dtypeName(dtype)) + printSizes(dims));
}

DType ViewType::getDType() const { return parseView(getText())->dtype; }
std::vector<SizeExpr> ViewType::getDims() const { return parseView(getText())->dims; }

SizeExpr ViewType::getBytes() const {
  ViewText view = *parseView(getText());
  SizeExpr count(1);
  for (const SizeExpr &dim : view.dims)
    count = count * dim;
  int64_t bits = dtypeBits(view.dtype);
  return bits % 8 == 0 ? count * SizeExpr(bits / 8) : SizeExpr::ceilDiv(count * SizeExpr(bits), 8);
}

//===-- ops
//---------------------------------------------------------------------------------------------------------===//

SizeExpr kiln::plan_ir::sizeOf(StringRef text) { return *SizeExpr::parse(std::string_view(text)); }
SizeExpr kiln::plan_ir::sizeOf(StringAttr text) { return sizeOf(text.getValue()); }

Value kiln::plan_ir::rootOf(Value view) {
  while (auto alias = view.getDefiningOp<AliasOp>())
    view = alias.getBase();
  return view;
}

bool kiln::plan_ir::isReadOnly(Value view) {
  Operation *memory = rootOf(view).getDefiningOp();
  if (auto state = dyn_cast<StateOp>(memory))
    return !state.getWrites();
  return isa<InputOp, ConstantOp>(memory);
}

LogicalResult StateOp::verify() {
  ViewType before = getView().getType();
  auto grown = getGrown() ? cast<ViewType>(*getGrown()) : ViewType();
  if (!getGrowing())
    return grown ? emitOpError() << "has a view for what it grows to, but no axis" : LogicalResult(success());
  std::vector<SizeExpr> dims = before.getDims();
  if (*getGrowing() >= dims.size() || bool(grown) != getWrites())
    return emitOpError() << "does not say how it grows";
  if (grown && (grown.getDType() != before.getDType() || grown.getDims().size() != dims.size()))
    return emitOpError() << "grows to another element type or rank";
  return success();
}

LogicalResult BindShapeOp::verify() {
  auto rank = static_cast<int64_t>(cast<ViewType>(getInput().getType()).getDims().size());
  int64_t dim = getDim();
  if (dim < 0 || dim >= rank)
    return emitOpError() << "dim " << dim << " is out of range for rank " << rank;
  return success();
}

LogicalResult DefineOp::verify() { return verifySize(*this, getValue()); }

LogicalResult CheckOp::verify() {
  if (getKind() != "equal" && getKind() != "broadcast" && getKind() != "at_most")
    return emitOpError() << "kind must be \"equal\", \"broadcast\" or \"at_most\", not \"" << getKind() << "\"";
  return success(succeeded(verifySize(*this, getLhs())) && succeeded(verifySize(*this, getRhs())));
}

LogicalResult plan_ir::KernelOp::verify() {
  Result<KernelInterface> interface = KernelInterface::parse(std::string_view(getInterface()));
  if (!interface.ok())
    return emitOpError() << interface.status().message();
  return success();
}

KernelInterface plan_ir::KernelOp::readInterface() { return *KernelInterface::parse(std::string_view(getInterface())); }

LogicalResult AllocOp::verify() {
  if (getPlace() != "arena" && getPlace() != "workspace" && getPlace() != "returned")
    return emitOpError() << "place must be \"arena\", \"workspace\" or \"returned\", not \"" << getPlace() << "\"";
  return success();
}

LogicalResult AliasOp::verify() { return verifySize(*this, getOffset()); }

LogicalResult LaunchOp::verify() {
  for (mlir::Attribute size : getSizes())
    if (failed(verifySize(*this, cast<StringAttr>(size).getValue())))
      return failure();
  return success();
}

LogicalResult HostCallOp::verify() {
  if (getPresent().count('1') != getInputs().size() || getPresent().find_first_not_of("01") != StringRef::npos)
    return emitOpError() << "`present` must hold a 1 for each of the " << getInputs().size() << " inputs";
  for (Value output : getOutputs())
    if (isReadOnly(output))
      return emitOpError() << "writes an input or a constant";
  if (!Attributes::parse(std::string_view(getOpAttributes())).ok())
    return emitOpError() << "\"" << getOpAttributes() << "\" is not an attribute list";
  for (StringRef text : {getFlops(), getBytes()})
    if (failed(verifySize(*this, text)))
      return failure();
  return success();
}

LogicalResult CopyOp::verify() {
  if (isReadOnly(getTarget()))
    return emitOpError() << "writes an input or a constant";
  if (cast<ViewType>(getSource().getType()).getBytes() != cast<ViewType>(getTarget().getType()).getBytes())
    return emitOpError() << "source and target differ in bytes";
  return success();
}
