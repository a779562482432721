// Emitter: memory and whole-vector operations.
#include "codegen/emit/Emitter.h"

#include "runtime/base/Tensor.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"

#include <cassert>

namespace kiln::emit {

namespace arith = mlir::arith;
namespace vector = mlir::vector;
namespace LLVM = mlir::LLVM;

static unsigned elementAlign(Type type) {
  Type element = mlir::getElementTypeOrSelf(type);
  if (llvm::isa<LLVM::LLVMPointerType>(element))
    return 8;
  return std::max(1u, element.getIntOrFloatBitWidth() / 8);
}

Value Emitter::offset(Value pointer, Value elements, int64_t elementBytes) {
  llvm::APInt known;
  if (mlir::matchPattern(elements, mlir::m_ConstantInt(&known)))
    if (std::optional<int64_t> bytes = checkedMul(known.getSExtValue(), elementBytes))
      return offset(pointer, *bytes);
  // A typed gep keeps the scale for the addressing mode; other sizes are multiplied out.
  if (elementBytes == 1 || elementBytes == 2 || elementBytes == 4 || elementBytes == 8)
    return b_.create<LLVM::GEPOp>(loc_, ptr(), integer(unsigned(elementBytes * 8)), pointer, ValueRange{elements});
  return b_.create<LLVM::GEPOp>(loc_, ptr(), i8(), pointer, ValueRange{mul(elements, index(elementBytes))});
}

Value Emitter::offset(Value pointer, int64_t bytes) {
  if (bytes == 0)
    return pointer;
  return b_.create<LLVM::GEPOp>(loc_, ptr(), i8(), pointer, ValueRange{index(bytes)});
}

Value Emitter::load(Type type, Value pointer, unsigned alignBytes) {
  return b_.create<LLVM::LoadOp>(loc_, type, pointer, alignBytes ? alignBytes : elementAlign(type));
}

void Emitter::store(Value value, Value pointer, unsigned alignBytes) {
  b_.create<LLVM::StoreOp>(loc_, value, pointer, alignBytes ? alignBytes : elementAlign(value.getType()));
}

Value Emitter::maskedLoad(Type vectorType, Value pointer, Value mask, Value passThrough) {
  if (!passThrough)
    passThrough = constant(vectorType, 0);
  return b_.create<LLVM::MaskedLoadOp>(loc_, vectorType, pointer, mask, ValueRange{passThrough},
                                       elementAlign(vectorType));
}

void Emitter::maskedStore(Value value, Value pointer, Value mask) {
  b_.create<LLVM::MaskedStoreOp>(loc_, value, pointer, mask, elementAlign(value.getType()));
}

Value Emitter::gather(Type vectorType, Value base, Value indices, Value mask) {
  int64_t n = lanesOf(vectorType);
  Type pointers = LLVM::LLVMFixedVectorType::get(ptr(), unsigned(n));
  Value addresses = b_.create<LLVM::GEPOp>(loc_, pointers, elementOf(vectorType), base, ValueRange{indices});
  if (!mask)
    mask = constant(vec(i1(), n), 1);
  return b_.create<LLVM::masked_gather>(loc_, vectorType, addresses, mask, ValueRange{constant(vectorType, 0)},
                                        elementAlign(vectorType));
}

void Emitter::prefetch(Value pointer, int locality, bool write) {
  b_.create<LLVM::Prefetch>(loc_, pointer, uint32_t(write), uint32_t(locality), uint32_t(1));
}

Value Emitter::stackBuffer(int64_t bytes, int64_t alignBytes) {
  // In the entry block, so that a buffer asked for inside a loop is still one buffer.
  mlir::OpBuilder::InsertionGuard guard(b_);
  b_.setInsertionPointToStart(entry_);
  return b_.create<LLVM::AllocaOp>(loc_, ptr(), i8(), index(bytes), unsigned(alignBytes));
}

Value Emitter::loadAs(DType dtype, int64_t lanes, Value pointer, Value mask) {
  auto raw = [&](Type element) {
    return mask ? maskedLoad(vec(element, lanes), pointer, mask) : load(vec(element, lanes), pointer);
  };
  switch (dtype) {
  case DType::Bool: return cmp(Cmp::ne, raw(i8()), constant(vec(i8(), lanes), 0));
  case DType::F16: {
    Value half = bitcast(raw(integer(16)), vec(b_.getF16Type(), lanes));
    return b_.create<arith::ExtFOp>(loc_, vec(f32(), lanes), half);
  }
  case DType::BF16: {
    Value wide = resizeInt(raw(integer(16)), vec(i32(), lanes), false);
    return bitcast(shl(wide, like(wide, 16)), vec(f32(), lanes));
  }
  case DType::U8:
  case DType::U16:
  case DType::U32:
    return resizeInt(raw(integer(unsigned(dtypeBits(dtype)))), vec(registerType(dtype), lanes), /*isSigned=*/false);
  default: return raw(registerType(dtype));
  }
}

void Emitter::storeAs(DType dtype, Value value, Value pointer, Value mask) {
  int64_t n = lanesOf(value.getType());
  switch (dtype) {
  case DType::Bool: value = resizeInt(value, vec(i8(), n), false); break;
  case DType::U8:
  case DType::U16:
  case DType::U32: value = resizeInt(value, vec(integer(unsigned(dtypeBits(dtype))), n)); break;
  case DType::F16:
    value = bitcast(b_.create<arith::TruncFOp>(loc_, vec(b_.getF16Type(), n), value), vec(integer(16), n));
    break;
  case DType::BF16: {
    // Round to nearest even on the bits; a NaN keeps its upper payload and stays quiet.
    Value bits = bitcast(value, vec(i32(), n));
    Value odd = bitAnd(shrUnsigned(bits, like(bits, 16)), like(bits, 1));
    Value rounded = add(bits, add(odd, like(bits, 0x7fff)));
    Value kept = select(isNan(value), bitOr(bits, like(bits, 0x400000)), rounded);
    value = resizeInt(shrUnsigned(kept, like(kept, 16)), vec(integer(16), n), false);
    break;
  }
  default: break;
  }
  if (mask)
    maskedStore(value, pointer, mask);
  else
    store(value, pointer);
}

// --- Vectors -------------------------------------------------------------------------------------------------------

Value Emitter::splat(Value scalar, int64_t lanes) {
  if (lanes == 0)
    return scalar;
  return b_.create<vector::SplatOp>(loc_, vec(scalar.getType(), lanes), scalar);
}

Value Emitter::iota(Type vectorType) {
  llvm::SmallVector<int64_t> values;
  for (int64_t i = 0; i < lanesOf(vectorType); ++i)
    values.push_back(i);
  if (!isFloat(vectorType))
    return constantVector(elementOf(vectorType), values);
  return intToFloat(constantVector(i32(), values), vectorType);
}

Value Emitter::tailMask(int64_t lanes, Value count, unsigned elementBits) {
  // Compared in the width of the data so that AVX2's sign-bit masks need no conversion; the count is clamped to fit.
  Type element = integer(elementBits < 32 ? 32 : elementBits);
  Value clamped = min(count, index(lanes));
  Value n = bitsOf(element) == 64 ? clamped : resizeInt(clamped, element);
  return cmp(Cmp::lt, iota(vec(element, lanes)), splat(n, lanes));
}

Value Emitter::extract(Value vector, int64_t lane) { return b_.create<vector::ExtractOp>(loc_, vector, lane); }

Value Emitter::extract(Value vector, Value lane) { return b_.create<vector::ExtractElementOp>(loc_, vector, lane); }

Value Emitter::insert(Value scalar, Value vector, int64_t lane) {
  return b_.create<vector::InsertOp>(loc_, scalar, vector, lane);
}

Value Emitter::shuffle(Value a, Value b, llvm::ArrayRef<int64_t> lanes) {
  return b_.create<vector::ShuffleOp>(loc_, a, b, lanes);
}

// Halves the vector until one lane is left: a fixed order, so results do not depend on the compiler's choice.
template <typename Combine> static Value reduceTree(Emitter &e, Value v, Combine combine) {
  int64_t n = Emitter::lanesOf(v.getType());
  assert((n & (n - 1)) == 0 && "only powers of two");
  for (; n > 1; n /= 2) {
    llvm::SmallVector<int64_t> low, high;
    for (int64_t i = 0; i < n / 2; ++i) {
      low.push_back(i);
      high.push_back(n / 2 + i);
    }
    v = combine(e.shuffle(v, v, low), e.shuffle(v, v, high));
  }
  return n == 1 ? e.extract(v, 0) : v;
}

Value Emitter::reduceAdd(Value v) {
  return reduceTree(*this, v, [&](Value a, Value b) { return add(a, b); });
}
Value Emitter::reduceMul(Value v) {
  return reduceTree(*this, v, [&](Value a, Value b) { return mul(a, b); });
}
Value Emitter::reduceMin(Value v) {
  return reduceTree(*this, v, [&](Value a, Value b) { return min(a, b); });
}
Value Emitter::reduceMax(Value v) {
  return reduceTree(*this, v, [&](Value a, Value b) { return max(a, b); });
}

} // namespace kiln::emit
