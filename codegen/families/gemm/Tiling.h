// How a product [rows x depth] * [depth x columns] is cut: the register tile, the block of tiles one workgroup
// computes, and the inner kernel's options. It is what configurations of matmul and conv hold.
#pragma once

#include "codegen/families/common/ConfigFields.h"
#include "codegen/families/gemm/RegisterTile.h"

#include <optional>
#include <vector>

namespace kiln::gemm {

/// The product as the tiling sees it. Sizes unknown at compile time are absent.
struct ProductShape {
  ElementTypes types;
  std::optional<int64_t> rows, columns, depth;
  /// How often an element of A takes part per depth step of its row: kernel taps of a convolution.
  int64_t rowReuse = 1;
  bool packed = true;    ///< B in panels (else the tiling may choose)
  bool constantB = true; ///< B does not change from run to run
};

struct Tiling {
  TileShape tile;
  int smallRows = 0;   ///< a second tile for at most that many rows; 0: none
  int blockTiles = 1;  ///< tiles (of rows) per workgroup
  int blockGroups = 1; ///< groups of tile.panels panels per workgroup
  int unroll = 4;
  int prefetch = 0;

  void eachField(auto use) {
    use("rows", tile.rows);
    use("panels", tile.panels);
    use("small", smallRows);
    use("tiles", blockTiles);
    use("groups", blockGroups);
    use("unroll", unroll);
    use("prefetch", prefetch);
  }
};

bool isLegalTiling(const Tiling &tiling, const ElementTypes &types, const TargetInfo &target);
Tiling defaultTiling(const ProductShape &shape, const TargetInfo &target);
/// Cycles of the product, all of whose sizes are known; panels that the second-level cache does not keep come anew for
/// each block of rows.
double tilingCycles(const Tiling &tiling, const ProductShape &product, const TargetInfo &target);
std::vector<Tiling> candidateTilings(const ProductShape &shape, const TargetInfo &target);

} // namespace kiln::gemm
