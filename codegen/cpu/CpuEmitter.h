// The emitter for a CPU: kernels are functions of the C calling convention (kiln/kernel_abi.h), and AVX-512 has
// instructions that AVX2 lacks.
#pragma once

#include "codegen/emit/Emitter.h"

namespace kiln::cpu {

class Emitter : public emit::Emitter {
public:
  using emit::Emitter::Emitter;

  bool scalesByPowersOf2(emit::Type type) const override;
  emit::Value scaleByPowerOf2(emit::Value x, emit::Value n) override;
  emit::Value reciprocalEstimate(emit::Value x) override;
  emit::Value multiplyAddPairs(emit::Value a, emit::Value b, emit::Value sum) override;
  emit::Value multiplyAddQuads(emit::Value a, emit::Value b, emit::Value sum) override;
  void configureTiles(emit::Value shapes) override;
  void loadTile(int tile, emit::Value from, emit::Value stride) override;
  void storeTile(int tile, emit::Value to, emit::Value stride) override;
  void clearTile(int tile) override;
  void multiplyAddTiles(int sum, int a, int b, bool isSigned) override;
  void releaseTiles() override;

protected:
  Frame openKernel(mlir::ModuleOp module, llvm::StringRef symbol) override;

private:
  // Whether a value fills a register of AVX-512.
  bool isZmm(emit::Type type) const;
};

} // namespace kiln::cpu
