#include "codegen/families/gemm/RegisterTile.h"

#include "codegen/families/gemm/Panels.h"
#include "codegen/families/gemm/TileRegisters.h"

namespace kiln::gemm {

using namespace emit;

namespace {

/// Emission of one tile's K loops; the accumulators travel through them as loop-carried values.
class TileEmission {
public:
  TileEmission(Emitter &e, TileShape shape, const TileOptions &options, ValueRange arguments)
      : e(e), options(options), types(options.types), rows(shape.rows), lanes(types.lanes(e.target())),
        vectors(static_cast<int>(shape.panels * panelColumns / lanes)), bytes(types.accumulatorBytes()),
        rowBytes(types.rowBytes()), vector(e.vec(e.registerType(types.accumulator), lanes)), table(arguments[0]),
        b(arguments[1]), panelBytes(arguments[2]), bStep(arguments[3]), aStep(arguments[4]), taps(arguments[5]),
        inner(arguments[6]), result(arguments[7]), resultBytes(arguments[8]),
        excess(arguments.size() > 9 ? arguments[9] : Value()) {}

  void emit() {
    Values state(static_cast<size_t>(rows * vectors), e.constant(vector, 0.0));
    if (types.multipliesQuads() && (excess || types.rowExcess() != 0))
      subtractExcess(state);
    state.push_back(b);
    bool remainder = options.innerDivisor % options.unroll != 0;
    Value one = e.index(1), zero = e.index(0), step = e.index(options.unroll);
    Value pack = types.kPack == 1 ? one : e.index(types.kPack);
    Value mainEnd = remainder ? e.sub(inner, e.rem(inner, step)) : inner;
    state = e.loop(zero, taps, one, state, [&](Value tap, ValueRange carried) {
      Value tapRow = e.offset(table, tap, options.tableRowBytes);
      Values pointers;
      for (int i = 0; i < rows; ++i)
        pointers.push_back(e.load(e.ptr(), e.offset(tapRow, int64_t(i) * 8)));
      Values now = e.loop(zero, mainEnd, step, carried,
                          [&](Value k, ValueRange in) { return steps(pointers, k, options.unroll, in); });
      if (remainder)
        now = e.loop(mainEnd, inner, pack, now,
                     [&](Value k, ValueRange in) { return steps(pointers, k, types.kPack, in); });
      return now;
    });
    Value row = result;
    for (int i = 0; i < rows; ++i) {
      for (int j = 0; j < vectors; ++j)
        e.store(state[static_cast<size_t>(i * vectors + j)], e.offset(row, int64_t(j) * lanes * bytes),
                static_cast<unsigned>(lanes * bytes));
      row = e.offset(row, resultBytes, 1);
    }
  }

private:
  /// What rows of bytes are too much is known before the products: columns' sums times the excess of a byte.
  void subtractExcess(Values &state) {
    Value factor =
        excess ? e.splat(e.neg(e.resizeInt(excess, e.i32())), lanes) : e.constant(vector, -types.rowExcess());
    for (int j = 0; j < vectors; ++j) {
      int64_t column = j * lanes % panelColumns, panel = j * lanes / panelColumns;
      Value next = e.offset(b, e.mul(panelBytes, e.index(panel + 1)), 1);
      Value sums =
          e.load(vector, e.offset(next, (column - panelColumns) * bytes), static_cast<unsigned>(lanes * bytes));
      Value start = e.mul(sums, factor);
      for (int i = 0; i < rows; ++i)
        state[static_cast<size_t>(i * vectors + j)] = start;
    }
  }

  /// `count` steps of K from `k` on.
  Values steps(ValueRange pointers, Value k, int count, ValueRange in) {
    Values out(in.begin(), in.end());
    Value base = out.back();
    Value aOffset = options.contiguousA ? Value() : e.mul(k, aStep);
    Value bRow = base;
    for (int u = 0; u < count; u += types.stepsAtOnce()) {
      Values bs;
      for (int j = 0; j < vectors; ++j) {
        Value at = bAddress(bRow, u, j);
        bs.push_back(loadB(at, u));
        if (options.prefetch && startsLine(u, j))
          e.prefetch(options.packed ? e.offset(at, int64_t(options.prefetch) * panelColumns * types.panelBytes())
                                    : e.offset(at, bStep, options.prefetch));
      }
      for (int i = 0; i < rows; ++i) {
        Value row = pointers[static_cast<size_t>(i)];
        Value at = options.contiguousA ? e.offset(e.offset(row, k, rowBytes), int64_t(u) * rowBytes)
                                       : e.offset(row, aOffset, 1);
        Value a = e.splat(e.load(e.registerType(types.accumulator), at, types.multipliesQuads() ? 1 : 0), lanes);
        if (types.row == DType::I8) // as u8, more by 128
          a = e.bitXor(a, e.constant(vector, int64_t(int32_t(0x80808080))));
        for (int j = 0; j < vectors; ++j) {
          Value &acc = out[static_cast<size_t>(i * vectors + j)];
          acc = multiplyAdd(a, bs[static_cast<size_t>(j)], acc);
        }
      }
      if (!options.contiguousA)
        aOffset = e.add(aOffset, aStep);
      if (!options.packed)
        bRow = e.offset(bRow, bStep, 1);
    }
    out.back() = options.packed ? e.offset(base, int64_t(count / types.kPack) * packBytes()) : bRow;
    return out;
  }

  /// `a` is a step of a row, or a pair of them in every lane.
  Value multiplyAdd(Value a, Value b, Value sum) {
    if (types.multipliesQuads())
      return e.multiplyAddQuads(a, b, sum);
    return types.multipliesPairs() ? e.multiplyAddPairs(a, b, sum) : e.fma(a, b, sum);
  }
  /// Bytes of the steps of K that lie side by side, in one panel.
  int64_t packBytes() const { return types.kPack * panelColumns * types.panelBytes(); }

  /// A vector of B of step `u`.
  Value loadB(Value at, int u) {
    if (types.widensPanels())
      return loadPanelVector(e, types, at, u);
    return e.load(vector, at, static_cast<unsigned>(options.packed ? lanes * bytes : bytes));
  }

  /// Whether vector `j` of step `step` is the first of a cache line.
  bool startsLine(int step, int j) const {
    int64_t column = j * lanes % panelColumns, before = options.packed ? step * panelColumns : 0;
    return (before + column) * types.panelBytes() % 64 == 0 && step % types.kPack == 0;
  }

  Value bAddress(Value row, int step, int vector) {
    int64_t column = vector * lanes;
    if (!options.packed)
      return e.offset(row, column * types.panelBytes());
    int64_t panel = column / panelColumns, within = column % panelColumns;
    Value at = panel == 0 ? row : e.offset(row, panel == 1 ? panelBytes : e.mul(panelBytes, e.index(panel)), 1);
    return e.offset(at, step / types.kPack * packBytes() + within * types.kPack * types.panelBytes());
  }

  Emitter &e;
  const TileOptions &options;
  const ElementTypes &types;
  int rows;
  int64_t lanes;
  int vectors;
  int64_t bytes, rowBytes; // of an accumulator, of an element of A
  Type vector;
  Value table, b, panelBytes, bStep, aStep, taps, inner, result, resultBytes, excess;
};

} // namespace

LocalFunction emitRegisterTile(Emitter &e, llvm::StringRef name, TileShape shape, const TileOptions &options) {
  llvm::SmallVector<Type> arguments{e.ptr(), e.ptr(), e.i64(), e.i64(), e.i64(), e.i64(), e.i64(), e.ptr(), e.i64()};
  if (options.types.zeroOfRun)
    arguments.push_back(e.i64());
  if (options.types.tileRegisters)
    arguments.push_back(e.i64());
  LocalFunction function = e.beginLocal(name, arguments);
  if (options.types.tileRegisters)
    emitTileRegisters(e, shape, options.types, function.arguments);
  else
    TileEmission(e, shape, options, function.arguments).emit();
  e.endLocal();
  return function;
}

int vectorsPerPanel(const ElementTypes &types, const TargetInfo &target) {
  return static_cast<int>(panelColumns / types.lanes(target));
}

int registersOf(TileShape shape, const ElementTypes &types, const TargetInfo &target) {
  int vectors = shape.panels * vectorsPerPanel(types, target);
  if (types.multipliesQuads())
    return shape.rows * vectors + vectors + 1 + (types.row == DType::I8 ? 1 : 0);
  int packs = types.kPack > 1 ? vectors + 1 : 0; // steps of K that wait for their turn, and a mask
  int products = types.exact() ? 1 : 0;          // integers have no fused multiply-add
  return shape.rows * vectors + vectors + packs + products + 1;
}

} // namespace kiln::gemm
