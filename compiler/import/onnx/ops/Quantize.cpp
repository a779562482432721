// QuantizeLinear and DequantizeLinear, spelled with elementwise ops: so they are fused like any others.
#include "compiler/import/onnx/OpTable.h"

#include <algorithm>

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

constexpr OpEntry table[] = {
    {"QuantizeLinear", 10, quantizeLinear},
    {"DequantizeLinear", 10, dequantizeLinear},
};

} // namespace

std::span<const OpEntry> quantizeOps() { return table; }

} // namespace kiln::onnx
