#include "codegen/families/conv/WinogradEmission.h"

#include "codegen/families/common/Launches.h"
#include "codegen/families/conv/PixelRows.h"
#include "codegen/families/conv/WinogradTransforms.h"
#include "codegen/families/gemm/Epilogue.h"

#include <algorithm>

namespace kiln {

using namespace emit;
using namespace gemm;

namespace {

/// The convolution whose pixels are the tiles: a window of a tile's size, a tile's outputs apart. Its row pointers are
/// those of the tiles.
Convolution tilesOf(const Convolution &c, const WinogradTiling &tiling) {
  Convolution tiles = c;
  for (size_t d = 0; d < 2; ++d) {
    tiles.kernel[d] = tiling.size();
    tiles.strides[d] = tiling.outputs;
    tiles.out[d] = SizeExpr::ceilDiv(c.out[d], tiling.outputs);
    // A tile may reach past the input where the output does not divide.
    tiles.padsEnd[d] = std::max<int64_t>(c.padsEnd[d], tiling.outputs);
  }
  return tiles;
}

/// What a tiling makes of a problem. Workgroup = block of tiles x block of column groups. Transformed inputs of a
/// block: [product][row][channel]; products of a group: [product][row][column].
struct WinogradShape {
  const Problem &problem;
  Convolution c, tiles;
  WinogradTiling tiling;
  int64_t lanes;

  WinogradShape(const Problem &problem, const WinogradTiling &tiling, const TargetInfo &target)
      : problem(problem), c(*Convolution::of(problem)), tiles(tilesOf(c, tiling)), tiling(tiling),
        lanes(target.lanes(32)) {}

  int64_t pointerRowBytes() const { return alignUp(tiling.tile.rows, 8) * 8; }
  SizeExpr blocks() const { return SizeExpr::ceilDiv(tiles.pixels(), tiling.blockRows()); }
  int64_t channels() const { return c.channels.constant(); }
  int64_t panels() const { return c.outputs.constant() / panelColumns; }
  int64_t groupCount() const { return (panels() + tiling.tile.panels - 1) / tiling.tile.panels; }
  int64_t groupsPerWorkgroup() const { return tiling.groups ? tiling.groups : groupCount(); }
  int64_t columnBlocks() const { return (groupCount() + groupsPerWorkgroup() - 1) / groupsPerWorkgroup(); }
  // Planes of products are a line more than their size apart, so that they do not fall on each other in the cache.
  int64_t inputPlaneBytes() const { return tiling.blockRows() * channels() * 4 + 64; }
  int64_t productPlaneBytes() const { return tiling.blockRows() * tiling.tile.panels * panelColumns * 4 + 64; }
  int64_t inputBytes() const { return tiling.products() * inputPlaneBytes(); }
  // Scratch: pointers of a tile's pixels | pixel state | pointers into transformed inputs | products | one result |
  // transformed inputs
  int64_t pixelTableBytes() const { return tiling.products() * pointerRowBytes(); }
  int64_t productTableBytes() const { return tiling.products() * tiling.blockTiles * pointerRowBytes(); }
  int64_t resultBytes() const { return tiling.outputs * tiling.outputs * lanes * 4; }
  KernelInterface describe() const;
};

KernelInterface WinogradShape::describe() const {
  KernelInterface interface;
  if (tiling.split) {
    interface.workspaceBytes = blocks() * inputBytes();
    interface.launches.push_back(preparingLaunch(problem, "transform", c.input, blocks() * tiling.blockTiles,
                                                 interface.workspaceBytes,
                                                 SizeExpr(pixelTableBytes()) + PixelRows::scratchBytes(tiles)));
  }
  SizeExpr scratch = SizeExpr(productTableBytes() + tiling.products() * productPlaneBytes() + resultBytes());
  if (!tiling.split)
    scratch = scratch + SizeExpr(pixelTableBytes() + inputBytes()) + PixelRows::scratchBytes(tiles);
  interface.launches.push_back(
      mainLaunch(problem, "winograd", blocks() * columnBlocks(), scratch, allOperands(problem, c.filter)));
  Recipe recipe;
  recipe.winograd(tiling.outputs)
      .reshape({panels(), panelColumns, channels(), tiling.products()})
      .permute({0, 3, 2, 1});
  interface.packed.push_back({uint32_t(problem.inputIndex(c.filter)), recipe});
  return interface;
}

class WinogradEmission : WinogradShape {
public:
  WinogradEmission(Emitter &e, const Problem &problem, const WinogradTiling &tiling, const KernelInterface &interface,
                   const TargetInfo &target)
      : WinogradShape(problem, tiling, target), interface(interface), e(e),
        pixels(e, tiles, tiling.tile.rows, pointerRowBytes()) {}

  void run();

private:
  void emitTransformLaunch();
  void emitMainLaunch();
  void transformBlock(Value block, Value to);
  void transformTile(Value rowInTable, Value to);
  void multiplyGroup(Value panel, int panels);
  void writeGroup(Value panel, int panels, Value firstTile, Value count);
  void writeTile(Value tile, Value products, Value column, int64_t productBytes);
  void fillProductTable(Value inputs);

  const KernelInterface &interface;
  Emitter &e;
  PixelRows pixels;
  LocalFunction wholeTile, tailTile;
  std::unique_ptr<Epilogue> epilogue;
  Value filter, pixelTable, productTable, products, result;
};

void WinogradEmission::run() {
  if (tiling.split)
    emitTransformLaunch();
  emitMainLaunch();
}

void WinogradEmission::emitTransformLaunch() {
  beginLaunch(e, interface);
  pixelTable = e.scratch();
  pixels.begin(e.buffer(0), e.offset(pixelTable, pixelTableBytes()));
  // One workgroup per tile of rows.
  Value perBlock = e.index(tiling.blockTiles);
  Value block = e.div(e.workgroup(), perBlock), part = e.rem(e.workgroup(), perBlock);
  Value to = e.offset(e.workspace(), block, inputBytes());
  Value row = e.mul(part, e.index(tiling.tile.rows));
  Value first = e.add(e.mul(block, e.index(tiling.blockRows())), row);
  e.ifThen(e.cmp(Cmp::lt, first, e.size(tiles.pixels())), [&] {
    pixels.fill(e.index(0), first, pixelTable);
    e.loop(0, e.index(tiling.tile.rows), 1,
           [&](Value i) { transformTile(i, e.offset(to, e.add(row, i), channels() * 4)); });
  });
  e.endKernel();
}

void WinogradEmission::emitMainLaunch() {
  TileOptions options;
  options.unroll = tiling.unroll;
  options.prefetch = tiling.prefetch;
  options.innerDivisor = channels();
  options.tableRowBytes = pointerRowBytes();
  if (panels() >= tiling.tile.panels)
    wholeTile = emitRegisterTile(e, "tile", tiling.tile, options);
  if (panels() % tiling.tile.panels)
    tailTile = emitRegisterTile(e, "tail", {tiling.tile.rows, 1}, options);

  beginLaunch(e, interface, tiling.split ? 1 : 0);
  BasePointers pointers = basePointers(e, problem);
  Value input = pointers.inputs[problem.inputIndex(c.input)];
  filter = pointers.inputs[problem.inputIndex(c.filter)];
  epilogue = std::make_unique<Epilogue>(e, problem, c.result, DType::F32, c.bias, pointers.inputs, pointers.outputs);

  productTable = e.scratch();
  products = e.offset(productTable, productTableBytes());
  result = e.offset(products, tiling.products() * productPlaneBytes());
  pixelTable = e.offset(result, resultBytes());
  Value own = e.offset(pixelTable, pixelTableBytes());

  Value columnBlockCount = e.index(columnBlocks());
  Value block = e.div(e.workgroup(), columnBlockCount), columnBlock = e.rem(e.workgroup(), columnBlockCount);
  Value transformed;
  if (tiling.split) {
    transformed = e.offset(e.workspace(), block, inputBytes());
  } else {
    transformed = own;
    pixels.begin(input, e.offset(own, inputBytes()));
    transformBlock(block, transformed);
  }
  fillProductTable(transformed);
  Value one = e.index(1), firstTile = e.mul(block, e.index(tiling.blockRows()));
  Value count = e.min(e.index(tiling.blockRows()), e.sub(e.size(tiles.pixels()), firstTile));
  Value group0 = e.mul(columnBlock, e.index(groupsPerWorkgroup()));
  Value groupEnd = e.min(e.index(groupCount()), e.add(group0, e.index(groupsPerWorkgroup())));
  e.loop(group0, groupEnd, one, [&](Value group) {
    Value panel = e.mul(group, e.index(tiling.tile.panels));
    auto whole = [&] {
      multiplyGroup(panel, tiling.tile.panels);
      writeGroup(panel, tiling.tile.panels, firstTile, count);
    };
    auto singles = [&] {
      e.loop(panel, e.index(panels()), one, [&](Value single) {
        multiplyGroup(single, 1);
        writeGroup(single, 1, firstTile, count);
      });
    };
    if (!tailTile.op)
      whole();
    else if (!wholeTile.op)
      singles();
    else
      e.ifElse(e.cmp(Cmp::le, e.add(panel, e.index(tiling.tile.panels)), e.index(panels())), whole, singles);
  });
  e.endKernel();
}

void WinogradEmission::transformBlock(Value block, Value to) {
  Value first = e.mul(block, e.index(tiling.blockRows())), all = e.size(tiles.pixels());
  Value parts = e.min(e.index(tiling.blockTiles), e.ceilDiv(e.sub(all, first), e.index(tiling.tile.rows)));
  e.loop(0, parts, 1, [&](Value part) {
    Value row = e.mul(part, e.index(tiling.tile.rows));
    pixels.fill(e.index(0), e.add(first, row), pixelTable);
    e.loop(0, e.index(tiling.tile.rows), 1,
           [&](Value i) { transformTile(i, e.offset(to, e.add(row, i), channels() * 4)); });
  });
}

void WinogradEmission::transformTile(Value rowInTable, Value to) {
  auto vector = e.vec(e.f32(), lanes);
  Value pointers = e.offset(pixelTable, rowInTable, 8);
  e.loop(0, e.index(channels()), lanes, [&](Value channel) {
    Values tile;
    for (int64_t k = 0; k < tiling.products(); ++k) {
      Value pixel = e.load(e.ptr(), e.offset(pointers, k * pointerRowBytes()));
      tile.push_back(e.load(vector, e.offset(pixel, channel, 4)));
    }
    Values transformed = winogradInput(e, tiling.outputs, tile);
    Value at = e.offset(to, channel, 4);
    for (int64_t k = 0; k < tiling.products(); ++k)
      e.store(transformed[static_cast<size_t>(k)], e.offset(at, k * inputPlaneBytes()));
  });
}

void WinogradEmission::fillProductTable(Value inputs) {
  Value one = e.index(1);
  e.loop(e.index(0), e.index(tiling.products()), one, [&](Value k) {
    Value plane = e.offset(inputs, k, inputPlaneBytes());
    e.loop(e.index(0), e.index(tiling.blockTiles), one, [&](Value t) {
      Value table = e.offset(productTable, e.add(e.mul(k, e.index(tiling.blockTiles)), t), pointerRowBytes());
      e.loop(e.index(0), e.index(tiling.tile.rows), one, [&](Value i) {
        Value row = e.add(e.mul(t, e.index(tiling.tile.rows)), i);
        e.store(e.offset(plane, row, channels() * 4), e.offset(table, i, 8));
      });
    });
  });
}

void WinogradEmission::multiplyGroup(Value panel, int count) {
  int64_t panelBytes = tiling.products() * channels() * panelColumns * 4, rowBytes = count * panelColumns * 4;
  Value zero = e.index(0), one = e.index(1);
  Value panelStart = e.offset(filter, panel, panelBytes);
  e.loop(zero, e.index(tiling.products()), one, [&](Value k) {
    Value b = e.offset(panelStart, k, channels() * panelColumns * 4);
    Value plane = e.offset(products, k, productPlaneBytes());
    e.loop(zero, e.index(tiling.blockTiles), one, [&](Value t) {
      Value table = e.offset(productTable, e.add(e.mul(k, e.index(tiling.blockTiles)), t), pointerRowBytes());
      e.call(count == tiling.tile.panels ? wholeTile : tailTile,
             Values{table, b, e.index(panelBytes), zero, zero, one, e.index(channels()),
                    e.offset(plane, t, tiling.tile.rows * rowBytes), e.index(rowBytes)});
    });
  });
}

void WinogradEmission::writeGroup(Value panel, int count, Value firstTile, Value tileCount) {
  int64_t columns = count * panelColumns;
  Value column0 = e.mul(panel, e.index(panelColumns));
  e.loop(0, tileCount, 1, [&](Value i) {
    Value row = e.offset(products, i, columns * 4);
    e.loop(0, e.index(columns), lanes, [&](Value j) {
      writeTile(e.add(firstTile, i), e.offset(row, j, 4), e.add(column0, j), productPlaneBytes());
    });
  });
}

void WinogradEmission::writeTile(Value tile, Value at, Value column, int64_t planeBytes) {
  auto vector = e.vec(e.f32(), lanes);
  Values sums;
  for (int64_t k = 0; k < tiling.products(); ++k)
    sums.push_back(e.load(vector, e.offset(at, k * planeBytes)));
  Values outputs = winogradOutput(e, tiling.outputs, sums);
  for (size_t k = 0; k < outputs.size(); ++k)
    e.store(outputs[k], e.offset(result, static_cast<int64_t>(k) * lanes * 4));
  Value height = e.size(c.out[0]), width = e.size(c.out[1]);
  Value acrossCount = e.size(tiles.out[1]), downCount = e.size(tiles.out[0]);
  Value m = e.index(tiling.outputs);
  Value x = e.mul(e.rem(tile, acrossCount), m), rest = e.div(tile, acrossCount);
  Value y = e.mul(e.rem(rest, downCount), m), image = e.div(rest, downCount);
  Value rows = e.min(m, e.sub(height, y)), columns = e.min(m, e.sub(width, x));
  Value pixel0 = e.add(e.mul(e.add(e.mul(image, height), y), width), x);
  auto writeRow = [&](Value i, Value from) {
    Value pixel = e.add(pixel0, e.mul(i, width));
    auto point = [&](int64_t j) {
      return Epilogue::Point{e.load(vector, e.offset(from, j * lanes * 4)), e.add(pixel, e.index(j))};
    };
    auto all = [&] {
      llvm::SmallVector<Epilogue::Point> points;
      for (int64_t j = 0; j < tiling.outputs; ++j)
        points.push_back(point(j));
      epilogue->emitVectors(points, column, {});
    };
    auto some = [&] {
      e.loop(0, columns, 1, [&](Value j) {
        Value product = e.load(vector, e.offset(from, j, lanes * 4));
        epilogue->emitVectors({{product, e.add(pixel, j)}}, column, {});
      });
    };
    if (c.out[1].knownDivisor() % tiling.outputs == 0)
      all();
    else
      e.ifElse(e.cmp(Cmp::eq, columns, m), all, some);
  };
  e.loop(0, rows, 1, [&](Value i) { writeRow(i, e.offset(result, i, tiling.outputs * lanes * 4)); });
}

} // namespace

KernelInterface describeWinograd(const Problem &problem, const WinogradTiling &tiling, const TargetInfo &target) {
  return WinogradShape(problem, tiling, target).describe();
}

void emitWinograd(Emitter &e, const Problem &problem, const WinogradTiling &tiling, const KernelInterface &interface,
                  const TargetInfo &target) {
  WinogradEmission(e, problem, tiling, interface, target).run();
}

} // namespace kiln
