#include "codegen/families/gemm/Tiling.h"

#include "codegen/Roofline.h"

#include <algorithm>
#include <cmath>

namespace kiln::gemm {

namespace {

int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// Cycles of one K step of a tile: bound by arithmetic, by loads, or by the latency of too few accumulators; and what
/// its bytes of B cost that come from the second-level cache.
double stepCycles(TileShape shape, const ElementTypes &types, const TargetInfo &target) {
  if (types.tileRegisters) {
    double rowTiles = double(shape.rows) / tileRegisterRows, panels = shape.panels;
    return std::max(16 * rowTiles * panels, 12 * (rowTiles + panels)) + 16 * panels;
  }
  double vectors = double(shape.panels * vectorsPerPanel(types, target));
  double widening = types.widensPanels() ? vectors : 0;
  double fma = (shape.rows * vectors + widening) / 2;
  // Pointers beyond the address registers are reloaded at every step.
  double loads = (shape.rows + vectors + std::max(0, shape.rows - 10)) / 2;
  // Many rows crowd the address registers; few accumulators leave no slack to hide latencies in.
  double strained = shape.rows > 12 ? 1.04 : fma < 5 ? 1.08 : 1;
  return std::max({fma, loads, 4.0}) * strained + 0.15 * double(shape.panels * panelColumns * types.panelBytes()) / 64;
}

/// Cycles of a whole product per step of K that a tile takes.
double productCycles(TileShape shape, const ProductShape &product, const TargetInfo &target) {
  double tiles = product.rows ? double(ceilDiv(*product.rows, shape.rows)) : 1000.0 / shape.rows;
  double depth = double(std::max<int64_t>(1, product.depth.value_or(512)));
  depth = std::ceil(depth / product.types.stepsAtOnce());
  int64_t panels = ceilDiv(product.columns.value_or(1024), panelColumns);
  // Around a tile's K loop: the call, the row table, and the epilogue over its vectors.
  auto tileCycles = [&](TileShape s) {
    double vectors = double(s.rows * s.panels * vectorsPerPanel(product.types, target));
    return stepCycles(s, product.types, target) + (50 + 2.5 * vectors) / depth;
  };
  double perTile =
      double(panels / shape.panels) * tileCycles(shape) + double(panels % shape.panels) * tileCycles({shape.rows, 1});
  return tiles * perTile;
}

std::vector<TileShape> legalShapes(const ElementTypes &types, const TargetInfo &target) {
  std::vector<TileShape> shapes;
  if (types.tileRegisters) {
    for (int panels = 1; panels <= mostTileRegisters; ++panels)
      for (int tiles = 1; tiles <= mostTileRegisters; ++tiles)
        shapes.push_back({tiles * tileRegisterRows, panels});
    return shapes;
  }
  int panelVectors = vectorsPerPanel(types, target);
  for (int panels = 1; panels * panelVectors <= 8; ++panels)
    for (int rows = 1; rows <= 16; ++rows)
      if (registersOf({rows, panels}, types, target) <= target.vectorRegisters)
        shapes.push_back({rows, panels});
  return shapes;
}

TileShape bestShape(const ProductShape &product, const TargetInfo &target) {
  TileShape best{1, 1};
  double bestCycles = 0;
  for (TileShape shape : legalShapes(product.types, target)) {
    double cycles = productCycles(shape, product, target);
    if (bestCycles == 0 || cycles < bestCycles * 0.999) {
      best = shape;
      bestCycles = cycles;
    }
  }
  return best;
}

/// Blocks: as large as the caches and a grid of some tens of workgroups allow.
void chooseBlocks(Tiling &tiling, const ProductShape &product, const TargetInfo &target) {
  int64_t rows = product.rows.value_or(512), columns = product.columns.value_or(512);
  int64_t depth = std::max<int64_t>(1, product.depth.value_or(512));
  int64_t tiles = std::max<int64_t>(1, ceilDiv(rows, tiling.tile.rows)); // there may be no rows
  int64_t groups = std::max<int64_t>(1, ceilDiv(columns, tiling.tile.panels * panelColumns));
  double flopsPerTile = 2.0 * tiling.tile.rows * tiling.tile.panels * panelColumns * double(depth);
  // A workgroup does at least this many tiles, for its overhead to vanish, and there are some tens of them.
  int64_t wanted = std::clamp<int64_t>(ceilDiv(tiles * groups, 32), 1, 1 << 20);
  wanted = std::max<int64_t>(wanted, int64_t(1e6 / flopsPerTile));
  int64_t rowBytes =
      ceilDiv(depth, product.rowReuse) * std::min<int64_t>(product.rowReuse, 3) * product.types.rowBytes();
  int64_t fitTiles = std::max<int64_t>(1, target.l2Bytes / 2 / (rowBytes * tiling.tile.rows));
  bool wholeB = depth * columns * product.types.panelBytes() <= target.l2Bytes / 2;
  if (wholeB) {
    tiling.blockGroups = static_cast<int>(std::min<int64_t>(groups, std::max<int64_t>(wanted, 4)));
    tiling.blockTiles = static_cast<int>(std::clamp<int64_t>(ceilDiv(wanted, tiling.blockGroups), 1,
                                                             product.rows ? std::min(tiles, fitTiles) : fitTiles));
  } else {
    // Panels of B come from memory once per block of rows: take as many rows as the cache holds.
    tiling.blockTiles = static_cast<int>(std::min<int64_t>(product.rows ? tiles : 16, fitTiles));
    tiling.blockGroups = static_cast<int>(std::clamp<int64_t>(wanted / tiling.blockTiles, 1, groups));
  }
  tiling.blockTiles = std::min(tiling.blockTiles, 64);
}

} // namespace

bool isLegalTiling(const Tiling &tiling, const ElementTypes &types, const TargetInfo &target) {
  std::vector<TileShape> shapes = legalShapes(types, target);
  bool fits = types.tileRegisters ? std::ranges::find(shapes, tiling.tile) != shapes.end() && tiling.smallRows == 0
                                  : tiling.tile.rows >= 1 && tiling.tile.rows <= 16 && tiling.tile.panels >= 1 &&
                                        registersOf(tiling.tile, types, target) <= target.vectorRegisters;
  return fits && tiling.smallRows >= 0 && tiling.smallRows < tiling.tile.rows && tiling.blockTiles >= 1 &&
         tiling.blockTiles <= 64 && tiling.blockGroups >= 1 && tiling.blockGroups <= 1 << 20 && tiling.unroll >= 1 &&
         tiling.unroll <= 8 && tiling.unroll % types.kPack == 0 && tiling.prefetch >= 0 && tiling.prefetch <= 256;
}

Tiling defaultTiling(const ProductShape &product, const TargetInfo &target) {
  Tiling tiling;
  tiling.tile = bestShape(product, target);
  if (!product.rows && tiling.tile.rows > 4 && !product.types.tileRegisters)
    tiling.smallRows = tiling.tile.rows > 8 ? 4 : 2;
  tiling.unroll = tiling.tile.rows <= 4 || product.types.multipliesQuads() ? 8 : 4;
  tiling.prefetch = product.packed && tiling.tile.rows > 4 && !product.types.tileRegisters ? 24 : 0;
  chooseBlocks(tiling, product, target);
  return tiling;
}

double tilingCycles(const Tiling &tiling, const ProductShape &product, const TargetInfo &target) {
  TileShape tile = tiling.tile;
  if (tiling.smallRows > 0 && *product.rows <= tiling.smallRows)
    tile.rows = tiling.smallRows;
  double depth = double(std::max<int64_t>(1, *product.depth));
  double bytes = double(*product.columns) * depth * double(product.types.panelBytes());
  double blocks = std::ceil(double(*product.rows) / (double(tile.rows) * tiling.blockTiles));
  double again = bytes > double(target.l2Bytes) ? std::max(0.0, blocks - 1) : 0;
  return productCycles(tile, product, target) * depth / product.types.stepsAtOnce() +
         again * Roofline(target).memoryCycles(bytes);
}

std::vector<Tiling> candidateTilings(const ProductShape &product, const TargetInfo &target) {
  std::vector<Tiling> tilings{defaultTiling(product, target)};
  auto consider = [&](const Tiling &tiling) {
    if (isLegalTiling(tiling, product.types, target) &&
        std::none_of(tilings.begin(), tilings.end(), [&](const Tiling &p) { return toConfig(p) == toConfig(tiling); }))
      tilings.push_back(tiling);
  };
  double best = productCycles(tilings[0].tile, product, target);
  for (TileShape shape : legalShapes(product.types, target)) {
    if (productCycles(shape, product, target) > 1.15 * best)
      continue;
    Tiling tiling = tilings[0];
    tiling.tile = shape;
    tiling.smallRows = std::min(tiling.smallRows, shape.rows - 1);
    chooseBlocks(tiling, product, target);
    consider(tiling);
  }
  for (int unroll : {2, 4, 8})
    for (int prefetch : {0, 16, 24, 48}) {
      if (product.types.tileRegisters)
        continue; // have neither
      Tiling tiling = tilings[0];
      tiling.unroll = unroll;
      tiling.prefetch = prefetch;
      consider(tiling);
    }
  for (double tiles : {0.5, 2.0, 4.0})
    for (double groups : {0.5, 1.0, 2.0, 4.0}) {
      Tiling tiling = tilings[0];
      tiling.blockTiles = std::max(1, int(tiling.blockTiles * tiles));
      tiling.blockGroups = std::max(1, int(tiling.blockGroups * groups));
      consider(tiling);
    }
  return tilings;
}

} // namespace kiln::gemm
