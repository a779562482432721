#include "codegen/families/gemm/TileRegisters.h"

namespace kiln::gemm {

using namespace emit;

namespace {

/// Numbers of tile registers: sums row by row, two a row, then A's, then B's.
int sumTile(int row, int panel) { return row * mostTileRegisters + panel; }
int rowTile(int row) { return 4 + row; }
int panelTile(int panel) { return 6 + panel; }

constexpr int64_t lineBytes = 64; // of a row of any of them, and of four steps of a panel

/// Writes what configureTiles takes to `to`: all have rows of 64 bytes; those of A and of sums have `rows` of the
/// tile's.
void storeShapes(Emitter &e, Value to, ValueRange rows) {
  Value first = e.resizeInt(rows.front(), e.i32()), second = e.resizeInt(rows.back(), e.i32());
  auto store = [&](int64_t byte, Value value) { e.store(value, e.offset(to, byte)); };
  auto number = [&](int64_t value) { return e.constant(e.i32(), value); };
  e.store(e.constant(e.vec(e.i32(), 16), int64_t(0)), to, lineBytes);
  store(0, number(1)); // the palette
  for (int64_t byte = 16; byte < 32; byte += 4)
    store(byte, number(lineBytes << 16 | lineBytes));
  store(48, e.add(e.mul(first, number(0x0101)), e.mul(second, number(0x01010000))));
  store(52, e.add(e.add(first, e.mul(second, number(0x0100))), number(tileRegisterRows * 0x01010000)));
}

} // namespace

void emitTileRegisters(Emitter &e, TileShape shape, const ElementTypes &types, ValueRange arguments) {
  Value table = arguments[0], b = arguments[1], panelBytes = arguments[2], aStep = arguments[4], inner = arguments[6],
        result = arguments[7], resultBytes = arguments[8];
  Value excess = types.zeroOfRun ? arguments[9] : Value(), rows = arguments.back();
  int rowTiles = shape.rows / tileRegisterRows;
  auto forEach = [&](auto use) {
    for (int row = 0; row < rowTiles; ++row)
      for (int panel = 0; panel < shape.panels; ++panel)
        use(row, panel);
  };
  auto panelOf = [&](int panel) { return panel == 0 ? b : e.offset(b, panelBytes, 1); };

  // A tile register has a row at least; one that does not exist is read through the table like the last one.
  Values counts, pointers;
  for (int row = 0; row < rowTiles; ++row) {
    Value count = e.sub(rows, e.index(int64_t(row) * tileRegisterRows));
    counts.push_back(e.max(e.index(1), e.min(count, e.index(tileRegisterRows))));
    pointers.push_back(e.load(e.ptr(), e.offset(table, int64_t(row) * tileRegisterRows * 8)));
  }
  storeShapes(e, result, counts);
  e.configureTiles(result);

  // Sums start with less where bytes of rows are more than what they stand for (RegisterTile.h).
  bool subtracts = excess || types.rowExcess() != 0;
  if (subtracts) {
    Type vector = e.vec(e.i32(), panelColumns);
    Value factor =
        excess ? e.splat(e.neg(e.resizeInt(excess, e.i32())), panelColumns) : e.constant(vector, -types.rowExcess());
    for (int panel = 0; panel < shape.panels; ++panel) {
      Value sums = e.load(vector, e.offset(e.offset(panelOf(panel), panelBytes, 1), -lineBytes), lineBytes);
      e.store(e.mul(sums, factor), e.offset(result, panel * lineBytes), lineBytes);
    }
  }
  forEach([&](int row, int panel) {
    if (subtracts)
      e.loadTile(sumTile(row, panel), e.offset(result, panel * lineBytes), e.index(0));
    else
      e.clearTile(sumTile(row, panel));
  });
  e.loop(0, inner, 64, [&](Value k) {
    for (int row = 0; row < rowTiles; ++row)
      e.loadTile(rowTile(row), e.offset(pointers[size_t(row)], k, 1), aStep);
    for (int panel = 0; panel < shape.panels; ++panel)
      e.loadTile(panelTile(panel), e.offset(panelOf(panel), k, panelColumns), e.index(lineBytes));
    forEach([&](int row, int panel) {
      e.multiplyAddTiles(sumTile(row, panel), rowTile(row), panelTile(panel), types.row == DType::I8);
    });
  });
  forEach([&](int row, int panel) {
    Value to = e.offset(result, e.mul(resultBytes, e.index(int64_t(row) * tileRegisterRows)), 1);
    e.storeTile(sumTile(row, panel), e.offset(to, panel * lineBytes), resultBytes);
  });
  e.releaseTiles();
}

} // namespace kiln::gemm
