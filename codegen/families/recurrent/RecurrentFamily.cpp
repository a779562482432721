// Recurrent: rnn, gru and lstm layers in two launches. The first one multiplies x of all steps with its weights, which
// is one big product. The second one walks over the steps, a workgroup for each direction and each few elements of the
// batch: their states stay in scratch, the weights of the state in the caches.
//
// Both share one loop: a tile of rows times one block of 16 hidden units, all gates at once, so that a cell has its
// gates in registers.
#include "codegen/families/CpuFamilies.h"

#include "codegen/Roofline.h"
#include "codegen/emit/ScalarEmitter.h"
#include "codegen/families/common/Family.h"
#include "codegen/families/common/Launches.h"
#include "codegen/families/recurrent/Layer.h"

#include "kiln/kernel_abi.h"

#include <cmath>

namespace kiln {
using namespace emit;

namespace {

constexpr int64_t blockUnits = 16;
/// Rows of x that a workgroup of the first launch multiplies.
constexpr int64_t chunkRows = 48;

/// What a configuration makes of a layer.
class RecurrentKernel {
public:
  RecurrentKernel(const Problem &problem, const Config &config, const TargetInfo &target)
      : problem(problem), layer(*RecurrentLayer::of(problem)), rows(config.getInt("rows")),
        unroll(config.getInt("unroll")), lanes(target.lanes(32)), vectors(blockUnits / lanes) {}

  KernelInterface describe() const;
  double cycles(const PricedProblem &priced) const;
  void emit(Emitter &e, const KernelInterface &interface) const;

  /// The most rows whose gates fit in registers.
  static int64_t mostRows(int64_t gates, const TargetInfo &target) {
    int64_t vectors = blockUnits / target.lanes(32);
    return std::clamp<int64_t>((target.lanes(32) == 16 ? 24 : 10) / (gates * vectors), 1, 6);
  }

private:
  friend class Walk;
  SizeExpr rowCount() const { return layer.steps * layer.batch; }
  SizeExpr batchBlocks() const { return SizeExpr::ceilDiv(layer.batch, rows); }
  int64_t stateBytes() const { return layer.blocks() * blockUnits * 4; }
  /// Of one row: h twice, c or what a gru keeps between its two products.
  int64_t scratchStates() const {
    return layer.cell == RecurrentLayer::Cell::Rnn ? 2 : layer.cell == RecurrentLayer::Cell::Lstm ? 3 : 4;
  }

  const Problem &problem;
  RecurrentLayer layer;
  int64_t rows, unroll, lanes, vectors;
};

KernelInterface RecurrentKernel::describe() const {
  auto input = [&](Problem::ValueId id) { return uint32_t(problem.inputIndex(id)); };
  KernelInterface interface;
  interface.packed = {{input(layer.w), layer.packWeights(layer.inputs)},
                      {input(layer.r), layer.packWeights(layer.hidden)}};
  SizeExpr gates = rowCount() * SizeExpr(layer.directions * layer.gates * layer.blocks() * blockUnits);
  interface.workspaceBytes = gates * 4;

  KernelInterface::Launch project;
  project.name = "project";
  project.operands = {KernelOperand::input(input(layer.x)), KernelOperand::packed(0)};
  if (layer.bias != Problem::absent)
    project.operands.push_back(KernelOperand::input(input(layer.bias)));
  project.grid = SizeExpr::ceilDiv(rowCount(), chunkRows) * SizeExpr(layer.directions * layer.blocks());
  project.flops = rowCount() * SizeExpr(2 * layer.directions * layer.gates * layer.hidden * layer.inputs);
  project.bytes = (rowCount() * SizeExpr(layer.inputs) + gates +
                   SizeExpr(layer.directions * layer.gates * layer.hidden * layer.inputs)) *
                  4;

  std::vector<KernelOperand> operands{KernelOperand::packed(1)};
  for (Problem::ValueId id : {layer.bias, layer.initialH, layer.initialC, layer.lengths})
    if (id != Problem::absent)
      operands.push_back(KernelOperand::input(input(id)));
  for (size_t i = 0; i < problem.outputs.size(); ++i)
    operands.push_back(KernelOperand::output(i));
  KernelInterface::Launch recur = mainLaunch(problem, "recur", batchBlocks() * SizeExpr(layer.directions),
                                             SizeExpr(scratchStates() * rows * stateBytes()), operands);
  recur.flops = recur.flops - project.flops;
  interface.launches = {std::move(project), std::move(recur)};
  return interface;
}

double RecurrentKernel::cycles(const PricedProblem &priced) const {
  double steps = priced.value(layer.steps), batch = priced.value(layer.batch);
  double units = double(layer.blocks() * blockUnits * layer.gates * layer.directions) / double(lanes); // in vectors
  double project = steps * batch * units * double(layer.inputs) * vectorCycles * 1.2;
  // Of the state's weights a vector is loaded for each few rows' products.
  double blocks = std::ceil(batch / double(rows));
  double weights = units * double(layer.hidden) * double(lanes) * 4;
  double recur = std::max(batch * units * double(layer.hidden) * vectorCycles,
                          blocks * Roofline(priced.target).memoryCycles(weights));
  return project + steps * (recur + 12 * units * batch);
}

/// Emission of one launch's body.
class Walk {
public:
  Walk(const RecurrentKernel &kernel, Emitter &e)
      : k(kernel), layer(kernel.layer), e(e), scalars(e), vector(e.vec(e.f32(), kernel.lanes)) {}

  void emitProject();
  void emitRecur();

private:
  using Rows = llvm::SmallVector<Value, 8>;
  /// Registers of a tile: [gate][vector][row].
  struct Tile {
    int64_t first, gates, vectors, rows;
    Values registers;
    Value &at(int64_t gate, int64_t v, int64_t row) {
      return registers[size_t(((gate - first) * vectors + v) * rows + row)];
    }
  };
  Tile tileOf(int64_t first, int64_t gates, int64_t rows) {
    return {first, gates, k.vectors, rows, Values(size_t(gates * k.vectors * rows), Value())};
  }
  /// tile += rows * weights: `rows[i]` points to `depth` elements, `panel` to the block's weights.
  void multiply(Tile &tile, const Rows &rows, Value panel, int64_t depth);
  void emitProjectTile(int64_t rows, Value row0, Value to, Value block, Value direction, Value weights);
  void emitBatch(int64_t rows, Value direction, Value batch0);
  /// `live`: whether each element has such a step; empty where all have.
  void emitStep(const Rows &from, const Rows &to, const Rows &projected, const Rows &y, const Rows &live,
                Value direction);
  /// What the loop over the blocks of a step is given.
  void forBlocks(llvm::function_ref<void(Value block)> body) { e.loop(0, e.index(layer.blocks()), 1, body); }

  Value blockBytes(Value block) { return e.mul(block, e.index(blockUnits * 4)); }
  /// Elements [block * 16 + v * lanes ...] of `hidden` ones from `base` on.
  Value unitMask(Value block, int64_t v) {
    if (layer.hidden % blockUnits == 0)
      return {};
    return e.tailMask(k.lanes, e.sub(e.index(layer.hidden - v * k.lanes), e.mul(block, e.index(blockUnits))));
  }
  Value loadUnits(Value base, Value block, int64_t v) {
    Value at = e.offset(e.offset(base, blockBytes(block), 1), v * k.lanes * 4);
    Value mask = unitMask(block, v);
    return mask ? e.maskedLoad(vector, at, mask) : e.load(vector, at);
  }
  void storeUnits(Value units, Value base, Value block, int64_t v) {
    Value at = e.offset(e.offset(base, blockBytes(block), 1), v * k.lanes * 4);
    if (Value mask = unitMask(block, v))
      e.maskedStore(units, at, mask);
    else
      e.store(units, at);
  }
  /// The same of a padded state in scratch.
  Value statePlace(Value row, Value block, int64_t v) {
    return e.offset(e.offset(row, blockBytes(block), 1), v * k.lanes * 4);
  }
  Value loadState(Value row, Value block, int64_t v) { return e.load(vector, statePlace(row, block, v)); }
  void storeState(Value state, Value row, Value block, int64_t v) { e.store(state, statePlace(row, block, v)); }
  /// Biases of x's product (`ofState` 0) or of the state's (1), at [direction][ofState][gate][hidden].
  Value biasRow(Value direction, int64_t ofState, int64_t gate) {
    Value row = e.add(e.mul(direction, e.index(2)), e.index(ofState));
    Value unit = e.mul(e.add(e.mul(row, e.index(layer.gates)), e.index(gate)), e.index(layer.hidden));
    return e.offset(bias, unit, 4);
  }
  bool keepsStateBias(int64_t gate) const {
    return layer.cell == RecurrentLayer::Cell::Gru && layer.linearBeforeReset && gate == 2;
  }

  const RecurrentKernel &k;
  const RecurrentLayer &layer;
  Emitter &e;
  ScalarEmitter scalars;
  Type vector;
  Value weights, bias;        ///< operands of the launch
  Rows cell, kept, resetRows; ///< scratch of each row: c; z and r * h of a gru
};

void Walk::multiply(Tile &tile, const Rows &rows, Value panel, int64_t depth) {
  int64_t stepBytes = layer.gates * blockUnits * 4;
  auto step = [&](Value at, Value panelAt, int64_t u) {
    Values weights;
    for (int64_t g = 0; g < tile.gates; ++g)
      for (int64_t v = 0; v < tile.vectors; ++v)
        weights.push_back(
            e.load(vector, e.offset(panelAt, u * stepBytes + ((tile.first + g) * blockUnits + v * k.lanes) * 4), 4));
    for (int64_t i = 0; i < tile.rows; ++i) {
      Value x = e.splat(e.load(e.f32(), e.offset(e.offset(rows[size_t(i)], at, 4), u * 4)), k.lanes);
      for (int64_t g = 0; g < tile.gates; ++g)
        for (int64_t v = 0; v < tile.vectors; ++v) {
          Value &sum = tile.at(tile.first + g, v, i);
          sum = e.fma(x, weights[size_t(g * tile.vectors + v)], sum);
        }
    }
  };
  int64_t whole = depth / k.unroll * k.unroll;
  if (whole > 0)
    tile.registers = e.loop(e.index(0), e.index(whole), e.index(k.unroll), tile.registers,
                            [&](Value at, ValueRange carried) -> Values {
                              tile.registers.assign(carried.begin(), carried.end());
                              Value panelAt = e.offset(panel, at, stepBytes);
                              for (int64_t u = 0; u < k.unroll; ++u)
                                step(at, panelAt, u);
                              return tile.registers;
                            });
  Value panelAt = e.offset(panel, whole * stepBytes);
  for (int64_t u = 0; u < depth - whole; ++u)
    step(e.index(whole), panelAt, u);
}

void Walk::emitProjectTile(int64_t rows, Value row0, Value to, Value block, Value direction, Value panel) {
  Tile tile = tileOf(0, layer.gates, rows);
  for (int64_t g = 0; g < layer.gates; ++g)
    for (int64_t v = 0; v < k.vectors; ++v) {
      Value start = e.constant(vector, 0.0);
      if (bias) {
        start = loadUnits(biasRow(direction, 0, g), block, v);
        if (!keepsStateBias(g))
          start = e.add(start, loadUnits(biasRow(direction, 1, g), block, v));
      }
      for (int64_t i = 0; i < rows; ++i)
        tile.at(g, v, i) = start;
    }
  Rows from;
  for (int64_t i = 0; i < rows; ++i)
    from.push_back(e.offset(e.buffer(0), e.mul(e.add(row0, e.index(i)), e.index(layer.inputs)), 4));
  multiply(tile, from, panel, layer.inputs);
  // [direction][row][block][gate][16]
  int64_t tileBytes = layer.gates * blockUnits * 4;
  for (int64_t i = 0; i < rows; ++i) {
    Value place = e.add(e.mul(e.add(row0, e.index(i)), e.index(layer.blocks())), block);
    for (int64_t g = 0; g < layer.gates; ++g)
      for (int64_t v = 0; v < k.vectors; ++v)
        e.store(tile.at(g, v, i), e.offset(e.offset(to, place, tileBytes), (g * blockUnits + v * k.lanes) * 4), 4);
  }
}

void Walk::emitProject() {
  weights = e.buffer(1);
  bias = layer.bias == Problem::absent ? Value() : e.buffer(2);
  Value all = e.size(k.rowCount()), chunks = e.ceilDiv(all, e.index(chunkRows));
  Value chunk = e.rem(e.workgroup(), chunks), place = e.div(e.workgroup(), chunks);
  Value block = e.rem(place, e.index(layer.blocks())), direction = e.div(place, e.index(layer.blocks()));
  Value panel = e.offset(weights, place, layer.inputs * layer.gates * blockUnits * 4);
  Value to = e.offset(e.workspace(), e.mul(direction, all), layer.blocks() * layer.gates * blockUnits * 4);
  Value begin = e.mul(chunk, e.index(chunkRows)), end = e.min(e.add(begin, e.index(chunkRows)), all);
  int64_t rows = RecurrentKernel::mostRows(layer.gates, e.target());
  Value whole = e.add(begin, e.mul(e.div(e.sub(end, begin), e.index(rows)), e.index(rows)));
  e.loop(begin, whole, e.index(rows), [&](Value row) { emitProjectTile(rows, row, to, block, direction, panel); });
  e.loop(whole, end, e.index(1), [&](Value row) { emitProjectTile(1, row, to, block, direction, panel); });
}

/// One step of `from.size()` elements of the batch: from their states, and x's products, to the next ones.
void Walk::emitStep(const Rows &from, const Rows &to, const Rows &projected, const Rows &y, const Rows &live,
                    Value direction) {
  using Cell = RecurrentLayer::Cell;
  auto rows = int64_t(from.size());
  int64_t tileBytes = layer.gates * blockUnits * 4;
  auto loadProjected = [&](Value block, int64_t gate, int64_t v, int64_t row) {
    Value tile = e.offset(projected[size_t(row)], block, tileBytes);
    return e.load(vector, e.offset(tile, (gate * blockUnits + v * k.lanes) * 4), 4);
  };
  auto panelOf = [&](Value block) {
    Value place = e.add(e.mul(direction, e.index(layer.blocks())), block);
    return e.offset(weights, place, layer.hidden * tileBytes);
  };
  auto orKept = [&](Value state, Value before, Value block, int64_t v, size_t row) {
    return live.empty() ? state : e.select(live[row], state, loadState(before, block, v));
  };
  auto finish = [&](Value h, Value block, int64_t v, size_t row) {
    storeState(orKept(h, from[row], block, v, row), to[row], block, v);
    if (!y.empty())
      storeUnits(live.empty() ? h : e.select(live[row], h, e.constant(vector, 0.0)), y[row], block, v);
  };
  auto each = [&](auto body) {
    for (int64_t v = 0; v < k.vectors; ++v)
      for (int64_t i = 0; i < rows; ++i)
        body(v, i);
  };
  // A gru that resets before its product has z and r of all units first.
  bool inTwo = layer.cell == Cell::Gru && !layer.linearBeforeReset;
  int64_t gates = inTwo ? 2 : layer.gates;
  forBlocks([&](Value block) {
    Tile tile = tileOf(0, gates, rows);
    for (int64_t g = 0; g < gates; ++g)
      each([&](int64_t v, int64_t i) {
        tile.at(g, v, i) = !keepsStateBias(g) ? loadProjected(block, g, v, i)
                           : bias             ? loadUnits(biasRow(direction, 1, g), block, v)
                                              : e.constant(vector, 0.0);
      });
    multiply(tile, from, panelOf(block), layer.hidden);
    each([&](int64_t v, int64_t i) {
      auto row = size_t(i);
      auto gate = [&](int64_t g) { return tile.at(g, v, i); };
      Value one = e.constant(vector, 1.0);
      if (layer.cell == Cell::Rnn) {
        finish(layer.isRelu ? e.max(gate(0), e.constant(vector, 0.0)) : scalars.tanh(gate(0)), block, v, row);
      } else if (layer.cell == Cell::Lstm) { // gates i, o, f, c
        Value kept = e.mul(scalars.sigmoid(gate(2)), loadState(cell[row], block, v));
        Value c = e.fma(scalars.sigmoid(gate(0)), scalars.tanh(gate(3)), kept);
        storeState(orKept(c, cell[row], block, v, row), cell[row], block, v);
        finish(e.mul(scalars.sigmoid(gate(1)), scalars.tanh(c)), block, v, row);
      } else { // gates z, r, h
        Value z = scalars.sigmoid(gate(0)), r = scalars.sigmoid(gate(1)), h = loadState(from[row], block, v);
        if (inTwo) {
          storeState(z, kept[row], block, v);
          storeState(e.mul(r, h), resetRows[row], block, v);
        } else {
          Value next = scalars.tanh(e.fma(r, gate(2), loadProjected(block, 2, v, i)));
          finish(e.fma(e.sub(one, z), next, e.mul(z, h)), block, v, row);
        }
      }
    });
  });
  if (!inTwo)
    return;
  forBlocks([&](Value block) {
    Tile tile = tileOf(2, 1, rows);
    each([&](int64_t v, int64_t i) { tile.at(2, v, i) = loadProjected(block, 2, v, i); });
    multiply(tile, resetRows, panelOf(block), layer.hidden);
    each([&](int64_t v, int64_t i) {
      auto row = size_t(i);
      Value z = loadState(kept[row], block, v), h = loadState(from[row], block, v);
      Value next = scalars.tanh(tile.at(2, v, i));
      finish(e.fma(e.sub(e.constant(vector, 1.0), z), next, e.mul(z, h)), block, v, row);
    });
  });
}

/// All steps of `rows` elements of the batch.
void Walk::emitBatch(int64_t rows, Value direction, Value batch0) {
  size_t next = 1 + (layer.bias != Problem::absent);
  Value initialH = layer.initialH != Problem::absent ? e.buffer(next++) : Value();
  Value initialC = layer.initialC != Problem::absent ? e.buffer(next++) : Value();
  Value lengths = layer.lengths != Problem::absent ? e.buffer(next++) : Value();
  Values results(layer.results.size(), Value());
  for (size_t i = 0; i < k.problem.outputs.size(); ++i)
    results[size_t(k.problem.outputs[i] - layer.results[0])] = e.buffer(next++);

  Value batch = e.size(layer.batch), steps = e.size(layer.steps), one = e.index(1);
  Rows first, second, stateRows; // h of this step and of the next; [direction][batch][hidden] in states
  Rows ends;                     // lengths of the elements, where there are any
  cell.clear(), kept.clear(), resetRows.clear();
  for (int64_t i = 0; i < rows; ++i) {
    auto scratch = [&](int64_t which) { return e.offset(e.scratch(), (which * rows + i) * k.stateBytes()); };
    first.push_back(scratch(0));
    second.push_back(scratch(1));
    if (layer.cell == RecurrentLayer::Cell::Lstm)
      cell.push_back(scratch(2));
    if (layer.cell == RecurrentLayer::Cell::Gru) {
      kept.push_back(scratch(2));
      resetRows.push_back(scratch(3));
    }
    Value element = e.add(batch0, e.index(i));
    if (lengths) {
      Value length = e.resizeInt(e.load(e.i32(), e.offset(lengths, element, 4)), e.i64());
      Value valid = e.bitAnd(e.cmp(Cmp::ge, length, e.index(0)), e.cmp(Cmp::le, length, steps));
      e.ifThen(e.bitXor(valid, e.constant(e.i1(), 1)), [&] { e.setStatus(KILN_KERNEL_INDEX_OUT_OF_RANGE); });
      ends.push_back(length);
    }
    stateRows.push_back(e.mul(e.add(e.mul(direction, batch), element), e.index(layer.hidden)));
  }
  auto forUnits = [&](auto body) {
    forBlocks([&](Value block) {
      for (int64_t v = 0; v < k.vectors; ++v)
        for (size_t i = 0; i < size_t(rows); ++i)
          body(block, v, i);
    });
  };
  auto initial = [&](Value from, size_t i, Value block, int64_t v) {
    return from ? loadUnits(e.offset(from, stateRows[i], 4), block, v) : e.constant(vector, 0.0);
  };
  forUnits([&](Value block, int64_t v, size_t i) {
    storeState(initial(initialH, i, block, v), first[i], block, v);
    if (!cell.empty())
      storeState(initial(initialC, i, block, v), cell[i], block, v);
  });

  Values states(first.begin(), first.end());
  states.append(second.begin(), second.end());
  Values last = e.loop(e.index(0), steps, one, states, [&](Value s, ValueRange carried) -> Values {
    Value backwards = e.sub(e.sub(steps, one), s);
    Value t = layer.reversed          ? backwards
              : layer.directions == 1 ? s
                                      : e.select(e.cmp(Cmp::eq, direction, one), backwards, s);
    Rows from(carried.begin(), carried.begin() + rows), to(carried.begin() + rows, carried.end()), projected, y;
    int64_t projectedBytes = layer.blocks() * layer.gates * blockUnits * 4;
    for (int64_t i = 0; i < rows; ++i) {
      Value element = e.add(batch0, e.index(i));
      Value row = e.add(e.mul(e.add(e.mul(direction, steps), t), batch), element);
      projected.push_back(e.offset(e.workspace(), row, projectedBytes));
      if (results[0]) { // [steps][direction][batch][hidden]
        Value place = e.add(e.mul(e.add(e.mul(t, e.index(layer.directions)), direction), batch), element);
        y.push_back(e.offset(results[0], e.mul(place, e.index(layer.hidden)), 4));
      }
    }
    Rows live;
    for (Value end : ends)
      live.push_back(e.cmp(Cmp::lt, t, end));
    emitStep(from, to, projected, y, live, direction);
    Values swapped(to.begin(), to.end());
    swapped.append(from.begin(), from.end());
    return swapped;
  });
  // Where there is no step, there is no last state.
  auto store = [&](Value result, size_t i, Value state, Value block, int64_t v) {
    Value any = e.cmp(Cmp::gt, ends.empty() ? steps : ends[i], e.index(0));
    Value units = e.select(any, loadState(state, block, v), e.constant(vector, 0.0));
    storeUnits(units, e.offset(result, stateRows[i], 4), block, v);
  };
  forUnits([&](Value block, int64_t v, size_t i) {
    if (results[1])
      store(results[1], i, last[i], block, v);
    if (results.size() > 2 && results[2])
      store(results[2], i, cell[i], block, v);
  });
}

void Walk::emitRecur() {
  weights = e.buffer(0);
  bias = layer.bias == Problem::absent ? Value() : e.buffer(1);
  Value parts = e.size(k.batchBlocks()), rows = e.index(k.rows);
  Value part = e.rem(e.workgroup(), parts), direction = e.div(e.workgroup(), parts);
  Value batch0 = e.mul(part, rows), left = e.sub(e.size(layer.batch), batch0);
  if (k.rows == 1)
    return emitBatch(1, direction, batch0);
  e.ifElse(
      e.cmp(Cmp::ge, left, rows), [&] { emitBatch(k.rows, direction, batch0); },
      [&] { e.loop(0, left, 1, [&](Value i) { emitBatch(1, direction, e.add(batch0, i)); }); });
}

void RecurrentKernel::emit(Emitter &e, const KernelInterface &interface) const {
  beginLaunch(e, interface, 0);
  Walk(*this, e).emitProject();
  e.endKernel();
  beginLaunch(e, interface, 1);
  Walk(*this, e).emitRecur();
  e.endKernel();
}

class RecurrentFamily final : public FamilyOf<RecurrentKernel> {
public:
  std::string_view name() const override { return "recurrent"; }
  int version() const override { return 2; }
  bool takesSeveralResults() const override { return true; }
  bool claims(const Problem &problem) const override { return RecurrentLayer::of(problem).has_value(); }

  /// As many rows as fit, but no more than there are.
  Config defaultConfig(const Problem &problem, const TargetInfo &target) const override {
    RecurrentLayer layer = *RecurrentLayer::of(problem);
    int64_t most = RecurrentKernel::mostRows(layer.gates, target);
    return configOf(layer.batch.isConstant() ? std::clamp<int64_t>(layer.batch.constant(), 1, most) : most, 4);
  }
  std::vector<Config> candidates(const Problem &problem, const TargetInfo &target) const override {
    std::vector<Config> configs;
    for (int64_t rows = 1; rows <= RecurrentKernel::mostRows(RecurrentLayer::of(problem)->gates, target); ++rows)
      for (int64_t unroll : {1, 4, 8})
        configs.push_back(configOf(rows, unroll));
    return configs;
  }
  /// Errors of a step are handed on; a saturating cell does not let them grow. With relu they grow as the numbers do.
  Exactness exactness(const Problem &, const Config &) const override { return {1e-5, 2e-5}; }

private:
  static Config configOf(int64_t rows, int64_t unroll) { return Config{{"rows", rows}, {"unroll", unroll}}; }
};

} // namespace

const KernelFamily &recurrentFamily() {
  static const RecurrentFamily family;
  return family;
}

} // namespace kiln
