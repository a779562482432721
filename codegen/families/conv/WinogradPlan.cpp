#include "codegen/families/conv/WinogradPlan.h"

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

Config WinogradPlan::config() const {
  Config c;
  c.set("winograd", outputs);
  c.set("rows", tile.rows);
  c.set("panels", tile.panels);
  c.set("tiles", blockTiles);
  c.set("groups", groups);
  c.set("split", split);
  c.set("unroll", unroll);
  c.set("prefetch", prefetch);
  return c;
}

WinogradPlan WinogradPlan::fromConfig(const Config &c) {
  WinogradPlan plan;
  plan.outputs = static_cast<int>(c.getInt("winograd"));
  plan.tile = {static_cast<int>(c.getInt("rows")), static_cast<int>(c.getInt("panels"))};
  plan.blockTiles = static_cast<int>(c.getInt("tiles"));
  plan.groups = static_cast<int>(c.getInt("groups"));
  plan.split = c.getBool("split");
  plan.unroll = static_cast<int>(c.getInt("unroll"));
  plan.prefetch = static_cast<int>(c.getInt("prefetch"));
  return plan;
}

bool mayUseWinograd(const Problem &problem, const Convolution &c, const TargetInfo &target) {
  auto all = [](const std::vector<int64_t> &values, int64_t v) {
    return std::all_of(values.begin(), values.end(), [&](int64_t x) { return x == v; });
  };
  return problem.precision != Precision::Strict && c.spatialRank() == 2 && c.constantFilter && c.groups == 1 &&
         all(c.strides, 1) && all(c.dilations, 1) && c.kernel[0].isConstant(3) && c.kernel[1].isConstant(3) &&
         c.channels.constant() % target.lanes(32) == 0 && c.outputs.constant() % gemm::panelColumns == 0;
}

bool isLegalPlan(const WinogradPlan &plan, const TargetInfo &target) {
  gemm::TilePlan product;
  product.tile = plan.tile;
  product.blockTiles = plan.blockTiles;
  product.unroll = plan.unroll;
  product.prefetch = plan.prefetch;
  return (plan.outputs == 2 || plan.outputs == 4) && gemm::isLegalPlan(product, target) && plan.groups >= 0 &&
         plan.groups <= 1 << 20;
}

WinogradPlan winogradPlan(const Convolution &c, int outputs, const TargetInfo &target) {
  WinogradPlan plan;
  plan.outputs = outputs;
  int64_t channels = c.channels.constant(), columns = c.outputs.constant();
  int64_t tiles = tileCount(c, outputs).value_or(256);
  // Rows of a block: their transforms take a good part of the second-level cache; the more, the less often filters are
  // read.
  int64_t share = plan.products() * channels * columns * 4 > target.l2Bytes ? target.l2Bytes : target.l2Bytes / 2;
  int64_t fit = std::max<int64_t>(8, share / (plan.products() * channels * 4));
  int64_t blocks = ceilDiv(tiles, std::min<int64_t>(fit, 64));
  if (tiles > 64)
    blocks = std::max<int64_t>(blocks, std::min<int64_t>(8, tiles / 12));
  gemm::ProductShape shape;
  shape.rows = ceilDiv(tiles, blocks);
  shape.columns = columns;
  shape.depth = channels;
  gemm::TilePlan product = gemm::defaultPlan(shape, target);
  plan.tile = product.tile;
  plan.unroll = product.unroll;
  plan.prefetch = product.prefetch;
  plan.blockTiles = static_cast<int>(ceilDiv(*shape.rows, plan.tile.rows));
  // Few blocks: workgroups share the transforms and divide the columns.
  blocks = ceilDiv(tiles, plan.blockRows());
  plan.split = blocks < 8;
  int64_t groups = ceilDiv(columns, plan.tile.panels * gemm::panelColumns);
  plan.groups = plan.split ? static_cast<int>(std::max<int64_t>(1, groups * blocks / 16)) : 0;
  return plan;
}

std::optional<WinogradPlan> defaultWinograd(const Problem &problem, const Convolution &c, const TargetInfo &target) {
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
  std::optional<WinogradPlan> plan;
  for (int outputs : {2, 4}) {
    double time = seconds((outputs + 2) * (outputs + 2), double(*tileCount(c, outputs)), transformed);
    if (time < best) {
      best = time;
      plan = winogradPlan(c, outputs, target);
    }
  }
  return plan;
}

std::vector<WinogradPlan> candidateWinograds(const Problem &problem, const Convolution &c, const TargetInfo &target) {
  std::vector<WinogradPlan> plans;
  if (!mayUseWinograd(problem, c, target))
    return plans;
  auto consider = [&](const WinogradPlan &plan) {
    if (isLegalPlan(plan, target) &&
        std::none_of(plans.begin(), plans.end(), [&](const WinogradPlan &p) { return p.config() == plan.config(); }))
      plans.push_back(plan);
  };
  for (int outputs : {2, 4}) {
    WinogradPlan base = winogradPlan(c, outputs, target);
    consider(base);
    for (bool split : {false, true})
      for (int tiles : {1, 2, 4})
        for (int groups : {0, 1, 4}) {
          WinogradPlan plan = base;
          plan.split = split;
          plan.blockTiles = tiles;
          plan.groups = groups;
          consider(plan);
        }
    for (gemm::TileShape tile : {gemm::TileShape{12, 2}, {8, 3}, {8, 2}, {6, 4}, {6, 1}, {5, 1}, {4, 1}}) {
      WinogradPlan plan = base;
      plan.blockTiles = static_cast<int>(std::max<int64_t>(1, base.blockRows() / tile.rows));
      plan.tile = tile;
      consider(plan);
    }
  }
  return plans;
}

} // namespace kiln
