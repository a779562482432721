#include "dialects/kiln/Dialect.h"

#include "dialects/kiln/Ops.h"
#include "dialects/kiln/WeightStore.h"
#include "mlir/IR/DialectImplementation.h"
#include "runtime/base/Hash.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

#include "dialects/kiln/KilnDialect.cpp.inc"
#include "dialects/kiln/KilnInterfaces.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/kiln/KilnAttributes.cpp.inc"

namespace kiln {

void KilnDialect::initialize() {
  weightStore = std::make_shared<WeightStore>();
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/kiln/KilnAttributes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/kiln/KilnOps.cpp.inc"
      >();
}

Operation *KilnDialect::materializeConstant(OpBuilder &builder, Attribute value, Type type, Location loc) {
  auto typed = dyn_cast<TypedAttr>(value);
  if (!typed || typed.getType() != type)
    return nullptr;
  return builder.create<ConstantOp>(loc, type, typed);
}

// --- #kiln.dims

Attribute DimsAttr::parse(AsmParser &parser, Type) {
  SmallVector<Attribute> dims;
  Builder builder(parser.getContext());
  auto dim = [&]() -> ParseResult {
    int64_t size;
    std::string name;
    if (OptionalParseResult number = parser.parseOptionalInteger(size); number.has_value()) {
      if (failed(*number))
        return failure();
      dims.push_back(builder.getI64IntegerAttr(size));
      return success();
    }
    if (failed(parser.parseKeywordOrString(&name)))
      return failure();
    dims.push_back(builder.getStringAttr(name));
    return success();
  };
  if (parser.parseLess() || parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, dim) || parser.parseGreater())
    return {};
  return parser.getChecked<DimsAttr>(parser.getContext(), dims);
}

void DimsAttr::print(AsmPrinter &printer) const {
  printer << "<[";
  llvm::interleaveComma(getDims(), printer, [&](Attribute dim) {
    if (auto size = llvm::dyn_cast<IntegerAttr>(dim))
      printer << size.getInt();
    else
      printer.printKeywordOrString(llvm::cast<StringAttr>(dim).getValue());
  });
  printer << "]>";
}

LogicalResult DimsAttr::verify(function_ref<InFlightDiagnostic()> emitError, ArrayRef<Attribute> dims) {
  for (Attribute dim : dims) {
    auto name = llvm::dyn_cast<StringAttr>(dim);
    // The attribute holds the stored form, which symbol() leaves as it is (symbolName would escape it again).
    if (name && (name.getValue().empty() || SizeExpr::symbol(name.getValue()).asSymbol() != name.getValue().str()))
      return emitError() << "'" << name.getValue() << "' is no symbol name";
    if (!name && !llvm::isa<IntegerAttr>(dim))
      return emitError() << "a dim is an integer or a symbol";
  }
  return success();
}

LogicalResult DimsAttr::verifyEncoding(ArrayRef<int64_t> shape, Type,
                                       function_ref<InFlightDiagnostic()> emitError) const {
  if (shape.size() != getDims().size())
    return emitError() << "#kiln.dims has " << getDims().size() << " dims for a tensor of rank " << shape.size();
  for (auto [size, dim] : llvm::zip(shape, getDims())) {
    auto constant = llvm::dyn_cast<IntegerAttr>(dim);
    if (ShapedType::isDynamic(size) ? bool(constant) : !constant || constant.getInt() != size)
      return emitError() << "#kiln.dims does not match the shape of its tensor";
  }
  return success();
}

// --- #kiln.weight

// #kiln.weight<"model.onnx", 1024, "0123456789abcdef"> : tensor<64xf32>; the type stands behind, as with every typed
// attribute.
Attribute WeightAttr::parse(AsmParser &parser, Type type) {
  std::string file, digest;
  uint64_t offset, value;
  if (parser.parseLess() || parser.parseString(&file) || parser.parseComma() || parser.parseInteger(offset) ||
      parser.parseComma())
    return {};
  if (!type) {
    parser.emitError(parser.getNameLoc()) << "a weight needs its type";
    return {};
  }
  SMLoc at = parser.getCurrentLocation();
  if (parser.parseString(&digest) || parser.parseGreater())
    return {};
  if (StringRef(digest).getAsInteger(16, value)) {
    parser.emitError(at) << "the digest must be hexadecimal";
    return {};
  }
  Builder builder(parser.getContext());
  return parser.getChecked<WeightAttr>(parser.getContext(), builder.getStringAttr(file), offset, type, value);
}

void WeightAttr::print(AsmPrinter &printer) const {
  printer << "<";
  printer.printString(getFile().getValue());
  printer << ", " << getOffset() << ", \"" << printHash(getDigest()) << "\">";
}

LogicalResult WeightAttr::verify(function_ref<InFlightDiagnostic()> emitError, StringAttr, uint64_t, Type type,
                                 uint64_t) {
  auto tensor = llvm::dyn_cast<RankedTensorType>(type);
  if (!tensor || !tensor.hasStaticShape())
    return emitError() << "a weight is a tensor of static dims";
  return success();
}

} // namespace kiln
