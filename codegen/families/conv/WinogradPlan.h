// When and how a 3x3 convolution runs as Winograd's minimal filtering: fewer multiplications for more transforms.
#pragma once

#include "codegen/KernelFamily.h"
#include "codegen/families/conv/Convolution.h"
#include "codegen/families/gemm/TilePlan.h"

#include <optional>
#include <vector>

namespace kiln {

struct WinogradPlan {
  int outputs = 4; ///< m of F(m x m, 3 x 3)
  gemm::TileShape tile;
  int blockTiles = 1; ///< tiles (of rows) whose transforms a workgroup holds
  int groups = 0;     ///< groups of tile.panels panels per workgroup; 0: all
  bool split = false; ///< transforms in a launch of their own, through the workspace
  int unroll = 4, prefetch = 0;

  int64_t size() const { return outputs + 2; }         ///< side of an input tile
  int64_t products() const { return size() * size(); } ///< matrix products per tile
  int64_t blockRows() const { return int64_t(tile.rows) * blockTiles; }

  Config config() const;
  static WinogradPlan fromConfig(const Config &config);
};

/// Whether the algorithm can do it at all; sizes may be unknown.
bool mayUseWinograd(const Problem &problem, const Convolution &conv, const TargetInfo &target);
bool isLegalPlan(const WinogradPlan &plan, const TargetInfo &target);
/// The plan for F(outputs), where sizes are known.
WinogradPlan winogradPlan(const Convolution &conv, int outputs, const TargetInfo &target);
/// What to use by default; nothing where direct convolution is expected to win.
std::optional<WinogradPlan> defaultWinograd(const Problem &problem, const Convolution &conv, const TargetInfo &target);
std::vector<WinogradPlan> candidateWinograds(const Problem &problem, const Convolution &conv, const TargetInfo &target);

} // namespace kiln
