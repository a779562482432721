// The loop nest around the register tile: workgroup -> block of tiles -> groups of panels -> tiles, with row-pointer
// tables in scratch and the epilogue after each tile. Sizes may all be run-time values.
#pragma once

#include "codegen/families/common/Pricing.h"
#include "codegen/families/gemm/Epilogue.h"
#include "codegen/families/gemm/Tiling.h"
#include "runtime/base/Tensor.h"

namespace kiln::gemm {

/// Sizes of one product of a batch (or group), as the host computes grids and scratch from them.
struct NestSizes {
  SizeExpr rows, columns;
  SizeExpr taps = 1;  ///< outer steps of the depth: a row pointer each
  SizeExpr inner;     ///< inner steps of the depth: consecutive elements of a row
  SizeExpr batch = 1; ///< independent products: the slowest part of the grid
};

/// What the host has to know of a nest.
struct NestShape {
  Tiling tiling;
  NestSizes sizes;
  ElementTypes types;
  bool sharesWidened = false; ///< blocks of several tiles widen the panels of a group once, into scratch

  SizeExpr grid() const;
  /// Bytes of the tile, the tables and widened panels; the family's own scratch follows.
  SizeExpr scratchBytes() const;
  int64_t tableRowBytes() const { return alignUp(tiling.tile.rows, 8) * 8; }

  SizeExpr panelCount() const { return SizeExpr::ceilDiv(sizes.columns, panelColumns); }
  SizeExpr tileCount() const { return SizeExpr::ceilDiv(sizes.rows, tiling.tile.rows); }
  SizeExpr groupCount() const { return SizeExpr::ceilDiv(panelCount(), tiling.tile.panels); }
  int64_t panelStepBytes() const { return panelColumns * types.panelBytes(); }
  SizeExpr panelBytes() const { return totalDepth() * panelStepBytes() + sumsBytes(types); }
  /// Of the sums behind a panel.
  static int64_t sumsBytes(const ElementTypes &types) { return types.multipliesQuads() ? panelColumns * 4 : 0; }
  SizeExpr totalDepth() const { return sizes.taps * sizes.inner; }
  SizeExpr widenedBytes() const;
  int64_t tileRowBytes(int panels) const { return panels * panelColumns * types.accumulatorBytes(); }
  /// Of all products of the batch.
  double cycles(const PricedProblem &priced) const;
  int64_t tileBytes() const { return alignUp(tiling.tile.rows * tileRowBytes(tiling.tile.panels), 64); }
};

struct NestOptions {
  bool packed = true; ///< B in panels, else row-major with a multiple of 16 columns
  bool contiguousA = true;
};

/// Whether sharesWidened pays: panels of a narrow type whose widened group stays in the second-level cache.
bool paysToShareWidened(const NestShape &nest, const TargetInfo &target);

/// The local functions of a nest; to be emitted before the kernel is opened.
class Nest : private NestShape {
public:
  Nest(emit::Emitter &e, const NestShape &shape, const NestOptions &options);

  /// What the family supplies, all emitted inside the open kernel.
  struct Operands {
    /// Writes the row pointers of the tile of rows row0 .. row0 + tile.rows - 1 (rows from the count on must be
    /// readable) to `table`: tap t, row i at t * tableRowBytes() + i * 8.
    std::function<void(emit::Value batch, emit::Value row0, emit::Value table)> fillTable;
    /// First byte of panel `panel` (unpacked: of column 16 * panel of the first row).
    std::function<emit::Value(emit::Value batch, emit::Value panel)> panel;
    emit::Value bStep;     ///< unpacked: bytes from one row of B to the next; packed: ignored
    emit::Value rowExcess; ///< rowZero(), where ElementTypes::zeroOfRun
    emit::Value aStep;     ///< bytes of one step of A where it is not contiguous; for tile registers, of one row
    /// Row and column of the product's element (0, 0) in the epilogue's output.
    std::function<EpilogueRow(emit::Value batch)> origin;
  };
  void emit(const Operands &operands, Epilogue &epilogue);

private:
  struct Kernels {
    emit::LocalFunction full, small;
  };
  /// For panels as they are packed, and for widened ones.
  struct KernelSet {
    ElementTypes types;
    Kernels whole, tail;
  };
  KernelSet emitKernelSet(const ElementTypes &types, const std::string &suffix);
  Kernels emitKernels(const ElementTypes &types, int panels, const std::string &name);
  void emitGroup(const Operands &operands, Epilogue &epilogue, int panels, emit::Value batch, emit::Value panel,
                 emit::Value tile0, emit::Value tiles);
  void emitTiles(const Operands &operands, Epilogue &epilogue, const KernelSet &set, int panels, emit::Value batch,
                 emit::Value panel, emit::Value tile0, emit::Value tiles);
  emit::Value tableOf(emit::Value tileInBlock);
  emit::Value widenedPanels();

  emit::Emitter &e;
  NestOptions options;
  bool hasTail, hasWhole;
  std::optional<KernelSet> direct, widened;
};

} // namespace kiln::gemm
