// Quantization, spelled with elementwise ops, which are fused like any others, and products of integers.
#include "compiler/import/onnx/OpTable.h"
#include "compiler/import/onnx/ops/Shared.h"

#include <algorithm>
#include <numeric>

namespace kiln::onnx {
namespace {

/// Which elements of x a scale and a zero point belong to.
struct Blocks {
  int64_t axis;
  int64_t size; // of a block along the axis; 0: one scale for each position, or one for all
};

/// The axis has no meaning where there is one scale for all.
Result<Blocks> readBlocks(NodeImport &node) {
  KILN_ASSIGN(int64_t axis, node.intAttribute("axis", 1));
  KILN_ASSIGN(int64_t size, node.intAttribute("block_size", 0));
  if (size < 0 || size > INT32_MAX)
    return makeError(ErrorCode::E0411, "block_size is ", size, "; expected 0 or more");
  return Blocks{axis, size};
}

/// A scale or zero point in a form that broadcasts with x: a scalar, a vector along the axis, or an element for every
/// one of x.
Result<Value> spread(NodeImport &node, Value x, Value parameter, const Blocks &blocks) {
  const int64_t rank = node.rank(x), own = node.rank(parameter);
  Dims dims = node.dims(parameter);
  if (blocks.size == 0) {
    if (own > 1)
      return makeError(ErrorCode::E0304, "scale and zero point must be scalars or vectors, got rank ", own);
    // A vector of one element is a scalar in the versions before there was an axis.
    if (own == 0 || (dims[0].isConstant(1) && (node.opset() < 13 || blocks.axis < -rank || blocks.axis >= rank)))
      return node.reshape(parameter, {});
    KILN_ASSIGN(int64_t axis, node.normalizeAxis(blocks.axis, rank));
    if (!dims[0].isConstant(1))
      KILN_TRY(node.requireEqual(dims[0], node.dims(x)[size_t(axis)]).withContext("scale and zero point: "));
    Dims along(size_t(rank), SizeExpr(1));
    along[size_t(axis)] = dims[0];
    return node.reshape(parameter, along);
  }
  if (own != rank)
    return makeError(ErrorCode::E0304, "with block_size, scale and zero point must have the input's rank ", rank,
                     ", got ", own);
  KILN_ASSIGN(int64_t axis, node.normalizeAxis(blocks.axis, rank));
  SizeExpr whole = node.dims(x)[size_t(axis)];
  KILN_TRY(node.requireEqual(dims[size_t(axis)], SizeExpr::ceilDiv(whole, SizeExpr(blocks.size)))
               .withContext("blocks of scale and zero point: "));
  KILN_ASSIGN(Value size, node.sizeOf(x, axis));
  KILN_ASSIGN(Value positions, node.emit("range", {node.scalar(0, DType::I64), size, node.scalar(1, DType::I64)}));
  KILN_ASSIGN(Value block, node.emit("div", {positions, node.scalar(double(blocks.size), DType::I64)}));
  Attributes attributes;
  attributes.set("axis", axis);
  return node.emit("gather", {parameter, block}, attributes);
}

Result<DType> typeOf(int64_t id, std::string_view what) {
  if (std::optional<DType> dtype = dtypeFromOnnxId(id))
    return *dtype;
  return makeError(ErrorCode::E0203, what, " ", onnxTypeName(int32_t(id)), " is not supported");
}

/// The type of the result: the zero point's, else output_dtype (opset 21), else u8.
Result<DType> quantizedType(NodeImport &node) {
  DType to = DType::U8;
  if (node.has(2))
    to = node.dtype(node.operand(2));
  KILN_ASSIGN(int64_t asked, node.intAttribute("output_dtype", 0));
  if (asked != 0) {
    KILN_ASSIGN(DType output, typeOf(asked, "output_dtype"));
    if (node.has(2) && output != to)
      return makeError(ErrorCode::E0305, "output_dtype is ", dtypeName(output), ", the zero point ", dtypeName(to));
    to = output;
  }
  if (to != DType::U8 && to != DType::I8 && to != DType::U16 && to != DType::I16)
    return makeError(ErrorCode::E0203, "quantization to ", dtypeName(to), " is not supported");
  return to;
}

/// saturate(round(x / scale) + zero point). The quotient has the type of the scale, or `precision` (opset 23); f32
/// holds all that follows exactly, as far as it does not saturate.
Status quantizeLinear(NodeImport &node) {
  KILN_TRY(node.expectOperands(2, 3));
  Value x = node.operand(0), scale = node.operand(1);
  KILN_ASSIGN(Blocks blocks, readBlocks(node));
  KILN_ASSIGN(DType to, quantizedType(node));
  if (!isFloat(node.dtype(scale)))
    return makeError(ErrorCode::E0203, "a scale of ", dtypeName(node.dtype(scale)), " is not supported");
  DType quotient = node.dtype(scale);
  KILN_ASSIGN(int64_t precision, node.intAttribute("precision", 0));
  if (precision != 0) {
    KILN_ASSIGN(quotient, typeOf(precision, "precision"));
    if (!isFloat(quotient))
      return makeError(ErrorCode::E0411, "precision is ", dtypeName(quotient), "; expected a floating-point type");
  }
  KILN_ASSIGN(scale, spread(node, x, scale, blocks));
  KILN_ASSIGN(Value dividend, node.cast(x, quotient));
  KILN_ASSIGN(scale, node.cast(scale, quotient));
  KILN_ASSIGN(Value y, node.emit("div", {dividend, scale}));
  KILN_ASSIGN(y, node.emit("round", {y}));
  KILN_ASSIGN(y, node.cast(y, DType::F32));
  if (node.has(2)) {
    KILN_ASSIGN(Value zero, spread(node, x, node.operand(2), blocks));
    KILN_ASSIGN(zero, node.cast(zero, DType::F32));
    KILN_ASSIGN(y, node.emit("add", {y, zero}));
  }
  return node.setResult(node.cast(y, to)); // saturates
}

/// (x - zero point) * scale, rounded once to the scale's type or to output_dtype (opset 23).
Status dequantizeLinear(NodeImport &node) {
  KILN_TRY(node.expectOperands(2, 3));
  Value x = node.operand(0), scale = node.operand(1);
  KILN_ASSIGN(Blocks blocks, readBlocks(node));
  if (!isFloat(node.dtype(scale)) || !isInteger(node.dtype(x)))
    return makeError(ErrorCode::E0305, "expected integers and a scale of a floating-point type, got ",
                     dtypeName(node.dtype(x)), " and ", dtypeName(node.dtype(scale)));
  DType to = node.dtype(scale);
  KILN_ASSIGN(int64_t asked, node.intAttribute("output_dtype", 0));
  if (asked != 0) {
    KILN_ASSIGN(to, typeOf(asked, "output_dtype"));
    if (!isFloat(to))
      return makeError(ErrorCode::E0411, "output_dtype is ", dtypeName(to), "; expected a floating-point type");
  }
  Value difference = x;
  if (node.has(2)) {
    if (node.dtype(node.operand(2)) != node.dtype(x))
      return makeError(ErrorCode::E0305, "the zero point is ", dtypeName(node.dtype(node.operand(2))), ", the input ",
                       dtypeName(node.dtype(x)));
    KILN_ASSIGN(Value zero, spread(node, x, node.operand(2), blocks));
    DType exact = dtypeBits(node.dtype(x)) < 32 ? DType::I32 : DType::I64; // holds any difference
    KILN_ASSIGN(difference, node.cast(x, exact));
    KILN_ASSIGN(zero, node.cast(zero, exact));
    KILN_ASSIGN(difference, node.emit("sub", {difference, zero}));
  }
  KILN_ASSIGN(difference, node.cast(difference, DType::F32));
  KILN_ASSIGN(scale, spread(node, x, scale, blocks));
  KILN_ASSIGN(scale, node.cast(scale, DType::F32));
  KILN_ASSIGN(Value y, node.emit("mul", {difference, scale}));
  return node.setResult(node.cast(y, to));
}

struct DynamicallyQuantized {
  Value elements, scale, zero;
};

/// Quantization to u8 by the range of x and 0. A range of nothing has the scale 1.
Result<DynamicallyQuantized> quantizeByRange(NodeImport &node, Value x) {
  const DType dtype = node.dtype(x);
  if (dtype != DType::F32)
    return makeError(ErrorCode::E0203, "quantization of ", dtypeName(dtype), " is not supported");
  Ints axes(size_t(node.rank(x)));
  std::iota(axes.begin(), axes.end(), 0);
  auto bound = [&](const char *kind) -> Result<Value> {
    Attributes attributes;
    attributes.set("kind", kind);
    attributes.set("axes", axes);
    attributes.set("keepdims", 0);
    KILN_ASSIGN(Value of, node.emit("reduce", {x}, attributes));
    return node.emit(kind, {of, node.scalar(0, dtype)});
  };
  KILN_ASSIGN(Value low, bound("min"));
  KILN_ASSIGN(Value high, bound("max"));
  KILN_ASSIGN(Value range, node.emit("sub", {high, low}));
  KILN_ASSIGN(Value scale, node.emit("div", {range, node.scalar(255, dtype)}));
  KILN_ASSIGN(Value nothing, node.emit("equal", {range, node.scalar(0, dtype)}));
  KILN_ASSIGN(scale, node.emit("where", {nothing, node.scalar(1, dtype), scale}));
  KILN_ASSIGN(Value zero, node.emit("div", {low, scale}));
  KILN_ASSIGN(zero, node.emit("sub", {node.scalar(0, dtype), zero}));
  KILN_ASSIGN(zero, node.emit("max", {zero, node.scalar(0, dtype)}));
  KILN_ASSIGN(zero, node.emit("min", {zero, node.scalar(255, dtype)}));
  KILN_ASSIGN(zero, node.emit("round", {zero}));
  KILN_ASSIGN(Value y, node.emit("div", {x, scale}));
  KILN_ASSIGN(y, node.emit("round", {y}));
  KILN_ASSIGN(y, node.emit("add", {y, zero}));
  KILN_ASSIGN(y, node.cast(y, DType::U8)); // saturates
  KILN_ASSIGN(zero, node.cast(zero, DType::U8));
  return DynamicallyQuantized{y, scale, zero};
}

Status dynamicQuantizeLinear(NodeImport &node) {
  KILN_TRY(node.expectOperands(1, 1));
  KILN_ASSIGN(DynamicallyQuantized result, quantizeByRange(node, node.operand(0)));
  node.setResult(0, result.elements);
  node.setResult(1, result.scale);
  node.setResult(2, result.zero);
  return Status();
}

// --- products of quantized operands: of integers, exactly; the accumulator is an i32

/// A scale or zero point as it broadcasts with a product or a convolution's operands of that rank: a scalar, or a
/// vector along `axis`, of which only a run may tell whether it has one element; what has more dims broadcasts as it
/// is.
Result<Value> along(NodeImport &node, Value parameter, int64_t rank, int64_t axis, const SizeExpr &size) {
  Dims dims = node.dims(parameter);
  if (dims.empty() || dims.size() > 1)
    return parameter;
  if (dims[0].isConstant(1))
    return node.reshape(parameter, {});
  if (axis < 0) {
    if (dims[0].isConstant())
      return makeError(ErrorCode::E0304, "a vector has no scales and zero points of its rows");
    KILN_TRY(node.requireEqual(dims[0], 1).withContext("scale and zero point: "));
    return node.reshape(parameter, {});
  }
  if (dims[0].isConstant() && size.isConstant())
    KILN_TRY(node.requireEqual(dims[0], size).withContext("scale and zero point: "));
  Dims spread(size_t(rank), SizeExpr(1));
  spread[size_t(axis)] = dims[0];
  return node.reshape(parameter, spread);
}

/// x less its zero point (which may be null), as i32.
Result<Value> centered(NodeImport &node, Value x, Value zero, int64_t axis) {
  const DType dtype = node.dtype(x);
  if (dtype != DType::U8 && dtype != DType::I8)
    return makeError(ErrorCode::E0203, "products of quantized ", dtypeName(dtype), " are not supported");
  if (zero && node.dtype(zero) != dtype)
    return makeError(ErrorCode::E0305, "the zero point is ", dtypeName(node.dtype(zero)), ", its operand ",
                     dtypeName(dtype));
  KILN_ASSIGN(Value wide, node.cast(x, DType::I32));
  if (!zero)
    return wide;
  const int64_t rank = node.rank(x);
  const SizeExpr size = axis >= 0 && axis < rank ? node.dims(x)[size_t(axis)] : SizeExpr(1);
  KILN_ASSIGN(zero, along(node, zero, rank, axis, size));
  KILN_ASSIGN(zero, node.cast(zero, DType::I32));
  KILN_ASSIGN(Value result, node.emit("sub", {wide, zero}));
  if (node.rank(result) != rank)
    return makeError(ErrorCode::E0304, "the zero point has rank ", node.rank(zero), ", its operand ", rank);
  for (int64_t i = 0; i < rank; ++i)
    KILN_TRY(node.requireEqual(node.dims(result)[size_t(i)], node.dims(x)[size_t(i)]).withContext("zero point: "));
  return result;
}

/// saturate(round(product * (scales / scale of y)) + zero point), in f32; scales broadcast with the product.
Result<Value> requantized(NodeImport &node, Value product, Value a, Value b, size_t y) {
  Value zero = node.operand(y + 1);
  Value scale = node.operand(y);
  const DType to = node.dtype(zero);
  if (to != DType::U8 && to != DType::I8)
    return makeError(ErrorCode::E0203, "quantization to ", dtypeName(to), " is not supported");
  for (Value *parameter : {&scale, &zero})
    if (node.rank(*parameter) == 1) {
      KILN_TRY(node.requireEqual(node.dims(*parameter)[0], 1).withContext("scale and zero point of the result: "));
      KILN_ASSIGN(*parameter, node.reshape(*parameter, {}));
    }
  for (Value *parameter : {&a, &b, &scale})
    if (!isFloat(node.dtype(*parameter)))
      return makeError(ErrorCode::E0203, "a scale of ", dtypeName(node.dtype(*parameter)), " is not supported");
  for (Value *parameter : {&a, &b, &scale}) {
    KILN_ASSIGN(*parameter, node.cast(*parameter, DType::F32));
  }
  KILN_ASSIGN(Value factor, node.emit("mul", {a, b}));
  KILN_ASSIGN(factor, node.emit("div", {factor, scale}));
  KILN_ASSIGN(Value result, node.cast(product, DType::F32));
  KILN_ASSIGN(result, node.emit("mul", {result, factor}));
  KILN_ASSIGN(result, node.emit("round", {result}));
  KILN_ASSIGN(zero, node.cast(zero, DType::F32));
  KILN_ASSIGN(result, node.emit("add", {result, zero}));
  if (node.rank(result) != node.rank(product))
    return makeError(ErrorCode::E0304, "scales and zero points of rank ", node.rank(result), " for a product of rank ",
                     node.rank(product));
  for (int64_t i = 0; i < node.rank(product); ++i)
    KILN_TRY(node.requireEqual(node.dims(result)[size_t(i)], node.dims(product)[size_t(i)])
                 .withContext("scales and zero points: "));
  return node.cast(result, to); // saturates
}

/// Zero points of A's rows and B's columns.
Result<Value> integerProduct(NodeImport &node, size_t a, size_t zeroOfA, size_t b, size_t zeroOfB) {
  KILN_ASSIGN(Value x, centered(node, node.operand(a), node.operand(zeroOfA), node.rank(node.operand(a)) - 2));
  KILN_ASSIGN(Value y, centered(node, node.operand(b), node.operand(zeroOfB), node.rank(node.operand(b)) - 1));
  return emitMatMul(node, x, y);
}

Status matMulInteger(NodeImport &node) {
  KILN_TRY(node.expectOperands(2, 4));
  return node.setResult(integerProduct(node, 0, 2, 1, 3));
}

Status qLinearMatMul(NodeImport &node) {
  KILN_TRY(node.expectOperands(8, 8));
  KILN_ASSIGN(Value product, integerProduct(node, 0, 2, 3, 5));
  const int64_t rank = node.rank(product);
  const bool rows = node.rank(node.operand(0)) > 1, columns = node.rank(node.operand(3)) > 1;
  // What is left of rows and columns is at the end of the product.
  const int64_t row = rows ? rank - (columns ? 2 : 1) : -1, column = columns ? rank - 1 : -1;
  const auto size = [&](int64_t axis) { return axis >= 0 ? node.dims(product)[size_t(axis)] : SizeExpr(1); };
  KILN_ASSIGN(Value a, along(node, node.operand(1), rank, row, size(row)));
  KILN_ASSIGN(Value b, along(node, node.operand(4), rank, column, size(column)));
  return node.setResult(requantized(node, product, a, b, 6));
}

/// Padding holds the zero point, so it is 0 here.
Status convInteger(NodeImport &node) {
  KILN_TRY(node.expectOperands(2, 4));
  KILN_ASSIGN(Value x, centered(node, node.operand(0), node.operand(2), -1));
  KILN_ASSIGN(Value w, centered(node, node.operand(1), node.operand(3), 0));
  return node.setResult(emitConv(node, x, w, Value()));
}

Status qLinearConv(NodeImport &node) {
  KILN_TRY(node.expectOperands(8, 9));
  KILN_ASSIGN(Value x, centered(node, node.operand(0), node.operand(2), -1));
  KILN_ASSIGN(Value w, centered(node, node.operand(3), node.operand(5), 0));
  Value bias = node.operand(8);
  if (bias && node.dtype(bias) != DType::I32)
    return makeError(ErrorCode::E0305, "the bias is ", dtypeName(node.dtype(bias)), ", expected i32");
  KILN_ASSIGN(Value product, emitConv(node, x, w, bias));
  const int64_t rank = node.rank(product);
  KILN_ASSIGN(Value a, along(node, node.operand(1), rank, -1, SizeExpr(1)));
  KILN_ASSIGN(Value b, along(node, node.operand(4), rank, 1, node.dims(product)[1]));
  return node.setResult(requantized(node, product, a, b, 6));
}

// --- ONNX Runtime's (domain com.microsoft)

/// A product's integers as numbers: times both scales.
Result<Value> unscaled(NodeImport &node, Value product, Value a, Value b) {
  KILN_ASSIGN(product, node.cast(product, DType::F32));
  KILN_ASSIGN(Value factor, node.emit("mul", {a, b}));
  return node.emit("mul", {product, factor});
}

/// Gemm of A with scale and zero point, B with such (one for each column, too), C of integers of both scales, and the
/// scale and zero point of the result; without them it is of f32.
Status qGemm(NodeImport &node) {
  KILN_TRY(node.expectOperands(6, 9));
  KILN_ASSIGN(int64_t transA, node.intAttribute("transA", 0));
  KILN_ASSIGN(int64_t transB, node.intAttribute("transB", 0));
  KILN_ASSIGN(double alpha, node.floatAttribute("alpha", 1));
  for (size_t i : {0, 3})
    if (node.rank(node.operand(i)) != 2)
      return makeError(ErrorCode::E0304, "input ", i, " has rank ", node.rank(node.operand(i)), "; expected 2");
  KILN_ASSIGN(Value x, centered(node, node.operand(0), node.operand(2), -1));
  KILN_ASSIGN(Value w, centered(node, node.operand(3), node.operand(5), transB ? 0 : 1));
  if (transA) {
    KILN_ASSIGN(x, node.transpose(x, {1, 0}));
  }
  if (transB) {
    KILN_ASSIGN(w, node.transpose(w, {1, 0}));
  }
  KILN_ASSIGN(Value product, emitMatMul(node, x, w));
  if (Value c = node.operand(6)) {
    if (node.dtype(c) != DType::I32)
      return makeError(ErrorCode::E0305, "C is ", dtypeName(node.dtype(c)), ", expected i32");
    KILN_ASSIGN(product, node.emit("add", {product, c}));
  }
  KILN_ASSIGN(Value a, along(node, node.operand(1), 2, -1, SizeExpr(1)));
  KILN_ASSIGN(Value b, along(node, node.operand(4), 2, 1, node.dims(product)[1]));
  if (alpha != 1) {
    KILN_ASSIGN(a, node.emit("mul", {a, node.scalar(alpha, DType::F32)}));
  }
  if (node.has(7) && node.has(8))
    return node.setResult(requantized(node, product, a, b, 7));
  return node.setResult(unscaled(node, product, a, b));
}

Status plus(NodeImport &node, Value y, Value bias) {
  return node.setResult(bias ? node.emit("add", {y, bias}) : Result<Value>(y));
}

/// A, B, their scales, their zero points, a bias.
Status matMulIntegerToFloat(NodeImport &node) {
  KILN_TRY(node.expectOperands(4, 7));
  KILN_ASSIGN(Value product, integerProduct(node, 0, 4, 1, 5));
  const int64_t rank = node.rank(product);
  const SizeExpr columns = rank ? node.dims(product).back() : SizeExpr(1);
  KILN_ASSIGN(Value a, along(node, node.operand(2), rank, -1, SizeExpr(1)));
  KILN_ASSIGN(Value b, along(node, node.operand(3), rank, rank - 1, columns));
  KILN_ASSIGN(Value y, unscaled(node, product, a, b));
  return plus(node, y, node.operand(6));
}

/// A of f32, which is quantized by its range; B, its scale, its zero point, a bias.
Status dynamicQuantizeMatMul(NodeImport &node) {
  KILN_TRY(node.expectOperands(3, 5));
  KILN_ASSIGN(DynamicallyQuantized a, quantizeByRange(node, node.operand(0)));
  KILN_ASSIGN(Value x, centered(node, a.elements, a.zero, -1));
  KILN_ASSIGN(Value w, centered(node, node.operand(1), node.operand(3), node.rank(node.operand(1)) - 1));
  KILN_ASSIGN(Value product, emitMatMul(node, x, w));
  const int64_t rank = node.rank(product);
  const SizeExpr columns = rank ? node.dims(product).back() : SizeExpr(1);
  KILN_ASSIGN(Value b, along(node, node.operand(2), rank, rank - 1, columns));
  KILN_ASSIGN(Value y, unscaled(node, product, a.scale, b));
  return plus(node, y, node.operand(4));
}

constexpr OpEntry table[] = {
    {"QuantizeLinear", 10, quantizeLinear},
    {"DequantizeLinear", 10, dequantizeLinear},
    {"DynamicQuantizeLinear", 11, dynamicQuantizeLinear},
    {"MatMulInteger", 10, matMulInteger},
    {"QLinearMatMul", 10, qLinearMatMul},
    {"ConvInteger", 10, convInteger},
    {"QLinearConv", 10, qLinearConv},
    {"QuantizeLinear", 1, quantizeLinear, "com.microsoft"},
    {"DequantizeLinear", 1, dequantizeLinear, "com.microsoft"},
    {"QGemm", 1, qGemm, "com.microsoft"},
    {"MatMulIntegerToFloat", 1, matMulIntegerToFloat, "com.microsoft"},
    {"DynamicQuantizeMatMul", 1, dynamicQuantizeMatMul, "com.microsoft"},
};

} // namespace

std::span<const OpEntry> quantizeOps() { return table; }

} // namespace kiln::onnx
