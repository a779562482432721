#include "codegen/families/gemm/Panels.h"

#include "codegen/families/gemm/RegisterTile.h"

namespace kiln::gemm {

using namespace emit;

Recipe packMatrix(int64_t batch, int64_t depth, int64_t columns, bool transposed, int kPack, bool sums) {
  int64_t padded = alignUp(columns, panelColumns), panels = padded / panelColumns;
  int64_t filled = alignUp(depth, kPack), packs = filled / kPack;
  Recipe recipe;
  if (transposed) {
    recipe.reshape({batch, columns, depth});
    if (padded != columns || filled != depth)
      recipe.pad({0, 0, 0, 0, padded - columns, filled - depth});
    if (kPack == 1)
      recipe.reshape({batch, panels, panelColumns, depth}).permute({0, 1, 3, 2});
    else
      recipe.reshape({batch, panels, panelColumns, packs, kPack}).permute({0, 1, 3, 2, 4});
  } else {
    recipe.reshape({batch, depth, columns});
    if (padded != columns || filled != depth)
      recipe.pad({0, 0, 0, 0, filled - depth, padded - columns});
    if (kPack == 1)
      recipe.reshape({batch, depth, panels, panelColumns}).permute({0, 2, 1, 3});
    else
      recipe.reshape({batch, packs, kPack, panels, panelColumns}).permute({0, 3, 1, 4, 2});
  }
  if (sums)
    recipe.reshape({batch * panels, packs, panelColumns, kPack}).sums();
  return recipe;
}

Recipe packFilter(int64_t groups, int64_t outputs, int64_t channels, int64_t taps, int kPack, bool sums) {
  int64_t padded = alignUp(outputs, panelColumns), panels = padded / panelColumns;
  int64_t filled = alignUp(channels, kPack), packs = filled / kPack;
  Recipe recipe;
  recipe.reshape({groups, outputs, channels, taps});
  if (padded != outputs || filled != channels)
    recipe.pad({0, 0, 0, 0, 0, padded - outputs, filled - channels, 0});
  if (kPack == 1)
    recipe.reshape({groups, panels, panelColumns, channels, taps}).permute({0, 1, 4, 3, 2});
  else
    recipe.reshape({groups, panels, panelColumns, packs, kPack, taps}).permute({0, 1, 5, 3, 2, 4});
  if (sums)
    recipe.reshape({groups * panels, taps * packs, panelColumns, kPack}).sums();
  return recipe;
}

/// Elements of B of type `dtype` in register form `type`, less their zero point.
static Value widened(Emitter &e, const ElementTypes &types, DType dtype, Value loaded, Type type) {
  if (!types.exact())
    return loaded; // floating point is wide in registers
  Value wide = e.resizeInt(loaded, type, isSignedInt(dtype));
  return types.zero == 0 ? wide : e.sub(wide, e.constant(type, types.zero));
}

Value loadPanelVector(Emitter &e, const ElementTypes &types, Value at, int step) {
  int64_t lanes = types.lanes(e.target());
  Type vector = e.vec(e.registerType(types.accumulator), lanes);
  if (types.multipliesPairs()) {
    Value bytes = e.load(e.vec(e.i8(), 2 * lanes), at);
    return e.bitcast(widened(e, types, types.panel, bytes, e.vec(e.integer(16), 2 * lanes)), vector);
  }
  if (types.kPack == 1)
    return widened(e, types, types.panel, e.loadAs(types.panel, lanes, at), vector);
  assert(types.panel == DType::BF16 && types.kPack == 2);
  // Two bf16: the upper and the lower half of an f32 each.
  auto pairs = e.vec(e.i32(), lanes);
  Value pair = e.load(pairs, at, static_cast<unsigned>(lanes * 4));
  pair = step % 2 == 0 ? e.shl(pair, e.constant(pairs, 16)) : e.bitAnd(pair, e.constant(pairs, int64_t(0xffff0000)));
  return e.bitcast(pair, vector);
}

void emitWidenPanels(Emitter &e, const ElementTypes &types, Value from, Value steps, Value to) {
  int64_t lanes = types.lanes(e.target()), bytes = types.accumulatorBytes(), packColumns = panelColumns * types.kPack;
  e.loop(0, e.div(steps, e.index(types.kPack)), 1, [&](Value pack) {
    Value source = e.offset(from, pack, packColumns * types.panelBytes()),
          target = e.offset(to, pack, packColumns * bytes);
    for (int64_t column = 0; column < panelColumns; column += lanes)
      for (int step = 0; step < types.kPack; ++step) {
        Value wide = loadPanelVector(e, types, e.offset(source, column * types.kPack * types.panelBytes()), step);
        e.store(wide, e.offset(target, (step * panelColumns + column) * bytes), static_cast<unsigned>(lanes * bytes));
      }
  });
}

void emitPackMatrices(Emitter &e, const ElementTypes &types, PanelSource from, Value batchBytes, Value to) {
  Value panels = e.ceilDiv(from.columns, e.index(panelColumns));
  Value panel = e.rem(e.workgroup(), panels), batch = e.div(e.workgroup(), panels);
  Value column0 = e.mul(panel, e.index(panelColumns));
  from.source = e.offset(e.offset(from.source, e.mul(batch, batchBytes), 1), e.mul(column0, from.columnBytes), 1);
  from.columns = e.sub(from.columns, column0);
  Value depth = e.mul(from.taps, from.inner);
  emitPackPanel(e, types, from, e.offset(to, e.mul(e.workgroup(), depth), panelColumns * types.accumulatorBytes()));
}

void emitPackPanel(Emitter &e, const ElementTypes &types, const PanelSource &from, Value target) {
  Value source = from.source, left = from.columns, one = e.index(1), zero = e.index(0);
  int64_t lanes = types.lanes(e.target()), bytes = types.accumulatorBytes();
  auto forSteps = [&](llvm::function_ref<void(Value from, Value k)> body) {
    e.loop(zero, from.taps, one, [&](Value tap) {
      Value start = e.offset(source, e.mul(tap, from.tapBytes), 1);
      Value k0 = e.mul(tap, from.inner);
      e.loop(zero, from.inner, one,
             [&](Value channel) { body(e.offset(start, e.mul(channel, from.innerBytes), 1), e.add(k0, channel)); });
    });
  };
  // Columns side by side are copied as vectors, others element by element; missing ones are zero.
  auto vectors = [&] {
    for (int64_t j = 0; j < panelColumns; j += lanes) {
      Value mask = e.tailMask(lanes, e.sub(left, e.index(j)), unsigned(8 * bytes));
      forSteps([&](Value at, Value k) {
        Value v = e.loadAs(types.source, lanes, e.offset(at, j * types.sourceBytes()), mask);
        v = widened(e, types, types.source, v, e.vec(e.registerType(types.accumulator), lanes));
        e.store(v, e.offset(e.offset(target, k, panelColumns * bytes), j * bytes),
                static_cast<unsigned>(lanes * bytes));
      });
    }
  };
  auto elements = [&] {
    e.loop(zero, e.index(panelColumns), one, [&](Value n) {
      Value there = e.cmp(Cmp::lt, n, left);
      Value column = e.mul(e.select(there, n, zero), from.columnBytes);
      forSteps([&](Value at, Value k) {
        Value v = e.loadAs(types.source, 0, e.offset(at, column, 1));
        v = widened(e, types, types.source, v, e.registerType(types.accumulator));
        v = e.select(there, v, e.like(v, 0.0));
        e.store(v, e.offset(e.offset(target, k, panelColumns * bytes), n, bytes));
      });
    });
  };
  e.ifElse(e.cmp(Cmp::eq, from.columnBytes, e.index(types.sourceBytes())), vectors, elements);
}

} // namespace kiln::gemm
