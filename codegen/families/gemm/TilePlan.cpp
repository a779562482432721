#include "codegen/families/gemm/TilePlan.h"

#include <algorithm>
#include <cmath>

namespace kiln::gemm {

namespace {

int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// Cycles of one K step of a tile: bound by arithmetic, by loads, or by the latency of too few accumulators; and what
/// its bytes of B cost that come from the second-level cache.
double stepCycles(TileShape shape, const TargetInfo &target) {
  double vectors = double(shape.panels * panelColumns / target.lanes(32));
  double fma = shape.rows * vectors / 2;
  // Pointers beyond the address registers are reloaded at every step.
  double loads = (shape.rows + vectors + std::max(0, shape.rows - 10)) / 2;
  // Many rows crowd the address registers; few accumulators leave no slack to hide latencies in.
  double strained = shape.rows > 12 ? 1.04 : fma < 5 ? 1.08 : 1;
  return std::max({fma, loads, 4.0}) * strained + 0.15 * double(shape.panels * panelColumns) / 16;
}

/// Cycles of a whole product per step of K.
double productCycles(TileShape shape, const ProductShape &product, const TargetInfo &target) {
  double tiles = product.rows ? double(ceilDiv(*product.rows, shape.rows)) : 1000.0 / shape.rows;
  double depth = double(std::max<int64_t>(1, product.depth.value_or(512)));
  int64_t panels = ceilDiv(product.columns.value_or(1024), panelColumns);
  // Around a tile's K loop: the call, the row table, and the epilogue over its vectors.
  auto tileCycles = [&](TileShape s) {
    double vectors = double(s.rows * s.panels * panelColumns / target.lanes(32));
    return stepCycles(s, target) + (50 + 2.5 * vectors) / depth;
  };
  double perTile =
      double(panels / shape.panels) * tileCycles(shape) + double(panels % shape.panels) * tileCycles({shape.rows, 1});
  return tiles * perTile;
}

std::vector<TileShape> legalShapes(const TargetInfo &target) {
  std::vector<TileShape> shapes;
  int panelVectors = static_cast<int>(panelColumns / target.lanes(32));
  for (int panels = 1; panels * panelVectors <= 8; ++panels)
    for (int rows = 1; rows <= 16; ++rows)
      if (registersOf({rows, panels}, target) <= target.vectorRegisters)
        shapes.push_back({rows, panels});
  return shapes;
}

TileShape bestShape(const ProductShape &product, const TargetInfo &target) {
  TileShape best{1, 1};
  double bestCycles = 0;
  for (TileShape shape : legalShapes(target)) {
    double cycles = productCycles(shape, product, target);
    if (bestCycles == 0 || cycles < bestCycles * 0.999) {
      best = shape;
      bestCycles = cycles;
    }
  }
  return best;
}

/// Blocks: as large as the caches and a grid of some tens of workgroups allow.
void chooseBlocks(TilePlan &plan, const ProductShape &product, const TargetInfo &target) {
  int64_t rows = product.rows.value_or(512), columns = product.columns.value_or(512);
  int64_t depth = std::max<int64_t>(1, product.depth.value_or(512));
  int64_t tiles = std::max<int64_t>(1, ceilDiv(rows, plan.tile.rows)); // there may be no rows
  int64_t groups = std::max<int64_t>(1, ceilDiv(columns, plan.tile.panels * panelColumns));
  double flopsPerTile = 2.0 * plan.tile.rows * plan.tile.panels * panelColumns * double(depth);
  // A workgroup does at least this many tiles, for its overhead to vanish, and there are some tens of them.
  int64_t wanted = std::clamp<int64_t>(ceilDiv(tiles * groups, 32), 1, 1 << 20);
  wanted = std::max<int64_t>(wanted, int64_t(1e6 / flopsPerTile));
  int64_t rowBytes = ceilDiv(depth, product.rowReuse) * std::min<int64_t>(product.rowReuse, 3) * 4;
  int64_t fitTiles = std::max<int64_t>(1, target.l2Bytes / 2 / (rowBytes * plan.tile.rows));
  bool wholeB = depth * columns * 4 <= target.l2Bytes / 2;
  if (wholeB) {
    plan.blockGroups = static_cast<int>(std::min<int64_t>(groups, std::max<int64_t>(wanted, 4)));
    plan.blockTiles = static_cast<int>(
        std::clamp<int64_t>(ceilDiv(wanted, plan.blockGroups), 1, product.rows ? std::min(tiles, fitTiles) : fitTiles));
  } else {
    // Panels of B come from memory once per block of rows: take as many rows as the cache holds.
    plan.blockTiles = static_cast<int>(std::min<int64_t>(product.rows ? tiles : 16, fitTiles));
    plan.blockGroups = static_cast<int>(std::clamp<int64_t>(wanted / plan.blockTiles, 1, groups));
  }
  plan.blockTiles = std::min(plan.blockTiles, 64);
}

} // namespace

Config TilePlan::config() const {
  Config c;
  c.set("rows", tile.rows);
  c.set("panels", tile.panels);
  c.set("small", smallRows);
  c.set("tiles", blockTiles);
  c.set("groups", blockGroups);
  c.set("unroll", unroll);
  c.set("prefetch", prefetch);
  return c;
}

TilePlan TilePlan::fromConfig(const Config &c) {
  TilePlan plan;
  plan.tile = {static_cast<int>(c.getInt("rows")), static_cast<int>(c.getInt("panels"))};
  plan.smallRows = static_cast<int>(c.getInt("small"));
  plan.blockTiles = static_cast<int>(c.getInt("tiles"));
  plan.blockGroups = static_cast<int>(c.getInt("groups"));
  plan.unroll = static_cast<int>(c.getInt("unroll"));
  plan.prefetch = static_cast<int>(c.getInt("prefetch"));
  return plan;
}

bool isLegalPlan(const TilePlan &plan, const TargetInfo &target) {
  return plan.tile.rows >= 1 && plan.tile.rows <= 16 && plan.tile.panels >= 1 && plan.smallRows >= 0 &&
         plan.smallRows < plan.tile.rows && registersOf(plan.tile, target) <= target.vectorRegisters &&
         plan.blockTiles >= 1 && plan.blockTiles <= 64 && plan.blockGroups >= 1 && plan.blockGroups <= 1 << 20 &&
         plan.unroll >= 1 && plan.unroll <= 8 && plan.prefetch >= 0 && plan.prefetch <= 256;
}

TilePlan defaultPlan(const ProductShape &product, const TargetInfo &target) {
  TilePlan plan;
  plan.tile = bestShape(product, target);
  if (!product.rows && plan.tile.rows > 4)
    plan.smallRows = plan.tile.rows > 8 ? 4 : 2;
  plan.unroll = plan.tile.rows <= 4 ? 8 : 4;
  plan.prefetch = product.packed && plan.tile.rows > 4 ? 24 : 0;
  chooseBlocks(plan, product, target);
  return plan;
}

std::vector<TilePlan> candidatePlans(const ProductShape &product, const TargetInfo &target) {
  std::vector<TilePlan> plans{defaultPlan(product, target)};
  auto consider = [&](const TilePlan &plan) {
    if (isLegalPlan(plan, target) &&
        std::none_of(plans.begin(), plans.end(), [&](const TilePlan &p) { return p.config() == plan.config(); }))
      plans.push_back(plan);
  };
  double best = productCycles(plans[0].tile, product, target);
  for (TileShape shape : legalShapes(target)) {
    if (productCycles(shape, product, target) > 1.15 * best)
      continue;
    TilePlan plan = plans[0];
    plan.tile = shape;
    plan.smallRows = std::min(plan.smallRows, shape.rows - 1);
    chooseBlocks(plan, product, target);
    consider(plan);
  }
  for (int unroll : {2, 4, 8})
    for (int prefetch : {0, 16, 24, 48}) {
      TilePlan plan = plans[0];
      plan.unroll = unroll;
      plan.prefetch = prefetch;
      consider(plan);
    }
  for (double tiles : {0.5, 2.0, 4.0})
    for (double groups : {0.5, 1.0, 2.0, 4.0}) {
      TilePlan plan = plans[0];
      plan.blockTiles = std::max(1, int(plan.blockTiles * tiles));
      plan.blockGroups = std::max(1, int(plan.blockGroups * groups));
      consider(plan);
    }
  return plans;
}

} // namespace kiln::gemm
