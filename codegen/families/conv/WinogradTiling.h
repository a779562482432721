// When and how a 3x3 convolution runs as Winograd's minimal filtering: fewer multiplications for more transforms.
#pragma once

#include "codegen/families/conv/Convolution.h"
#include "codegen/families/gemm/Tiling.h"

#include <optional>
#include <vector>

namespace kiln {

struct WinogradTiling {
  int outputs = 4; ///< m of F(m x m, 3 x 3)
  gemm::TileShape tile;
  int blockTiles = 1; ///< tiles (of rows) whose transforms a workgroup holds
  int groups = 0;     ///< groups of tile.panels panels per workgroup; 0: all
  bool split = false; ///< transforms in a launch of their own, through the workspace
  int unroll = 4, prefetch = 0;

  int64_t size() const { return outputs + 2; }         ///< side of an input tile
  int64_t products() const { return size() * size(); } ///< matrix products per tile
  int64_t blockRows() const { return int64_t(tile.rows) * blockTiles; }

  void eachField(auto use) {
    use("winograd", outputs);
    use("rows", tile.rows);
    use("panels", tile.panels);
    use("tiles", blockTiles);
    use("groups", groups);
    use("split", split);
    use("unroll", unroll);
    use("prefetch", prefetch);
  }
};

/// Whether the algorithm can do it at all; sizes may be unknown.
bool mayUseWinograd(const Problem &problem, const Convolution &conv, const TargetInfo &target);
bool isLegalTiling(const WinogradTiling &tiling, const TargetInfo &target);
/// The tiling for F(outputs), where sizes are known.
WinogradTiling winogradTiling(const Convolution &conv, int outputs, const TargetInfo &target);
/// What to use by default; nothing where direct convolution is expected to win.
std::optional<WinogradTiling> defaultWinograd(const Problem &problem, const Convolution &conv,
                                              const TargetInfo &target);
/// Cycles, transforms included; of an unknown number of images, for one.
double winogradCycles(const Convolution &conv, const WinogradTiling &tiling, const TargetInfo &target);
std::vector<WinogradTiling> candidateWinograds(const Problem &problem, const Convolution &conv,
                                               const TargetInfo &target);

} // namespace kiln
