// MatMulNBits (domain com.microsoft): products with weights of few bits, several to a byte, in blocks that have scales
// and zero points of their own. Spelled as they are dequantized, which folds where the weights are constants.
#include "compiler/import/onnx/OpTable.h"
#include "compiler/import/onnx/ops/Shared.h"

namespace kiln::onnx {
namespace {

struct Packing {
  int64_t rows, depth; // of the weights, a row for each column of the product
  int64_t bits, block;
  int64_t blocks() const { return (depth + block - 1) / block; }
};

Result<Packing> readPacking(NodeImport &node) {
  for (const char *name : {"K", "N", "block_size"})
    KILN_TRY(node.requireAttribute(name));
  Packing p{};
  KILN_ASSIGN(p.rows, node.intAttribute("N", 0));
  KILN_ASSIGN(p.depth, node.intAttribute("K", 0));
  KILN_ASSIGN(p.bits, node.intAttribute("bits", 4));
  KILN_ASSIGN(p.block, node.intAttribute("block_size", 0));
  const auto isSize = [](int64_t size) { return size > 0 && size <= INT32_MAX; };
  if (!isSize(p.rows) || !isSize(p.depth))
    return makeError(ErrorCode::E0411, "N is ", p.rows, " and K ", p.depth, "; expected sizes");
  if (p.bits != 2 && p.bits != 4 && p.bits != 8)
    return makeError(ErrorCode::E0203, "weights of ", p.bits, " bits are not supported");
  if (!isSize(p.block) || p.block * p.bits % 8 != 0)
    return makeError(ErrorCode::E0411, "block_size is ", p.block, "; expected one that fills bytes");
  return p;
}

/// An operand of that many elements, under other dims.
Result<Value> shaped(NodeImport &node, size_t index, std::string_view what, const Ints &sizes) {
  Value value = node.operand(index);
  SizeExpr own(1), expected(1);
  for (const SizeExpr &dim : node.dims(value))
    own = own * dim;
  Dims dims;
  for (int64_t size : sizes) {
    dims.push_back(size);
    expected = expected * size;
  }
  KILN_TRY(node.requireEqual(own, expected).withContext("elements of " + std::string(what) + ": "));
  return node.reshape(value, dims);
}

/// Bytes of [rows, n] as the first `count` numbers of each row, lowest bits first.
Result<Value> unpacked(NodeImport &node, Value bytes, const Packing &p, int64_t count) {
  const int64_t each = 8 / p.bits, n = (count + each - 1) / each;
  std::vector<Value> parts;
  for (int64_t part = 0; part < each && each > 1; ++part) {
    Value number = bytes;
    if (part > 0) {
      KILN_ASSIGN(number, node.emit("shift_right", {number, node.scalar(double(part * p.bits), DType::U8)}));
    }
    KILN_ASSIGN(number, node.emit("bitwise_and", {number, node.scalar(double((1 << p.bits) - 1), DType::U8)}));
    KILN_ASSIGN(number, node.reshape(number, {p.rows, n, 1}));
    parts.push_back(number);
  }
  if (parts.empty())
    return bytes;
  KILN_ASSIGN(Value numbers, node.emit("concat", parts, axisOf(2)));
  KILN_ASSIGN(numbers, node.reshape(numbers, {p.rows, n * each}));
  return count == n * each ? Result<Value>(numbers) : node.slice(numbers, 1, 0, count);
}

/// The zero points of [rows, blocks]: packed like the weights, or numbers; the middle where there are none.
Result<Value> zeroPoints(NodeImport &node, const Packing &p) {
  if (!node.has(3))
    return node.scalar(double(1 << (p.bits - 1)), DType::F32);
  const DType dtype = node.dtype(node.operand(3));
  Value zeros;
  if (dtype == DType::U8) {
    KILN_ASSIGN(zeros, shaped(node, 3, "zero_points", {p.rows, (p.blocks() * p.bits + 7) / 8}));
    KILN_ASSIGN(zeros, unpacked(node, zeros, p, p.blocks()));
  } else if (isFloat(dtype)) {
    KILN_ASSIGN(zeros, shaped(node, 3, "zero_points", {p.rows, p.blocks()}));
  } else {
    return makeError(ErrorCode::E0203, "zero points of ", dtypeName(dtype), " are not supported");
  }
  KILN_ASSIGN(zeros, node.cast(zeros, DType::F32));
  return node.reshape(zeros, {p.rows, p.blocks(), 1});
}

/// A, B, scales, zero points, the order of columns, a bias.
Status matMulNBits(NodeImport &node) {
  KILN_TRY(node.expectOperands(3, 6));
  KILN_ASSIGN(Packing p, readPacking(node));
  if (node.has(4))
    return makeError(ErrorCode::E0203, "g_idx, another order of the weights, is not supported");
  Value a = node.operand(0);
  if (!isFloat(node.dtype(a)) || !isFloat(node.dtype(node.operand(2))))
    return makeError(ErrorCode::E0305, "A is ", dtypeName(node.dtype(a)), " and scales are ",
                     dtypeName(node.dtype(node.operand(2))), ", expected floating-point types");
  if (node.dtype(node.operand(1)) != DType::U8)
    return makeError(ErrorCode::E0305, "B is ", dtypeName(node.dtype(node.operand(1))), ", expected u8");
  if (node.rank(a) == 0)
    return makeError(ErrorCode::E0304, "A has rank 0; expected 1 or more");
  KILN_TRY(node.requireEqual(node.dims(a).back(), p.depth).withContext("K: "));

  const int64_t whole = p.blocks() * p.block;
  KILN_ASSIGN(Value w, shaped(node, 1, "B", {p.rows, whole * p.bits / 8}));
  KILN_ASSIGN(w, unpacked(node, w, p, whole));
  KILN_ASSIGN(w, node.reshape(w, {p.rows, p.blocks(), p.block}));
  KILN_ASSIGN(w, node.cast(w, DType::F32));
  KILN_ASSIGN(Value zeros, zeroPoints(node, p));
  KILN_ASSIGN(w, node.emit("sub", {w, zeros}));
  KILN_ASSIGN(Value scales, shaped(node, 2, "scales", {p.rows, p.blocks(), 1}));
  KILN_ASSIGN(scales, node.cast(scales, DType::F32));
  KILN_ASSIGN(w, node.emit("mul", {w, scales}));
  KILN_ASSIGN(w, node.reshape(w, {p.rows, whole}));
  if (whole != p.depth) {
    KILN_ASSIGN(w, node.slice(w, 1, 0, p.depth));
  }
  KILN_ASSIGN(w, node.cast(w, node.dtype(a)));
  KILN_ASSIGN(w, node.transpose(w, {1, 0}));
  KILN_ASSIGN(Value y, emitMatMul(node, a, w));
  if (Value bias = node.operand(5)) {
    KILN_ASSIGN(bias, shaped(node, 5, "the bias", {p.rows}));
    KILN_ASSIGN(y, node.emit("add", {y, bias}));
  }
  return node.setResult(y);
}

constexpr OpEntry table[] = {{"MatMulNBits", 1, matMulNBits, "com.microsoft"}};

} // namespace

std::span<const OpEntry> packedWeightOps() { return table; }

} // namespace kiln::onnx
