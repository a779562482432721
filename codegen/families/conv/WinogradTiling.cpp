#include "codegen/families/conv/WinogradTiling.h"

#include "codegen/Roofline.h"

#include <algorithm>

namespace kiln {

namespace {

int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// Tiles of one call; of one image where only the batch is unknown.
std::optional<int64_t> tileCount(const Convolution &c, int64_t outputs) {
  auto height = c.out[0].asConstant(), width = c.out[1].asConstant();
  if (!height || !width)
    return std::nullopt;
  return c.batch.asConstant().value_or(1) * ceilDiv(*height, outputs) * ceilDiv(*width, outputs);
}

} // namespace

bool mayUseWinograd(const Problem &problem, const Convolution &c, const TargetInfo &target) {
  auto all = [](const std::vector<int64_t> &values, int64_t v) {
    return std::all_of(values.begin(), values.end(), [&](int64_t x) { return x == v; });
  };
  return problem.precision != Precision::Strict && c.types.operand == DType::F32 && c.spatialRank() == 2 &&
         c.constantFilter && c.groups == 1 && all(c.strides, 1) && all(c.dilations, 1) && c.kernel[0].isConstant(3) &&
         c.kernel[1].isConstant(3) && c.channels.constant() % target.lanes(32) == 0 &&
         c.outputs.constant() % gemm::panelColumns == 0;
}

bool isLegalTiling(const WinogradTiling &tiling, const TargetInfo &target) {
  gemm::Tiling product;
  product.tile = tiling.tile;
  product.blockTiles = tiling.blockTiles;
  product.unroll = tiling.unroll;
  product.prefetch = tiling.prefetch;
  return (tiling.outputs == 2 || tiling.outputs == 4) && gemm::isLegalTiling(product, {}, target) &&
         tiling.groups >= 0 && tiling.groups <= 1 << 20;
}

WinogradTiling winogradTiling(const Convolution &c, int outputs, const TargetInfo &target) {
  WinogradTiling tiling;
  tiling.outputs = outputs;
  int64_t channels = c.channels.constant(), columns = c.outputs.constant();
  int64_t tiles = tileCount(c, outputs).value_or(256);
  // Rows of a block: their transforms take a good part of the second-level cache; the more, the less often filters are
  // read.
  int64_t share = tiling.products() * channels * columns * 4 > target.l2Bytes ? target.l2Bytes : target.l2Bytes / 2;
  int64_t fit = std::max<int64_t>(8, share / (tiling.products() * channels * 4));
  int64_t blocks = ceilDiv(tiles, std::min<int64_t>(fit, 64));
  if (tiles > 64)
    blocks = std::max<int64_t>(blocks, std::min<int64_t>(8, tiles / 12));
  gemm::ProductShape shape;
  shape.rows = ceilDiv(tiles, blocks);
  shape.columns = columns;
  shape.depth = channels;
  gemm::Tiling product = gemm::defaultTiling(shape, target);
  tiling.tile = product.tile;
  tiling.unroll = product.unroll;
  tiling.prefetch = product.prefetch;
  tiling.blockTiles = static_cast<int>(ceilDiv(*shape.rows, tiling.tile.rows));
  // Few blocks: workgroups share the transforms and divide the columns.
  blocks = ceilDiv(tiles, tiling.blockRows());
  tiling.split = blocks < 8;
  int64_t groups = ceilDiv(columns, tiling.tile.panels * gemm::panelColumns);
  tiling.groups = tiling.split ? static_cast<int>(std::max<int64_t>(1, groups * blocks / 16)) : 0;
  return tiling;
}

std::optional<WinogradTiling> defaultWinograd(const Problem &problem, const Convolution &c, const TargetInfo &target) {
  if (!mayUseWinograd(problem, c, target) || !tileCount(c, 4))
    return std::nullopt;
  double channels = double(c.channels.constant()), columns = double(c.outputs.constant());
  // Transforms cost the same however few channels share them.
  if (channels < 32 || columns < 32)
    return std::nullopt;
  // Arithmetic, and filters read from memory: a model's other layers have driven them out of the caches. F(4x4) has
  // four times their bytes, which few tiles cannot make up for.
  double multiplyAdds = 5.6e9 * target.lanes(32), transformed = 4.2e9 * target.lanes(32); // per second, all included
  constexpr double bytesPerSecond = 10e9;
  auto seconds = [&](double products, double rows, double rate) {
    return products * channels * columns * (rows / rate + 4 / bytesPerSecond);
  };
  auto pixels = double(*c.out[0].asConstant() * *c.out[1].asConstant() * c.batch.asConstant().value_or(1));
  double best = seconds(9, pixels, multiplyAdds);
  std::optional<WinogradTiling> tiling;
  for (int outputs : {2, 4}) {
    double time = seconds((outputs + 2) * (outputs + 2), double(*tileCount(c, outputs)), transformed);
    if (time < best) {
      best = time;
      tiling = winogradTiling(c, outputs, target);
    }
  }
  return tiling;
}

double winogradCycles(const Convolution &conv, const WinogradTiling &tiling, const TargetInfo &target) {
  double filter = double(tiling.products() * conv.channels.constant() * conv.outputs.constant());
  double tiles = double(tileCount(conv, tiling.outputs).value_or(256));
  // Transforms leave the products two thirds of the peak; filters have grown with the tile.
  return filter * tiles / (2 * target.lanes(32) * 0.66) + Roofline(target).memoryCycles(filter * 4);
}

std::vector<WinogradTiling> candidateWinograds(const Problem &problem, const Convolution &c, const TargetInfo &target) {
  std::vector<WinogradTiling> tilings;
  if (!mayUseWinograd(problem, c, target))
    return tilings;
  auto consider = [&](const WinogradTiling &tiling) {
    if (isLegalTiling(tiling, target) && std::none_of(tilings.begin(), tilings.end(), [&](const WinogradTiling &p) {
          return toConfig(p) == toConfig(tiling);
        }))
      tilings.push_back(tiling);
  };
  for (int outputs : {2, 4}) {
    WinogradTiling base = winogradTiling(c, outputs, target);
    consider(base);
    for (bool split : {false, true})
      for (int tiles : {1, 2, 4})
        for (int groups : {0, 1, 4}) {
          WinogradTiling tiling = base;
          tiling.split = split;
          tiling.blockTiles = tiles;
          tiling.groups = groups;
          consider(tiling);
        }
    for (gemm::TileShape tile : {gemm::TileShape{12, 2}, {8, 3}, {8, 2}, {6, 4}, {6, 1}, {5, 1}, {4, 1}}) {
      WinogradTiling tiling = base;
      tiling.blockTiles = static_cast<int>(std::max<int64_t>(1, base.blockRows() / tile.rows));
      tiling.tile = tile;
      consider(tiling);
    }
  }
  return tilings;
}

} // namespace kiln
