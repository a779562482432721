// Constants: element types, those that are bound later, reading and making kiln.constant.
#include "dialects/kiln/BoundReader.h"
#include "dialects/kiln/Build.h"
#include "dialects/kiln/Dialect.h"
#include "dialects/kiln/Movement.h"
#include "dialects/kiln/WeightStore.h"
#include "mlir/IR/DialectImplementation.h"
#include "runtime/base/Float16.h"

#include <cmath>
#include <cstring>

using namespace mlir;

namespace kiln {

std::optional<DType> dtypeOf(Type t) {
  if (t.isF32())
    return DType::F32;
  if (t.isF64())
    return DType::F64;
  if (t.isF16())
    return DType::F16;
  if (t.isBF16())
    return DType::BF16;
  auto integer = dyn_cast<IntegerType>(t);
  if (!integer)
    return std::nullopt;
  bool isUnsigned = integer.isUnsigned();
  switch (integer.getWidth()) {
  case 1: return DType::Bool;
  case 8: return isUnsigned ? DType::U8 : DType::I8;
  case 16: return isUnsigned ? DType::U16 : DType::I16;
  case 32: return isUnsigned ? DType::U32 : DType::I32;
  case 64: return isUnsigned ? DType::U64 : DType::I64;
  }
  return std::nullopt;
}

Type elementTypeOf(MLIRContext *context, DType dtype) {
  Builder b(context);
  switch (dtype) {
  case DType::F32: return b.getF32Type();
  case DType::F64: return b.getF64Type();
  case DType::F16: return b.getF16Type();
  case DType::BF16: return b.getBF16Type();
  case DType::Bool: return b.getI1Type();
  default: break;
  }
  return IntegerType::get(context, dtypeBits(dtype),
                          isUnsignedInt(dtype) ? IntegerType::Unsigned : IntegerType::Signless);
}

// --- #kiln.bound

// #kiln.bound<"W", tensor<3x4xf32>, "permute[1,0]"> : tensor<4x3xf32>
mlir::Attribute BoundAttr::parse(AsmParser &parser, Type type) {
  std::string name, recipe;
  Type source;
  if (parser.parseLess() || parser.parseString(&name) || parser.parseComma() || parser.parseType(source) ||
      parser.parseComma() || parser.parseString(&recipe) || parser.parseGreater())
    return {};
  Builder builder(parser.getContext());
  return parser.getChecked<BoundAttr>(parser.getContext(), builder.getStringAttr(name), source,
                                      builder.getStringAttr(recipe), type);
}

void BoundAttr::print(AsmPrinter &printer) const {
  printer << "<";
  printer.printString(getName().getValue());
  printer << ", " << getSource() << ", ";
  printer.printString(getRecipe().getValue());
  printer << ">";
}

LogicalResult BoundAttr::verify(function_ref<InFlightDiagnostic()> emitError, StringAttr name, Type source,
                                StringAttr recipe, Type type) {
  auto from = llvm::dyn_cast<RankedTensorType>(source), to = dyn_cast_if_present<RankedTensorType>(type);
  if (name.empty() || !from || !to || !from.hasStaticShape() || !to.hasStaticShape() ||
      !dtypeOf(from.getElementType()) || !dtypeOf(to.getElementType()))
    return emitError() << "a constant that is bound has a name and is a tensor of static dims";
  Result<Recipe> steps = Recipe::parse(std::string_view(recipe.getValue()));
  Result<RecipeType> made = steps.ok() ? recipeType(*dtypeOf(from.getElementType()), from.getShape(), *steps)
                                       : Result<RecipeType>(steps.status());
  if (!made.ok())
    return emitError() << made.status().message();
  if (made->dtype != *dtypeOf(to.getElementType()) || ArrayRef<int64_t>(made->dims) != to.getShape())
    return emitError() << "the recipe does not make " << type << " of " << source;
  return success();
}

BoundAttr BoundAttr::then(const RecipeStep &step, Type type) const {
  // What an attribute holds was verified.
  Recipe recipe = *Recipe::parse(std::string_view(getRecipe().getValue()));
  using Kind = RecipeStep::Kind;
  if (step.kind == Kind::Reshape && !recipe.steps.empty() && recipe.steps.back().kind == Kind::Reshape)
    recipe.steps.pop_back();
  recipe.steps.push_back(step);
  if (type == getSource() && recipe.steps.size() == 1 && step.kind == Kind::Reshape)
    recipe.steps.clear();
  return get(getContext(), getName(), getSource(), StringAttr::get(getContext(), recipe.print()), type);
}

// --- reading and making constants

bool isConstant(Value value) { return value.getDefiningOp<ConstantOp>() != nullptr; }

bool isKnownConstant(Value value) {
  auto constant = value.getDefiningOp<ConstantOp>();
  return constant && !isa<BoundAttr>(constant.getValue());
}

std::optional<int64_t> byteSizeOf(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  auto dtype = tensor ? dtypeOf(tensor.getElementType()) : std::nullopt;
  if (!dtype || !tensor.hasStaticShape())
    return std::nullopt;
  return byteCount(*dtype, tensor.getShape());
}

/// Copies an inline constant into a tensor of the runtime's form: splats expanded, bools as bytes.
static Result<Tensor> readDense(DenseElementsAttr dense, DType dtype) {
  KILN_ASSIGN(Tensor tensor, Tensor::create(dtype, dense.getType().getShape()));
  int64_t count = tensor.size();
  if (dtype == DType::Bool) {
    uint8_t *out = tensor.as<uint8_t>();
    for (bool value : dense.getValues<bool>())
      *out++ = value;
    return tensor;
  }
  ArrayRef<char> raw = dense.getRawData();
  size_t size = dtypeBytes(dtype);
  if (count == 0)
    return tensor;
  if (!dense.isSplat()) {
    std::memcpy(tensor.data(), raw.data(), count * size);
    return tensor;
  }
  for (int64_t i = 0; i < count; ++i)
    std::memcpy(tensor.as<char>() + i * size, raw.data(), size);
  return tensor;
}

Result<TensorView> viewConstant(TypedAttr value, Tensor &storage, SmallVectorImpl<int64_t> &dims) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type || !type.hasStaticShape())
    return makeError(ErrorCode::E0901, "constant is no tensor of known size");
  auto dtype = dtypeOf(type.getElementType());
  if (!dtype)
    return makeError(ErrorCode::E0203, "constant has an element type without runtime form");
  dims.assign(type.getShape().begin(), type.getShape().end());
  if (auto dense = dyn_cast<DenseElementsAttr>(value)) {
    KILN_ASSIGN(storage, readDense(dense, *dtype));
    return TensorView{storage.data(), *dtype, dims};
  }
  if (auto bound = dyn_cast<BoundAttr>(value)) {
    BoundReader *reader = value.getContext()->getLoadedDialect<KilnDialect>()->boundReader;
    TypedAttr known = reader ? reader->read(bound) : TypedAttr();
    if (!known)
      return makeError(ErrorCode::E0208, "constant \"", bound.getName().str(),
                       "\" is bound later, so its elements are not known when compiling");
    return viewConstant(known, storage, dims);
  }
  auto weight = dyn_cast<WeightAttr>(value);
  if (!weight)
    return makeError(ErrorCode::E0901, "constant is of a foreign kind");
  auto size = byteCount(*dtype, dims);
  if (!size)
    return makeError(ErrorCode::E0308, "size of a weight overflows");
  WeightStore &store = value.getContext()->getLoadedDialect<KilnDialect>()->weights();
  KILN_ASSIGN(auto bytes, store.bytes(weight.getFile().getValue(), weight.getOffset(), *size));
  // Weights may lie anywhere in a file; kernels of the host want aligned elements.
  if (reinterpret_cast<uintptr_t>(bytes.data()) % dtypeBytes(*dtype)) {
    KILN_ASSIGN(storage, Tensor::create(*dtype, dims));
    std::memcpy(storage.data(), bytes.data(), bytes.size());
    return TensorView{storage.data(), *dtype, dims};
  }
  return TensorView{const_cast<std::byte *>(bytes.data()), *dtype, dims};
}

Result<TensorView> viewConstant(Value value, Tensor &storage, SmallVectorImpl<int64_t> &dims) {
  auto constant = value.getDefiningOp<ConstantOp>();
  if (!constant)
    return makeError(ErrorCode::E0901, "value is no constant");
  return viewConstant(constant.getValue(), storage, dims);
}

Result<Tensor> readConstant(Value value) {
  Tensor storage;
  SmallVector<int64_t> dims;
  KILN_ASSIGN(TensorView view, viewConstant(value, storage, dims));
  if (storage.valid())
    return storage;
  return Tensor::copyOf(view);
}

static std::optional<double> elementAsDouble(const TensorView &view, int64_t i) {
  auto exact = [](auto v) -> std::optional<double> {
    double d = double(v);
    return std::fabs(d) <= 9007199254740992.0 ? std::optional(d) : std::nullopt;
  };
  switch (view.dtype) {
  case DType::F32: return view.as<float>()[i];
  case DType::F64: return view.as<double>()[i];
  case DType::F16: return f16ToFloat(view.as<uint16_t>()[i]);
  case DType::BF16: return bf16ToFloat(view.as<uint16_t>()[i]);
  case DType::I8: return view.as<int8_t>()[i];
  case DType::I16: return view.as<int16_t>()[i];
  case DType::I32: return view.as<int32_t>()[i];
  case DType::I64: return exact(view.as<int64_t>()[i]);
  case DType::U8:
  case DType::Bool: return view.as<uint8_t>()[i];
  case DType::U16: return view.as<uint16_t>()[i];
  case DType::U32: return view.as<uint32_t>()[i];
  case DType::U64: return exact(view.as<uint64_t>()[i]);
  }
  return std::nullopt;
}

std::optional<double> splatValue(Value value) {
  constexpr int64_t maxSplat = 4096;
  auto constant = value.getDefiningOp<ConstantOp>();
  if (!constant || cast<ShapedType>(constant.getValue().getType()).getNumElements() > maxSplat)
    return std::nullopt;
  Tensor storage;
  SmallVector<int64_t> dims;
  auto view = viewConstant(value, storage, dims);
  if (!view.ok() || view->size() == 0)
    return std::nullopt;
  size_t size = dtypeBytes(view->dtype);
  for (int64_t i = 1; i < view->size(); ++i)
    if (std::memcmp(view->as<char>(), view->as<char>() + i * size, size) != 0)
      return std::nullopt;
  return elementAsDouble(*view, 0);
}

DenseElementsAttr denseAttr(MLIRContext *context, const TensorView &tensor) {
  auto type = RankedTensorType::get(ArrayRef<int64_t>(tensor.dims.data(), tensor.dims.size()),
                                    elementTypeOf(context, tensor.dtype));
  if (tensor.dtype == DType::Bool) {
    SmallVector<bool> values(tensor.as<uint8_t>(), tensor.as<uint8_t>() + tensor.size());
    return DenseElementsAttr::get(type, values);
  }
  return DenseElementsAttr::getFromRawBuffer(type, ArrayRef<char>(tensor.as<char>(), tensor.bytes()));
}

Value makeConstant(OpBuilder &builder, Location loc, Tensor tensor) {
  MLIRContext *context = builder.getContext();
  TypedAttr value;
  if (tensor.size() <= 1 || tensor.bytes() <= inlineConstantBytes) {
    value = denseAttr(context, tensor.view());
  } else {
    auto type = RankedTensorType::get(ArrayRef<int64_t>(tensor.dims().data(), tensor.dims().size()),
                                      elementTypeOf(context, tensor.dtype()));
    WeightStore &store = context->getLoadedDialect<KilnDialect>()->weights();
    auto [offset, digest] = store.addDerived(std::move(tensor));
    value = WeightAttr::get(context, builder.getStringAttr(StringRef(WeightStore::derivedId)), offset, type, digest);
  }
  return builder.create<ConstantOp>(loc, value.getType(), value);
}

Value makeScalar(OpBuilder &builder, Location loc, Type elementType, double value) {
  auto type = RankedTensorType::get({}, elementType);
  mlir::Attribute element;
  if (auto real = dyn_cast<FloatType>(elementType))
    element = builder.getFloatAttr(real, value);
  else
    element = builder.getIntegerAttr(elementType, int64_t(value));
  auto dense = DenseElementsAttr::get(type, element);
  return builder.create<ConstantOp>(loc, type, dense);
}

Value makeInts(OpBuilder &builder, Location loc, ArrayRef<int64_t> values) {
  auto type = RankedTensorType::get(int64_t(values.size()), builder.getI64Type());
  return builder.create<ConstantOp>(loc, type, DenseElementsAttr::get(type, values));
}

} // namespace kiln
