#include "codegen/cpu/CpuEmitter.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

namespace kiln::cpu {

namespace LLVM = mlir::LLVM;
using emit::Type;
using emit::Value;

bool Emitter::isZmm(Type type) const {
  return target().vectorBits == 512 && lanesOf(type) == 512 / int64_t(bitsOf(type));
}

bool Emitter::scalesByPowersOf2(Type type) const { return isZmm(type); }

Value Emitter::scaleByPowerOf2(Value x, Value n) {
  Type type = x.getType();
  if (!scalesByPowersOf2(type))
    return {};
  const char *name = bitsOf(type) == 32 ? "llvm.x86.avx512.mask.scalef.ps.512" : "llvm.x86.avx512.mask.scalef.pd.512";
  constexpr int currentRounding = 4;
  Value all = constant(integer(unsigned(lanesOf(type))), -1);
  return intrinsic(name, type, {x, n, x, all, constant(i32(), currentRounding)});
}

Value Emitter::reciprocalEstimate(Value x) {
  Type type = x.getType();
  if (!isZmm(type) || bitsOf(type) != 32)
    return {};
  return intrinsic("llvm.x86.avx512.rcp14.ps.512", type, {x, x, constant(integer(16), -1)});
}

Value Emitter::multiplyAddPairs(Value a, Value b, Value sum) {
  int64_t bits = lanesOf(sum.getType()) * 32;
  if (bits != target().vectorBits)
    return emit::Emitter::multiplyAddPairs(a, b, sum);
  if (target().has("vnni"))
    return intrinsic("llvm.x86.avx512.vpdpwssd.512", sum.getType(), {sum, a, b});
  Type halves = vec(integer(16), bits / 16);
  const char *name = bits == 512 ? "llvm.x86.avx512.pmaddw.d.512" : "llvm.x86.avx2.pmadd.wd";
  return add(sum, intrinsic(name, sum.getType(), {bitcast(a, halves), bitcast(b, halves)}));
}

Value Emitter::multiplyAddQuads(Value a, Value b, Value sum) {
  if (!target().has("vnni") || !isZmm(sum.getType()))
    return emit::Emitter::multiplyAddQuads(a, b, sum);
  return intrinsic("llvm.x86.avx512.vpdpbusd.512", sum.getType(), {sum, a, b});
}

void Emitter::configureTiles(Value shapes) { intrinsic("llvm.x86.ldtilecfg", shapes); }

void Emitter::loadTile(int tile, Value from, Value stride) {
  intrinsic("llvm.x86.tileloadd64", {constant(i8(), tile), from, stride});
}

void Emitter::storeTile(int tile, Value to, Value stride) {
  intrinsic("llvm.x86.tilestored64", {constant(i8(), tile), to, stride});
}

void Emitter::clearTile(int tile) { intrinsic("llvm.x86.tilezero", constant(i8(), tile)); }

void Emitter::multiplyAddTiles(int sum, int a, int b, bool isSigned) {
  intrinsic(isSigned ? "llvm.x86.tdpbssd" : "llvm.x86.tdpbusd",
            {constant(i8(), sum), constant(i8(), a), constant(i8(), b)});
}

void Emitter::releaseTiles() { intrinsic("llvm.x86.tilerelease", {}); }

Emitter::Frame Emitter::openKernel(mlir::ModuleOp module, llvm::StringRef symbol) {
  mlir::OpBuilder &b = builder();
  mlir::OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToEnd(module.getBody());
  auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(b.getContext()), {ptr(), i64(), i64()});
  auto function = b.create<LLVM::LLVMFuncOp>(loc(), symbol, type, LLVM::Linkage::External);
  mlir::Block *entry = function.addEntryBlock(b);
  return {function, entry, entry->getArgument(0), entry->getArgument(1), entry->getArgument(2)};
}

} // namespace kiln::cpu
