// softmax(q * scale @ k^T + mask) @ v in one sweep: the scores of a tile of rows never leave the cache. q, k, v and the
// result may be read and written through transposes (heads split from and joined to the model's width without copies).
//
// For many rows, k^T and v are packed into panels first. For a few, such as the one token of a decoder's step, packing
// would be most of the work: keys and values are read where they lie, which a cache of them makes long.
#include "codegen/families/CpuFamilies.h"

#include "codegen/emit/ScalarEmitter.h"
#include "codegen/families/common/Access.h"
#include "codegen/families/common/Family.h"
#include "codegen/families/common/Launches.h"
#include "codegen/families/common/Space.h"
#include "codegen/families/common/StridedView.h"
#include "codegen/families/gemm/Panels.h"
#include "codegen/families/gemm/Tiling.h"

#include <algorithm>
#include <limits>

namespace kiln {

using namespace emit;
using namespace gemm;

namespace {

/// A problem's attention, taken apart.
struct Attention {
  StridedView q, k, v;
  Problem::ValueId mask = Problem::absent, result = Problem::absent;
  std::vector<SizeExpr> outStrides; ///< of the result's dims in the output's buffer
  std::vector<SizeExpr> batch;
  SizeExpr rows, columns, depth, width; ///< S, T, D, E
  double scale = 1;
  ElementTypes types; ///< k and v are packed wide, rows of q widened into scratch

  SizeExpr batches() const { return SizeExpr::product(batch); }
  /// Whether keys and values can be read where they lie, for a few rows.
  bool readsInPlace(const TargetInfo &target) const;
  static std::optional<Attention> of(const Problem &problem);
};

std::optional<Attention> Attention::of(const Problem &problem) {
  const Problem::Op *op = nullptr;
  for (const Problem::Op &candidate : problem.ops) {
    if (candidate.mnemonic == "attention") {
      if (op)
        return std::nullopt;
      op = &candidate;
    } else if (candidate.mnemonic != "transpose" &&
               (op || (candidate.mnemonic != "slice" && candidate.mnemonic != "reshape"))) {
      return std::nullopt;
    }
  }
  if (!op || op->operands.size() < 3 || problem.outputs.size() != 1 || !problem.inPlace.empty())
    return std::nullopt;
  Attention a;
  a.result = op->result();
  a.mask = op->operands.size() > 3 ? op->operands[3] : Problem::absent;
  a.scale = op->attributes.getFloat("scale", 1.0);
  DType dtype = problem.value(a.result).dtype;
  auto types = ElementTypes::of(dtype);
  if (!types || types->exact())
    return std::nullopt;
  a.types = types->packedWide();
  auto q = StridedView::of(problem, op->operands[0]), k = StridedView::of(problem, op->operands[1]),
       v = StridedView::of(problem, op->operands[2]);
  auto out = outputStrides(problem, a.result, problem.outputs[0]);
  if (!q || !k || !v || !out)
    return std::nullopt;
  a.q = *q, a.k = *k, a.v = *v, a.outStrides = *out;
  const std::vector<SizeExpr> &dims = problem.value(a.result).dims;
  size_t rank = dims.size();
  for (const StridedView *view : {&a.q, &a.k, &a.v})
    if (view->dims.size() != rank || problem.value(view->buffer).dtype != dtype)
      return std::nullopt;
  a.batch.assign(dims.begin(), dims.end() - 2);
  a.rows = dims[rank - 2];
  a.width = dims[rank - 1];
  a.depth = a.q.dims[rank - 1];
  a.columns = a.k.dims[rank - 2];
  for (const StridedView *view : {&a.q, &a.k, &a.v})
    if (!std::equal(a.batch.begin(), a.batch.end(), view->dims.begin()))
      return std::nullopt;
  // The scores' rows are read element by element along the depth, results are stored as vectors.
  if (!a.q.strides.back().isConstant(1) || !a.outStrides.back().isConstant(1))
    return std::nullopt;
  if (a.mask != Problem::absent) {
    const Problem::Value &mask = problem.value(a.mask);
    if (!mask.isBuffer() || (mask.dtype != dtype && mask.dtype != DType::Bool) || mask.dims.size() > rank)
      return std::nullopt;
  }
  return a;
}

bool Attention::readsInPlace(const TargetInfo &target) const {
  auto inVectors = [&](const SizeExpr &size) {
    int64_t lanes = types.lanes(target), elements = size.asConstant().value_or(0);
    return elements > 0 && elements % lanes == 0 && elements / lanes <= 16;
  };
  int64_t count = rows.asConstant().value_or(0);
  return count >= 1 && count <= 4 && inVectors(depth) && inVectors(width) && k.strides.back().isConstant(1) &&
         v.strides.back().isConstant(1);
}

/// A configuration: the tile of rows, and tiles per workgroup. Without panels keys and values are read where they lie.
struct AttentionTiling {
  TileShape tile;
  int blockTiles = 1, unroll = 4;

  static AttentionTiling inPlace() { return {{1, 0}, 1, 1}; }
  bool isInPlace() const { return tile.panels == 0; }

  void eachField(auto use) {
    use("rows", tile.rows);
    use("panels", tile.panels);
    use("tiles", blockTiles);
    use("unroll", unroll);
  }
};

ProductShape scoresShape(const Attention &a) {
  ProductShape shape;
  shape.types = a.types;
  shape.rows = a.rows.asConstant();
  shape.columns = a.columns.asConstant();
  shape.depth = a.depth.asConstant();
  return shape;
}

AttentionTiling tilingOf(const Attention &a, const Tiling &product) {
  int64_t columns = a.columns.asConstant().value_or(256), depth = a.depth.asConstant().value_or(64);
  int64_t flopsPerTile = 4 * product.tile.rows * std::max<int64_t>(columns, 1) * std::max<int64_t>(depth, 1);
  int tiles = static_cast<int>(std::clamp<int64_t>(2000000 / flopsPerTile, 1, 32));
  return {product.tile, tiles, product.unroll};
}

/// What a tiling makes of a problem. Launch 1 packs k^T and v into panels, launch 2 takes tiles of rows through scores,
/// softmax and values.
struct AttentionShape {
  const Problem &problem;
  Attention a;
  AttentionTiling tiling;
  int64_t bytes = a.types.accumulatorBytes(); ///< of an element of what lies in scratch and workspace

  AttentionShape(const Problem &problem, const Config &config, const TargetInfo &)
      : problem(problem), a(*Attention::of(problem)), tiling(fromConfig<AttentionTiling>(config)) {}

  SizeExpr tiles() const { return SizeExpr::ceilDiv(a.rows, tiling.tile.rows); }
  SizeExpr blocks() const { return SizeExpr::ceilDiv(tiles(), tiling.blockTiles); }
  SizeExpr keyPanels() const { return SizeExpr::ceilDiv(a.columns, panelColumns); }
  SizeExpr valuePanels() const { return SizeExpr::ceilDiv(a.width, panelColumns); }
  SizeExpr keyBytes() const { return keyPanels() * a.depth * (panelColumns * bytes); }
  SizeExpr valueBytes() const { return valuePanels() * a.columns * (panelColumns * bytes); }
  /// Of a row of scores: whole panels, and one more so that rows do not fall on each other in the cache.
  SizeExpr scoreRowBytes() const { return (keyPanels() + 1) * (panelColumns * bytes); }
  /// Of a row of q that is widened.
  SizeExpr queryRowBytes() const {
    return a.types.widens() ? SizeExpr::ceilDiv(a.depth, panelColumns) * (panelColumns * bytes) : SizeExpr(0);
  }
  int64_t tileBytes() const { return int64_t(tiling.tile.rows) * tiling.tile.panels * panelColumns * bytes; }
  static constexpr int64_t tableBytes = 16 * 8;
  int64_t scaleBytes() const { return 16 * bytes; }
  KernelInterface describe() const;
  double cycles(const PricedProblem &priced) const;
};

double AttentionShape::cycles(const PricedProblem &priced) const {
  double batches = priced.value(a.batches()), rows = priced.value(a.rows);
  if (tiling.isInPlace()) { // a score is also a sum over lanes
    double lanes = double(a.types.lanes(priced.target));
    return batches * rows * priced.value(a.columns) *
           ((priced.value(a.depth) + priced.value(a.width) + 12) / lanes + 8);
  }
  auto sizesOf = [&](const SizeExpr &columns, const SizeExpr &depth) {
    ProductShape product;
    product.types = a.types;
    product.rows = int64_t(rows);
    product.columns = int64_t(priced.value(columns));
    product.depth = int64_t(priced.value(depth));
    return product;
  };
  Tiling product;
  product.tile = tiling.tile;
  product.blockTiles = tiling.blockTiles;
  double scores = rows * priced.value(a.columns) / a.types.lanes(priced.target);
  double packed = priced.value(a.columns) * (priced.value(a.depth) + priced.value(a.width));
  // A score is scaled, masked, compared and raised to its power; a key is transposed as it is packed.
  return batches * (tilingCycles(product, sizesOf(a.columns, a.depth), priced.target) +
                    tilingCycles(product, sizesOf(a.width, a.columns), priced.target) + 12 * scores + packed);
}

KernelInterface AttentionShape::describe() const {
  auto input = [&](Problem::ValueId id) { return KernelOperand::input(size_t(problem.inputIndex(id))); };
  if (tiling.isInPlace()) {
    std::vector<KernelOperand> operands{input(a.q.buffer), input(a.k.buffer), input(a.v.buffer)};
    if (a.mask != Problem::absent)
      operands.push_back(input(a.mask));
    operands.push_back(KernelOperand::output(0));
    return oneLaunch(
        mainLaunch(problem, "attention", a.batches() * a.rows, SizeExpr(scaleBytes()) + scoreRowBytes(), operands));
  }
  KernelInterface interface;
  interface.workspaceBytes = a.batches() * (keyBytes() + valueBytes());
  SizeExpr read = a.batches() * a.columns * (a.depth + a.width) * a.types.operandBytes();
  interface.launches.push_back({"pack",
                                {input(a.k.buffer), input(a.v.buffer)},
                                a.batches() * (keyPanels() + valuePanels()),
                                0,
                                0,
                                read + interface.workspaceBytes});
  std::vector<KernelOperand> operands{input(a.q.buffer)};
  if (a.mask != Problem::absent)
    operands.push_back(input(a.mask));
  operands.push_back(KernelOperand::output(0));
  SizeExpr scratch =
      SizeExpr(tileBytes() + 2 * tableBytes + scaleBytes()) + (scoreRowBytes() + queryRowBytes()) * tiling.tile.rows;
  interface.launches.push_back(mainLaunch(problem, "attention", a.batches() * blocks(), scratch, operands));
  return interface;
}

/// Emission of one problem.
class AttentionEmission : AttentionShape {
public:
  AttentionEmission(const AttentionShape &shape, Emitter &e, const KernelInterface &interface)
      : AttentionShape(shape), interface(interface), e(e), scalars(e), lanes(a.types.lanes(e.target())),
        vector(e.vec(e.registerType(a.types.accumulator), lanes)) {}

  void run() {
    if (tiling.isInPlace())
      return emitInPlace();
    emitPacking();
    emitAttention();
  }

private:
  void emitInPlace();
  void emitPacking();
  void emitAttention();
  void emitTile(Value batch, Value row0, Value rows);
  void forGroups(Value panels, llvm::function_ref<void(Value panel, int count)> body);
  void emitSoftmax(Value batch, Value row0, Value rows);
  void emitResult(Value batch, Value row0, Value rows);
  Values batchIndices(Value batch);
  /// Bytes from a view's start to the matrix of one batch.
  Value batchBytes(const std::vector<SizeExpr> &strides, Value batch);
  /// Where the matrix of one batch starts in a view of `buffer`.
  Value viewStart(Value buffer, const StridedView &view, Value batch) {
    Value start = e.offset(buffer, batchBytes(view.strides, batch), 1);
    return view.offset.isConstant(0) ? start : e.offset(start, e.size(view.offset * a.types.operandBytes()), 1);
  }
  Value tailMask(Value count) { return e.tailMask(lanes, count, unsigned(8 * bytes)); }
  /// Row `i` of the tile of q, copied to scratch.
  Value widenQuery(Value row, Value i);
  void callTile(int panels, Value table, Value b, Value inner, Value result, Value resultBytes);

  const KernelInterface &interface;
  Emitter &e;
  ScalarEmitter scalars;
  int64_t lanes;
  Type vector; ///< of the accumulators
  LocalFunction tile, tail;
  // Of the kernel: the parts of scratch, and base pointers.
  Value q, mask, out, product, rowTable, scoreTable, rowScales, scores, queries;
};

/// A workgroup for each row of q.
void AttentionEmission::emitInPlace() {
  beginLaunch(e, interface);
  q = e.buffer(0);
  mask = a.mask != Problem::absent ? e.buffer(3) : Value();
  out = e.buffer(mask ? 4 : 3);
  rowScales = e.scratch();
  scores = e.offset(rowScales, scaleBytes());
  size_t rank = a.batch.size();
  int64_t own = a.types.operandBytes();
  Type element = e.registerType(a.types.accumulator);
  Value rows = e.size(a.rows), columns = e.size(a.columns), zero = e.index(0), one = e.index(1);
  Value batch = e.div(e.workgroup(), rows), row = e.rem(e.workgroup(), rows);
  auto matrix = [&](Value buffer, const StridedView &view) {
    return std::pair(viewStart(buffer, view, batch), e.size(view.strides[rank] * own));
  };
  auto rowOf = [&](std::pair<Value, Value> of, Value index) { return e.offset(of.first, e.mul(index, of.second), 1); };
  auto load = [&](Value of, int64_t at) { return e.loadAs(a.types.operand, lanes, e.offset(of, at * own)); };
  int64_t depth = *a.depth.asConstant(), width = *a.width.asConstant();

  Value query = rowOf(matrix(q, a.q), row);
  auto keys = matrix(e.buffer(1), a.k), values = matrix(e.buffer(2), a.v);
  e.loop(zero, columns, one, [&](Value c) {
    Value key = rowOf(keys, c), score = e.constant(vector, 0.0);
    for (int64_t d = 0; d < depth; d += lanes)
      score = e.fma(load(query, d), load(key, d), score);
    e.store(e.reduceAdd(score), e.offset(scores, c, bytes));
  });
  emitSoftmax(batch, row, one);
  Values sums(size_t(width / lanes), e.constant(vector, 0.0));
  sums = e.loop(zero, columns, one, sums, [&](Value c, ValueRange in) {
    Value value = rowOf(values, c), share = e.splat(e.load(element, e.offset(scores, c, bytes)), lanes);
    Values next;
    for (int64_t d = 0; d < width; d += lanes)
      next.push_back(e.fma(share, load(value, d), in[size_t(d / lanes)]));
    return next;
  });
  Value scale = e.splat(e.load(element, rowScales), lanes);
  Value to =
      e.offset(e.offset(out, batchBytes(a.outStrides, batch), 1), e.mul(row, e.size(a.outStrides[rank] * own)), 1);
  for (int64_t d = 0; d < width; d += lanes)
    e.storeAs(a.types.operand, e.mul(sums[size_t(d / lanes)], scale), e.offset(to, d * own));
  e.endKernel();
}

void AttentionEmission::emitPacking() {
  beginLaunch(e, interface);
  Value keys = e.size(keyPanels()), values = e.size(valuePanels());
  Value all = e.add(keys, values), one = e.index(1);
  Value batch = e.div(e.workgroup(), all), panel = e.rem(e.workgroup(), all);
  Value to = e.offset(e.workspace(), e.mul(batch, e.size(keyBytes() + valueBytes())), 1);
  size_t rank = a.batch.size();
  auto pack = [&](Value buffer, const StridedView &view, size_t columnDim, size_t depthDim, Value index, Value target) {
    PanelSource from;
    Value column0 = e.mul(index, e.index(panelColumns));
    from.columnBytes = e.size(view.strides[columnDim] * a.types.operandBytes());
    from.source = e.offset(viewStart(buffer, view, batch), e.mul(column0, from.columnBytes), 1);
    from.tapBytes = e.index(0);
    from.innerBytes = e.size(view.strides[depthDim] * a.types.operandBytes());
    from.taps = one;
    from.inner = e.size(view.dims[depthDim]);
    from.columns = e.sub(e.size(view.dims[columnDim]), column0);
    emitPackPanel(e, a.types, from, e.offset(target, e.mul(index, from.inner), panelColumns * bytes));
  };
  e.ifElse(
      e.cmp(Cmp::lt, panel, keys), [&] { pack(e.buffer(0), a.k, rank, rank + 1, panel, to); },
      [&] { pack(e.buffer(1), a.v, rank + 1, rank, e.sub(panel, keys), e.offset(to, e.size(keyBytes()), 1)); });
  e.endKernel();
}

Values AttentionEmission::batchIndices(Value batch) {
  Values indices(a.batch.size());
  Value rest = batch;
  for (size_t d = a.batch.size(); d-- > 0;) {
    Value size = e.size(a.batch[d]);
    indices[d] = d == 0 ? rest : e.rem(rest, size);
    rest = e.div(rest, size);
  }
  return indices;
}

Value AttentionEmission::batchBytes(const std::vector<SizeExpr> &strides, Value batch) {
  Values indices = batchIndices(batch);
  Value bytes = e.index(0);
  for (size_t d = 0; d < indices.size(); ++d)
    bytes = e.add(bytes, e.mul(indices[d], e.size(strides[d] * a.types.operandBytes())));
  return bytes;
}

void AttentionEmission::emitAttention() {
  TileOptions options;
  options.types = a.types;
  options.unroll = tiling.unroll;
  int64_t depth = a.depth.knownDivisor(), columns = a.columns.knownDivisor();
  if (depth % tiling.unroll == 0 && columns % tiling.unroll == 0)
    options.innerDivisor = tiling.unroll;
  options.tableRowBytes = tableBytes;
  tile = emitRegisterTile(e, "tile", tiling.tile, options);
  if (tiling.tile.panels > 1)
    tail = emitRegisterTile(e, "tail", {tiling.tile.rows, 1}, options);

  beginLaunch(e, interface, 1);
  q = e.buffer(0);
  mask = a.mask != Problem::absent ? e.buffer(1) : Value();
  out = e.buffer(mask ? 2 : 1);
  product = e.scratch();
  rowTable = e.offset(product, tileBytes());
  scoreTable = e.offset(rowTable, tableBytes);
  rowScales = e.offset(scoreTable, tableBytes);
  scores = e.offset(rowScales, scaleBytes());
  Value scoreBytes = e.size(scoreRowBytes()), one = e.index(1), zero = e.index(0);
  if (a.types.widens())
    queries = e.offset(scores, e.size(scoreRowBytes() * tiling.tile.rows), 1);
  e.loop(zero, e.index(tiling.tile.rows), one,
         [&](Value i) { e.store(e.offset(scores, e.mul(i, scoreBytes), 1), e.offset(scoreTable, i, 8)); });
  Value blockCount = e.size(blocks());
  Value batch = e.div(e.workgroup(), blockCount), block = e.rem(e.workgroup(), blockCount);
  Value tile0 = e.mul(block, e.index(tiling.blockTiles));
  Value tileEnd = e.min(e.size(tiles()), e.add(tile0, e.index(tiling.blockTiles)));
  e.loop(tile0, tileEnd, one, [&](Value t) {
    Value row0 = e.mul(t, e.index(tiling.tile.rows));
    emitTile(batch, row0, e.min(e.index(tiling.tile.rows), e.sub(e.size(a.rows), row0)));
  });
  e.endKernel();
}

void AttentionEmission::forGroups(Value panels, llvm::function_ref<void(Value panel, int count)> body) {
  Value width = e.index(tiling.tile.panels), one = e.index(1);
  Value whole = e.sub(panels, e.rem(panels, width));
  e.loop(e.index(0), whole, width, [&](Value panel) { body(panel, tiling.tile.panels); });
  if (tiling.tile.panels > 1)
    e.loop(whole, panels, one, [&](Value panel) { body(panel, 1); });
}

void AttentionEmission::callTile(int panels, Value table, Value b, Value inner, Value result, Value resultBytes) {
  Value zero = e.index(0);
  Value panelBytes = e.mul(inner, e.index(panelColumns * bytes));
  e.call(panels == tiling.tile.panels ? tile : tail,
         Values{table, b, panelBytes, zero, zero, e.index(1), inner, result, resultBytes});
}

Value AttentionEmission::widenQuery(Value row, Value i) {
  Value to = e.offset(queries, e.mul(i, e.size(queryRowBytes())), 1), depth = e.size(a.depth);
  emitVectors(e, e.index(0), depth, lanes, 1, unsigned(8 * bytes), a.depth, [&](Value at, int, Value mask) {
    Value wide = e.loadAs(a.types.operand, lanes, e.offset(row, at, a.types.operandBytes()), mask);
    e.store(wide, e.offset(to, at, bytes));
  });
  return to;
}

void AttentionEmission::emitTile(Value batch, Value row0, Value rows) {
  size_t rank = a.batch.size();
  Value base = viewStart(q, a.q, batch), last = e.sub(e.size(a.rows), e.index(1));
  Value rowBytes = e.size(a.q.strides[rank] * a.types.operandBytes());
  e.loop(0, e.index(tiling.tile.rows), 1, [&](Value i) {
    Value row = e.min(e.add(row0, i), last);
    Value entry = e.offset(rowTable, i, 8), start = e.offset(base, e.mul(row, rowBytes), 1);
    e.store(a.types.widens() ? widenQuery(start, i) : start, entry);
  });
  Value keys = e.offset(e.workspace(), e.mul(batch, e.size(keyBytes() + valueBytes())), 1);
  forGroups(e.size(keyPanels()), [&](Value panel, int count) {
    Value b = e.offset(keys, e.mul(panel, e.size(a.depth)), panelColumns * bytes);
    callTile(count, rowTable, b, e.size(a.depth), e.offset(scores, panel, panelColumns * bytes),
             e.size(scoreRowBytes()));
  });
  emitSoftmax(batch, row0, rows);
  emitResult(batch, row0, rows);
}

void AttentionEmission::emitSoftmax(Value batch, Value row0, Value rows) {
  constexpr double lowest = -std::numeric_limits<double>::infinity();
  Value bottom = e.constant(vector, lowest), scale = e.constant(vector, a.scale);
  Value columns = e.size(a.columns), step = e.index(lanes), zero = e.index(0);
  Value whole = e.sub(columns, e.rem(columns, step));
  bool ragged = a.columns.knownDivisor() % lanes != 0;
  std::vector<SizeExpr> space = a.batch;
  space.push_back(a.rows);
  space.push_back(a.columns);
  std::optional<BufferAccess> access;
  if (mask) {
    const Problem::Value &value = problem.value(a.mask);
    access.emplace(e, mask, value.dtype, value.dims, space);
  }
  Values indices = batchIndices(batch);
  indices.push_back({});
  e.loop(zero, rows, e.index(1), [&](Value i) {
    Value row = e.offset(scores, e.mul(i, e.size(scoreRowBytes())), 1);
    indices.back() = e.add(row0, i);
    Value maskRow = access ? access->rowAddress(indices) : Value();
    // Pass 1: scaled and masked scores, and their maximum.
    auto prepare = [&](Value column, Value top, Value inside) {
      Value at = e.offset(row, column, bytes);
      Value s = e.mul(e.load(vector, at), scale);
      if (access) {
        Value m = access->load(access->step(maskRow, column), lanes, inside);
        s = access->dtype() == DType::Bool ? e.select(m, s, bottom) : e.add(s, m);
      }
      if (inside)
        s = e.select(inside, s, bottom);
      e.store(s, at);
      return e.fastMax(top, s);
    };
    Values top{bottom};
    top = e.loop(zero, whole, step, top, [&](Value c, ValueRange in) { return Values{prepare(c, in[0], {})}; });
    if (ragged) {
      Value inside = tailMask(e.sub(columns, whole));
      top = e.ifElse(
          e.cmp(Cmp::lt, whole, columns), {vector}, [&] { return Values{prepare(whole, top[0], inside)}; },
          [&] { return top; });
    }
    Value maximum = e.splat(e.reduceMax(top[0]), lanes);
    // Pass 2: exponentials and their sum. Lanes past the end hold -inf and give 0.
    Value end = ragged ? columns : whole;
    Values sum{e.constant(vector, 0.0)};
    sum = e.loop(zero, end, step, sum, [&](Value c, ValueRange in) {
      Value at = e.offset(row, c, bytes);
      Value p = scalars.exp(e.sub(e.load(vector, at), maximum));
      e.store(p, at);
      return Values{e.add(in[0], p)};
    });
    // The maximum's own exponential is 1, so that a total of 0 means that there are no keys: the result is 0.
    Value total = e.reduceAdd(sum[0]), none = e.like(total, 0.0);
    Value inverse = e.div(e.like(total, 1.0), total);
    e.store(e.select(e.cmp(Cmp::eq, total, none), none, inverse), e.offset(rowScales, i, bytes));
  });
}

void AttentionEmission::emitResult(Value batch, Value row0, Value rows) {
  size_t rank = a.batch.size();
  Type element = e.registerType(a.types.accumulator);
  int64_t own = a.types.operandBytes(); // of an element of the result
  Value values = e.offset(e.workspace(), e.add(e.mul(batch, e.size(keyBytes() + valueBytes())), e.size(keyBytes())), 1);
  Value target = e.offset(out, batchBytes(a.outStrides, batch), 1);
  Value rowBytes = e.size(a.outStrides[rank] * own);
  bool ragged = a.width.knownDivisor() % panelColumns != 0;
  forGroups(e.size(valuePanels()), [&](Value panel, int count) {
    Value b = e.offset(values, e.mul(panel, e.size(a.columns)), panelColumns * bytes);
    int64_t resultBytes = int64_t(count) * panelColumns * bytes;
    callTile(count, scoreTable, b, e.size(a.columns), product, e.index(resultBytes));
    Value column0 = e.mul(panel, e.index(panelColumns));
    Value left = e.sub(e.size(a.width), column0);
    e.loop(e.index(0), rows, e.index(1), [&](Value i) {
      Value scale = e.splat(e.load(element, e.offset(rowScales, i, bytes)), lanes);
      Value from = e.offset(product, i, resultBytes);
      Value to = e.offset(e.offset(target, e.mul(e.add(row0, i), rowBytes), 1), column0, own);
      for (int64_t j = 0; j < count * panelColumns; j += lanes) {
        Value result = e.mul(e.load(vector, e.offset(from, j * bytes)), scale);
        Value inside = ragged ? tailMask(e.sub(left, e.index(j))) : Value();
        e.storeAs(a.types.operand, result, e.offset(to, j * own), inside);
      }
    });
  });
}

struct AttentionKernel : AttentionShape {
  using AttentionShape::AttentionShape;
  void emit(Emitter &e, const KernelInterface &interface) const { AttentionEmission(*this, e, interface).run(); }
};

class AttentionFamily final : public FamilyOf<AttentionKernel> {
public:
  std::string_view name() const override { return "attention"; }
  int version() const override { return 4; }
  bool claims(const Problem &problem) const override { return Attention::of(problem).has_value(); }
  Config defaultConfig(const Problem &problem, const TargetInfo &target) const override {
    Attention a = *Attention::of(problem);
    return toConfig(a.readsInPlace(target) ? AttentionTiling::inPlace()
                                           : tilingOf(a, defaultTiling(scoresShape(a), target)));
  }
  std::vector<Config> candidates(const Problem &problem, const TargetInfo &target) const override {
    Attention a = *Attention::of(problem);
    std::vector<Config> configs;
    if (a.readsInPlace(target))
      configs.push_back(toConfig(AttentionTiling::inPlace()));
    auto consider = [&](const AttentionTiling &tiling) {
      if (std::find(configs.begin(), configs.end(), toConfig(tiling)) == configs.end())
        configs.push_back(toConfig(tiling));
    };
    for (const Tiling &product : candidateTilings(scoresShape(a), target)) {
      AttentionTiling tiling = tilingOf(a, product);
      consider(tiling);
      tiling.blockTiles = 1;
      consider(tiling);
    }
    return configs;
  }
  bool isLegal(const Problem &problem, const Config &config, const TargetInfo &target) const override {
    AttentionTiling tiling = fromConfig<AttentionTiling>(config);
    if (tiling.isInPlace())
      return Attention::of(problem) && Attention::of(problem)->readsInPlace(target) &&
             config == toConfig(AttentionTiling::inPlace());
    Tiling product;
    product.tile = tiling.tile;
    product.blockTiles = tiling.blockTiles;
    product.unroll = tiling.unroll;
    return Attention::of(problem) && isLegalTiling(product, Attention::of(problem)->types, target) &&
           config == toConfig(tiling);
  }
  Exactness exactness(const Problem &problem, const Config &) const override {
    Exactness products = productExactness(problem, Attention::of(problem)->types); // of which there are two
    return {2 * products.relative, 2 * products.scaled};
  }
};

} // namespace

const KernelFamily &attentionFamily() {
  static const AttentionFamily family;
  return family;
}

} // namespace kiln
