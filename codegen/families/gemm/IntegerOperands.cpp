#include "codegen/families/gemm/IntegerOperands.h"

#include "codegen/families/common/Expression.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

namespace kiln::gemm {

using ValueId = Problem::ValueId;

bool isByte(DType dtype) { return dtype == DType::I8 || dtype == DType::U8; }

namespace {

/// All that `id` is made from, itself too, in order of ids.
std::set<ValueId> valuesBelow(const Problem &problem, ValueId id) {
  std::set<ValueId> below;
  std::vector<ValueId> stack{id};
  while (!stack.empty()) {
    ValueId next = stack.back();
    stack.pop_back();
    if (next == Problem::absent || !below.insert(next).second)
      continue;
    if (const Problem::Op *op = problem.producer(next))
      stack.insert(stack.end(), op->operands.begin(), op->operands.end());
  }
  return below;
}

/// Whether `id` is an i32 buffer, or made from buffers of bytes or i32, and numbers, by casts and subtractions.
bool isCentered(const Problem &problem, ValueId id) {
  if (problem.value(id).dtype != DType::I32)
    return false;
  std::vector<int> ops;
  bool readsBuffer = false;
  for (ValueId below : valuesBelow(problem, id)) {
    const Problem::Value &value = problem.value(below);
    const Problem::Op *op = problem.producer(below);
    if ((value.dtype != DType::I32 && !isByte(value.dtype)) || (op && op->mnemonic != "cast" && op->mnemonic != "sub"))
      return false;
    if (op)
      ops.push_back(value.op);
    readsBuffer |= value.isBuffer();
  }
  return readsBuffer && isExpression(problem, ops);
}

} // namespace

std::optional<CenteredBuffer> centeredBuffer(const Problem &problem, ValueId id) {
  CenteredBuffer centered;
  if (const Problem::Op *op = problem.producer(id); op && op->mnemonic == "sub") {
    std::optional<double> zero = problem.value(op->operands[1]).scalar();
    if (!zero || std::fabs(*zero) > 255 || problem.value(op->operands[0]).dims != problem.value(id).dims)
      return std::nullopt;
    centered.zero = static_cast<int>(*zero);
    id = op->operands[0];
  }
  if (const Problem::Op *op = problem.producer(id); op && op->mnemonic == "cast")
    id = op->operands[0];
  const Problem::Value &value = problem.value(id);
  if (!value.isBuffer() || !(value.dtype == DType::I32 || isByte(value.dtype)))
    return std::nullopt;
  centered.buffer = id;
  return centered;
}

/// The buffer that `id` is a widened byte of, the same for all elements.
static ValueId commonByte(const Problem &problem, ValueId id) {
  const Problem::Op *op = problem.producer(id);
  if (!op || op->mnemonic != "cast")
    return Problem::absent;
  const Problem::Value &value = problem.value(op->operands[0]);
  bool isOne = std::ranges::all_of(value.dims, [](const SizeExpr &dim) { return dim.isConstant(1); });
  return value.isBuffer() && isByte(value.dtype) && isOne ? op->operands[0] : Problem::absent;
}

std::optional<ByteRows> byteRows(const Problem &problem, const ElementTypes &types, ValueId a,
                                 const TargetInfo &target) {
  bool isI8 = types.source == DType::I8 ? types.zero == 0 : types.source == DType::U8 && types.zero == 128;
  if (!target.has("vnni") || types.accumulator != DType::I32 || !isI8)
    return std::nullopt;
  ByteRows rows{types};
  std::optional<CenteredBuffer> row = centeredBuffer(problem, a);
  if (const Problem::Op *op = problem.producer(a); !row && op && op->mnemonic == "sub") {
    rows.zero = commonByte(problem, op->operands[1]);
    if (rows.zero != Problem::absent && problem.value(op->operands[0]).dims == problem.value(a).dims)
      row = centeredBuffer(problem, op->operands[0]);
  }
  if (!row || !isByte(problem.value(row->buffer).dtype) || problem.value(row->buffer).dims != problem.value(a).dims)
    return std::nullopt;
  rows.a = row->buffer;
  DType dtype = problem.value(row->buffer).dtype;
  bool isSigned = dtype == DType::I8;
  rows.types.zeroOfRun = rows.zero != Problem::absent;
  // A row of pads is filled with the byte that stands for 0.
  if (rows.types.zeroOfRun ? row->zero != 0 || problem.value(rows.zero).dtype != dtype
                           : row->zero < (isSigned ? -128 : 0) || row->zero > (isSigned ? 127 : 255))
    return std::nullopt;
  rows.types.operand = rows.types.row = dtype;
  rows.types.rowZero = row->zero;
  rows.types.panel = DType::I8;
  rows.types.kPack = 4;
  rows.types.zero = 0;
  return rows;
}

RowZero rowZero(emit::Emitter &e, const ElementTypes &types, emit::Value zero) {
  if (!types.zeroOfRun)
    return {e.index(types.rowExcess()), e.constant(e.i8(), types.rowZero)};
  emit::Value byte = e.load(e.i8(), zero);
  emit::Value number = e.resizeInt(byte, e.i64(), types.row == DType::I8);
  return {e.add(number, e.index(types.rowExcess())), byte};
}

std::optional<ProductOperands> productOperands(const Problem &problem, DType dtype, ValueId a, ValueId b) {
  auto types = ElementTypes::of(dtype);
  if (!types)
    return std::nullopt;
  if (dtype != DType::I32)
    return problem.isBufferOf(dtype, a) && problem.isBufferOf(dtype, b) ? std::optional(ProductOperands{*types, b})
                                                                        : std::nullopt;
  auto centered = centeredBuffer(problem, b);
  if (!centered || !isCentered(problem, a))
    return std::nullopt;
  types->zero = centered->zero;
  types->source = types->panel = problem.value(centered->buffer).dtype;
  return ProductOperands{*types, centered->buffer};
}

bool isReadOnce(const Problem &problem, ValueId id) {
  std::vector<int> uses = problem.useCounts();
  const Problem::Op *op = nullptr;
  do {
    if (uses[static_cast<size_t>(id)] != 1)
      return false;
    op = problem.producer(id);
    if (op)
      id = op->operands[0];
  } while (op);
  return true;
}

std::vector<ValueId> buffersBelow(const Problem &problem, ValueId id) {
  std::vector<ValueId> buffers;
  for (ValueId below : valuesBelow(problem, id))
    if (problem.value(below).isBuffer())
      buffers.push_back(below);
  return buffers;
}

bool fitsI16(const Problem &problem, ValueId id) {
  std::map<ValueId, double> magnitudes; // as far as types and numbers tell
  for (ValueId below : valuesBelow(problem, id)) {
    const Problem::Value &value = problem.value(below);
    const Problem::Op *op = problem.producer(below);
    double &magnitude = magnitudes[below];
    if (std::optional<double> number = value.scalar())
      magnitude = std::fabs(*number);
    else if (op && op->mnemonic == "sub")
      magnitude = magnitudes[op->operands[0]] + magnitudes[op->operands[1]];
    else if (isByte(value.dtype) || (op && op->mnemonic == "cast" && isByte(problem.value(op->operands[0]).dtype)))
      magnitude = 255;
    else
      magnitude = 0x1p31;
  }
  return magnitudes[id] < 0x1p15;
}

} // namespace kiln::gemm
