// How a product [rows x depth] * [depth x columns] is cut: the register tile, the block of tiles one workgroup
// computes, and the inner kernel's options. It is what configurations of matmul and conv hold.
#pragma once

#include "codegen/KernelFamily.h"
#include "codegen/families/gemm/RegisterTile.h"

#include <optional>
#include <vector>

namespace kiln::gemm {

/// The product as the plan sees it. Sizes unknown at compile time are absent.
struct ProductShape {
  std::optional<int64_t> rows, columns, depth;
  int64_t rowReuse =
      1;              ///< how often an element of A takes part per depth step of its row: kernel taps of a convolution
  bool packed = true; ///< B in panels (else the plan may choose)
  bool constantB = true; ///< B does not change from run to run
};

struct TilePlan {
  TileShape tile;
  int smallRows = 0;   ///< a second tile for at most that many rows; 0: none
  int blockTiles = 1;  ///< tiles (of rows) per workgroup
  int blockGroups = 1; ///< groups of tile.panels panels per workgroup
  int unroll = 4;
  int prefetch = 0;

  Config config() const;
  static TilePlan fromConfig(const Config &config);
};

bool isLegalPlan(const TilePlan &plan, const TargetInfo &target);
TilePlan defaultPlan(const ProductShape &shape, const TargetInfo &target);
std::vector<TilePlan> candidatePlans(const ProductShape &shape, const TargetInfo &target);

} // namespace kiln::gemm
