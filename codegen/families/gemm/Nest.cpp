#include "codegen/families/gemm/Nest.h"

#include "codegen/families/gemm/Panels.h"
#include "runtime/base/PlantedBug.h"

namespace kiln::gemm {

using namespace emit;

/// Tiles of a block from which on widening once costs less than widening for each.
static constexpr int64_t sharingTiles = 3;

double NestShape::cycles(const PricedProblem &priced) const {
  ProductShape product;
  product.types = types;
  product.rows = int64_t(priced.value(sizes.rows));
  product.columns = int64_t(priced.value(sizes.columns));
  product.depth = int64_t(priced.value(totalDepth()));
  return priced.value(sizes.batch) * tilingCycles(tiling, product, priced.target);
}

bool paysToShareWidened(const NestShape &nest, const TargetInfo &target) {
  if (nest.types.panel == nest.types.accumulator || nest.types.exact() || nest.tiling.blockTiles < sharingTiles ||
      !nest.totalDepth().isConstant())
    return false;
  auto tiles = nest.tileCount().asConstant();
  int64_t bytes = nest.totalDepth().constant() * nest.tiling.tile.panels * panelColumns * nest.types.accumulatorBytes();
  return (!tiles || *tiles >= sharingTiles) && bytes <= target.l2Bytes;
}

Nest::Nest(Emitter &e, const NestShape &shape, const NestOptions &options) : NestShape(shape), e(e), options(options) {
  auto panels = panelCount().asConstant();
  hasTail = tiling.tile.panels > 1 && !(panels && *panels % tiling.tile.panels == 0);
  hasWhole = !(panels && *panels < tiling.tile.panels);
  if (!sharesWidened || !tileCount().isConstant())
    direct = emitKernelSet(types, "");
  if (sharesWidened)
    widened = emitKernelSet(types.packedWide(), "_widened");
}

Nest::KernelSet Nest::emitKernelSet(const ElementTypes &types, const std::string &suffix) {
  KernelSet set{types, {}, {}};
  if (hasWhole)
    set.whole = emitKernels(types, tiling.tile.panels, "tile" + suffix);
  if (hasTail)
    set.tail = emitKernels(types, 1, "tail" + suffix);
  return set;
}

Nest::Kernels Nest::emitKernels(const ElementTypes &types, int panels, const std::string &name) {
  TileOptions tile;
  tile.types = types;
  tile.unroll = tiling.unroll;
  tile.prefetch = tiling.prefetch;
  tile.packed = options.packed;
  tile.contiguousA = options.contiguousA;
  tile.innerDivisor = sizes.inner.knownDivisor();
  tile.tableRowBytes = tableRowBytes();
  Kernels kernels;
  auto rows = sizes.rows.asConstant();
  bool needFull = !tiling.smallRows || !rows || *rows > tiling.smallRows;
  if (needFull)
    kernels.full = emitRegisterTile(e, name, {tiling.tile.rows, panels}, tile);
  if (tiling.smallRows)
    kernels.small = emitRegisterTile(e, name + "_small", {tiling.smallRows, panels}, tile);
  return kernels;
}

SizeExpr NestShape::grid() const {
  return sizes.batch * SizeExpr::ceilDiv(groupCount(), tiling.blockGroups) *
         SizeExpr::ceilDiv(tileCount(), tiling.blockTiles);
}

SizeExpr NestShape::scratchBytes() const {
  return SizeExpr(tileBytes()) + sizes.taps * (tableRowBytes() * tiling.blockTiles) + widenedBytes();
}

SizeExpr NestShape::widenedBytes() const {
  return sharesWidened ? totalDepth() * tileRowBytes(tiling.tile.panels) : SizeExpr(0);
}

Value Nest::tableOf(Value tileInBlock) {
  return e.offset(e.offset(e.scratch(), tileBytes()), e.mul(tileInBlock, e.size(sizes.taps)), tableRowBytes());
}

Value Nest::widenedPanels() { return e.offset(e.scratch(), e.size(scratchBytes() - widenedBytes()), 1); }

void Nest::emit(const Operands &operands, Epilogue &epilogue) {
  if (panelCount().isConstant(0))
    return; // no results; the grid is 0 too
  Value tiles = e.size(tileCount()), groups = e.size(groupCount()), panels = e.size(panelCount());
  Value rowBlocks = e.size(SizeExpr::ceilDiv(tileCount(), tiling.blockTiles));
  Value groupBlocks = e.size(SizeExpr::ceilDiv(groupCount(), tiling.blockGroups));
  // Workgroups that follow one another share panels of B.
  Value rowBlock = e.rem(e.workgroup(), rowBlocks);
  Value rest = e.div(e.workgroup(), rowBlocks);
  Value groupBlock = e.rem(rest, groupBlocks);
  Value batch = e.div(rest, groupBlocks);
  Value tile0 = e.mul(rowBlock, e.index(tiling.blockTiles));
  Value tileEnd = e.min(tiles, e.add(tile0, e.index(tiling.blockTiles)));
  Value blockTiles = e.sub(tileEnd, tile0);
  e.loop(0, blockTiles, 1, [&](Value t) {
    Value row0 = e.mul(e.add(tile0, t), e.index(tiling.tile.rows));
    operands.fillTable(batch, row0, tableOf(t));
  });
  Value group0 = e.mul(groupBlock, e.index(tiling.blockGroups));
  Value groupEnd = e.min(groups, e.add(group0, e.index(tiling.blockGroups)));
  Value one = e.index(1), width = e.index(tiling.tile.panels);
  e.loop(group0, groupEnd, one, [&](Value group) {
    Value panel0 = e.mul(group, width);
    auto wholeGroup = [&] { emitGroup(operands, epilogue, tiling.tile.panels, batch, panel0, tile0, blockTiles); };
    auto singlePanels = [&] {
      e.loop(panel0, panels, one,
             [&](Value panel) { emitGroup(operands, epilogue, 1, batch, panel, tile0, blockTiles); });
    };
    if (hasWhole && hasTail)
      e.ifElse(e.cmp(Cmp::le, e.add(panel0, width), panels), wholeGroup, singlePanels);
    else if (hasWhole)
      wholeGroup();
    else
      singlePanels();
  });
}

void Nest::emitGroup(const Operands &operands, Epilogue &epilogue, int panels, Value batch, Value panel, Value tile0,
                     Value tiles) {
  auto emitWith = [&](const KernelSet &set) { emitTiles(operands, epilogue, set, panels, batch, panel, tile0, tiles); };
  if (direct && widened)
    e.ifElse(e.cmp(Cmp::lt, tiles, e.index(sharingTiles)), [&] { emitWith(*direct); }, [&] { emitWith(*widened); });
  else
    emitWith(direct ? *direct : *widened);
}

void Nest::emitTiles(const Operands &operands, Epilogue &epilogue, const KernelSet &set, int panels, Value batch,
                     Value panel, Value tile0, Value tiles) {
  const Kernels &kernels = panels == tiling.tile.panels ? set.whole : set.tail;
  Value b = operands.panel(batch, panel);
  Value depth = e.mul(e.size(sizes.taps), e.size(sizes.inner));
  if (set.types.panel != types.panel) {
    emitWidenPanels(e, types, b, e.mul(depth, e.index(panels)), widenedPanels());
    b = widenedPanels();
  }
  Value panelBytes = e.mul(depth, e.index(panelColumns * set.types.panelBytes()));
  if (int64_t sums = sumsBytes(set.types))
    panelBytes = e.add(panelBytes, e.index(sums));
  Value zero = e.index(0);
  Value bStep = operands.bStep ? operands.bStep : zero, aStep = operands.aStep ? operands.aStep : zero;
  EpilogueRow origin = operands.origin(batch);
  Value column = e.mul(panel, e.index(panelColumns));
  // Columns that exist of this group; not asked where sizes say that all do.
  Value columns;
  if (sizes.columns.knownDivisor() % panelColumns != 0) {
    Value left = e.sub(e.size(sizes.columns), column);
    if (sizes.taps.isConstant(1) && sizes.inner.asConstant().value_or(0) % 4 == 3 &&
        plantedBug("product-mask", sizes.columns.asConstant(), 16, 7))
      left = e.sub(left, e.index(1));
    columns = e.min(left, e.index(panels * panelColumns));
  }
  Value scratch = e.scratch();
  e.loop(0, tiles, 1, [&](Value t) {
    Value row0 = e.mul(e.add(tile0, t), e.index(tiling.tile.rows));
    Value rows = e.min(e.index(tiling.tile.rows), e.sub(e.size(sizes.rows), row0));
    Values arguments{tableOf(t),
                     b,
                     panelBytes,
                     bStep,
                     aStep,
                     e.size(sizes.taps),
                     e.size(sizes.inner),
                     scratch,
                     e.index(tileRowBytes(panels))};
    if (types.zeroOfRun)
      arguments.push_back(operands.rowExcess);
    if (types.tileRegisters)
      arguments.push_back(rows);
    auto callFull = [&] { e.call(kernels.full, arguments); };
    auto callSmall = [&] { e.call(kernels.small, arguments); };
    if (kernels.full.op && kernels.small.op)
      e.ifElse(e.cmp(Cmp::le, rows, e.index(tiling.smallRows)), callSmall, callFull);
    else if (kernels.full.op)
      callFull();
    else
      callSmall();
    epilogue.emitBlock(scratch, panels * panelColumns, e.add(origin.row, row0), rows, e.add(origin.column, column),
                       panels * vectorsPerPanel(types, e.target()), columns);
  });
}

} // namespace kiln::gemm
