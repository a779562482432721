#include "codegen/families/gemm/RegisterTile.h"

namespace kiln::gemm {

using namespace emit;

namespace {

/// Emission of one tile's K loops; the accumulators travel through them as loop-carried values.
class TileEmission {
public:
  TileEmission(Emitter &e, TileShape shape, const TileOptions &options, ValueRange arguments)
      : e(e), options(options), rows(shape.rows), lanes(e.lanes()),
        vectors(static_cast<int>(shape.panels * panelColumns / lanes)), table(arguments[0]), b(arguments[1]),
        panelBytes(arguments[2]), bStep(arguments[3]), aStep(arguments[4]), taps(arguments[5]), inner(arguments[6]),
        result(arguments[7]), resultBytes(arguments[8]) {}

  void emit() {
    auto vector = e.vec(e.f32(), lanes);
    Values state(static_cast<size_t>(rows * vectors), e.constant(vector, 0.0));
    state.push_back(b);
    bool remainder = options.innerDivisor % options.unroll != 0;
    Value one = e.index(1), zero = e.index(0), step = e.index(options.unroll);
    Value mainEnd = remainder ? e.sub(inner, e.rem(inner, step)) : inner;
    state = e.loop(zero, taps, one, state, [&](Value tap, ValueRange carried) {
      Value tapRow = e.offset(table, tap, options.tableRowBytes);
      Values pointers;
      for (int i = 0; i < rows; ++i)
        pointers.push_back(e.load(e.ptr(), e.offset(tapRow, int64_t(i) * 8)));
      Values now = e.loop(zero, mainEnd, step, carried,
                          [&](Value k, ValueRange in) { return steps(pointers, k, options.unroll, in); });
      if (remainder)
        now = e.loop(mainEnd, inner, one, now, [&](Value k, ValueRange in) { return steps(pointers, k, 1, in); });
      return now;
    });
    Value row = result;
    for (int i = 0; i < rows; ++i) {
      for (int j = 0; j < vectors; ++j)
        e.store(state[static_cast<size_t>(i * vectors + j)], e.offset(row, int64_t(j) * lanes * 4),
                static_cast<unsigned>(lanes * 4));
      row = e.offset(row, resultBytes, 1);
    }
  }

private:
  /// `count` steps of K from `k` on.
  Values steps(ValueRange pointers, Value k, int count, ValueRange in) {
    Values out(in.begin(), in.end());
    Value base = out.back();
    auto vector = e.vec(e.f32(), lanes);
    Value aOffset = options.contiguousA ? Value() : e.mul(k, aStep);
    Value bRow = base;
    for (int u = 0; u < count; ++u) {
      Values bs;
      for (int j = 0; j < vectors; ++j) {
        Value at = bAddress(bRow, u, j);
        bs.push_back(e.load(vector, at, options.packed ? static_cast<unsigned>(lanes * 4) : 4));
        if (options.prefetch && (j * lanes) % panelColumns == 0)
          e.prefetch(options.packed ? e.offset(at, int64_t(options.prefetch) * panelColumns * 4)
                                    : e.offset(at, bStep, options.prefetch));
      }
      for (int i = 0; i < rows; ++i) {
        Value row = pointers[static_cast<size_t>(i)];
        Value at = options.contiguousA ? e.offset(e.offset(row, k, 4), int64_t(u) * 4) : e.offset(row, aOffset, 1);
        Value a = e.splat(e.load(e.f32(), at), lanes);
        for (int j = 0; j < vectors; ++j) {
          Value &acc = out[static_cast<size_t>(i * vectors + j)];
          acc = e.fma(a, bs[static_cast<size_t>(j)], acc);
        }
      }
      if (!options.contiguousA)
        aOffset = e.add(aOffset, aStep);
      if (!options.packed)
        bRow = e.offset(bRow, bStep, 1);
    }
    out.back() = options.packed ? e.offset(base, int64_t(count) * panelColumns * 4) : bRow;
    return out;
  }

  Value bAddress(Value row, int step, int vector) {
    int64_t column = vector * lanes;
    if (!options.packed)
      return e.offset(row, column * 4);
    int64_t panel = column / panelColumns, within = column % panelColumns;
    Value at = panel == 0 ? row : e.offset(row, panel == 1 ? panelBytes : e.mul(panelBytes, e.index(panel)), 1);
    return e.offset(at, (step * panelColumns + within) * 4);
  }

  Emitter &e;
  const TileOptions &options;
  int rows;
  int64_t lanes;
  int vectors;
  Value table, b, panelBytes, bStep, aStep, taps, inner, result, resultBytes;
};

} // namespace

LocalFunction emitRegisterTile(Emitter &e, llvm::StringRef name, TileShape shape, const TileOptions &options) {
  LocalFunction function =
      e.beginLocal(name, {e.ptr(), e.ptr(), e.i64(), e.i64(), e.i64(), e.i64(), e.i64(), e.ptr(), e.i64()});
  TileEmission(e, shape, options, function.arguments).emit();
  e.endLocal();
  return function;
}

int registersOf(TileShape shape, const TargetInfo &target) {
  int vectors = static_cast<int>(shape.panels * panelColumns / target.lanes(32));
  return shape.rows * vectors + vectors + 1;
}

} // namespace kiln::gemm
