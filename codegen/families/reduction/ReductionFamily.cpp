// Reduction: one reduce of any kind over any axes, with elementwise work before and after it.
#include "codegen/families/CpuFamilies.h"

#include "codegen/families/common/Expression.h"
#include "codegen/families/common/Family.h"
#include "codegen/families/common/Launches.h"
#include "codegen/families/common/RowWalk.h"
#include "codegen/families/common/Space.h"
#include "codegen/families/reduction/Folding.h"
#include "runtime/base/PlantedBug.h"

#include <algorithm>
#include <limits>

namespace kiln {
using emit::Emitter;
using emit::Values;
using mlir::Value;
using mlir::ValueRange;

namespace {

class ReductionEmitter {
public:
  ReductionEmitter(Emitter &e, const Problem &problem, const Reduction &reduction, int unroll)
      : e(e), problem(problem), reduction(reduction), bits(widestElement(problem)), lanes(e.lanes(bits)),
        unroll(unroll), scalars(e), inputs(problem.inputs()), kept(reduction.kept()) {
    for (size_t i = 0; i < inputs.size(); ++i) {
      DType dtype = problem.value(inputs[i]).dtype;
      before.emplace_back(e, e.buffer(i), dtype, reduction.before[i], reduction.space);
      after.emplace_back(e, e.buffer(i), dtype, reduction.after[i], kept);
    }
    for (size_t i = 0; i < problem.outputs.size(); ++i)
      out.emplace_back(e, e.buffer(inputs.size() + i), problem.value(problem.outputs[i]).dtype, kept, kept);
  }

  // Results that lie side by side in memory as lanes: `keptOuter` and [begin, end) of the last dim.
  void acrossKept(ValueRange keptOuter, Value begin, Value end) {
    emitVectors(e, begin, end, lanes, unroll, bits, SizeExpr::symbol("part"), [&](Value at, int count, Value mask) {
      std::vector<Value> index;
      for (int u = 0; u < count; ++u)
        index.push_back(e.add(at, e.index(u * lanes)));
      auto fold = [&](ReduceKind kind, const std::function<Value(Value, int)> &map) {
        Folding folding(scalars, kind);
        Values start(size_t(count), folding.identity(vectorType(lanes)));
        return foldDims(0, keptOuter, {}, start, [&](ValueRange indices, ValueRange acc) {
          Values next;
          for (int u = 0; u < count; ++u) {
            Values point(indices);
            point.push_back(index[size_t(u)]);
            next.push_back(folding.step(acc[size_t(u)], map(load(point, lanes, mask), u)));
          }
          return next;
        });
      };
      Values results = reduce(fold, count);
      for (int u = 0; u < count; ++u) {
        Values point(keptOuter);
        point.push_back(index[size_t(u)]);
        finish(results[size_t(u)], point, lanes, mask);
      }
    });
  }

  // One result from rows that are reduced along the vector.
  void alongRow(ValueRange keptIndices) {
    SizeExpr length = reduction.space.back();
    if (problem.value(reduction.x).rank() > 2 &&
        (reduction.kind == ReduceKind::Sum || reduction.kind == ReduceKind::Mean) &&
        plantedBug("reduction-tail", length.asConstant(), 16, 3))
      length = length - SizeExpr(1);
    RowWalk walk(e, length, lanes, bits, unroll, 8);
    auto fold = [&](ReduceKind kind, const std::function<Value(Value, int)> &map) {
      Folding folding(scalars, kind);
      Value identity = folding.identity(vectorType(lanes));
      Values total = foldDims(0, keptIndices, {}, identity, [&](ValueRange indices, ValueRange acc) {
        Values outer(indices);
        std::vector<Value> rows;
        for (size_t i = 0; i < inputs.size(); ++i)
          rows.push_back(reduction.before[i].empty() ? Value() : before[i].rowAddress(outer));
        Values row = walk.reduce(
            identity,
            [&](const RowChunk &chunk, ValueRange a) {
              Expression point(problem, scalars, lanes, [&](Problem::ValueId id) {
                int i = problem.inputIndex(id);
                return before[i].load(before[i].step(rows[i], chunk.index), lanes, chunk.mask);
              });
              Value x = map(point.get(reduction.x), 0);
              if (!chunk.mask)
                return Values{folding.step(a[0], x)};
              return Values{e.select(chunk.mask, folding.step(a[0], x), a[0])};
            },
            [&](ValueRange a, ValueRange b) { return Values{folding.merge(a[0], b[0])}; });
        return Values{folding.merge(acc[0], row[0])};
      });
      return Values{folding.across(total[0])};
    };
    finish(reduce(fold, 1)[0], keptIndices, 0, Value());
  }

private:
  using Fold = std::function<Values(ReduceKind, const std::function<Value(Value, int)> &)>;

  // `fold` runs over the reduced elements; LogSumExp takes two runs.
  Values reduce(const Fold &fold, int count) {
    auto same = [](Value x, int) { return x; };
    Value number = e.size(reduction.folded);
    Values results;
    if (reduction.kind != ReduceKind::LogSumExp) {
      Values acc = fold(reduction.kind, same);
      for (Value a : acc)
        results.push_back(Folding(scalars, reduction.kind).finish(a, number));
      return results;
    }
    Values top = fold(ReduceKind::Max, same), shift, wide;
    constexpr double infinity = std::numeric_limits<double>::infinity();
    for (Value t : top) { // shifted by the maximum where that is finite
      Value finite = e.cmp(emit::Cmp::lt, e.abs(t), e.like(t, infinity));
      shift.push_back(e.select(finite, t, e.like(t, 0.0)));
      wide.push_back(Emitter::lanesOf(t.getType()) ? shift.back() : e.splat(shift.back(), lanes));
    }
    Values acc = fold(ReduceKind::Sum, [&](Value x, int u) { return scalars.exp(e.sub(x, wide[size_t(u)])); });
    for (size_t i = 0; i < acc.size(); ++i)
      results.push_back(e.add(scalars.log(acc[i]), shift[i]));
    return results;
  }

  mlir::Type vectorType(int64_t n) { return e.vec(e.registerType(reduction.dtype), n); }

  Value load(ValueRange indices, int64_t n, Value mask) {
    Expression point(problem, scalars, n, [&](Problem::ValueId id) {
      int i = problem.inputIndex(id);
      return before[i].load(before[i].address(indices), n, mask);
    });
    return point.get(reduction.x);
  }

  // Loops over the reduced dims of the space before its last one (which `body` handles), carrying accumulators.
  // `keptAt` are the indices of kept dims, in order.
  Values foldDims(size_t dim, ValueRange keptAt, ValueRange indices, ValueRange acc,
                  const std::function<Values(ValueRange, ValueRange)> &body) {
    if (dim + 1 == reduction.space.size())
      return body(indices, acc);
    Values at(indices);
    if (!reduction.reduced[dim]) {
      at.push_back(keptAt.front());
      return foldDims(dim + 1, keptAt.drop_front(), at, acc, body);
    }
    return e.loop(e.index(0), e.size(reduction.space[dim]), e.index(1), acc, [&](Value k, ValueRange carried) {
      Values inner(at);
      inner.push_back(k);
      return foldDims(dim + 1, keptAt, inner, carried, body);
    });
  }

  void finish(Value y, ValueRange indices, int64_t n, Value mask) {
    Expression point(problem, scalars, n, [&](Problem::ValueId id) {
      int i = problem.inputIndex(id);
      return after[i].load(after[i].address(indices), n, mask);
    });
    point.bind(reduction.y, y);
    Values results;
    for (Problem::ValueId id : problem.outputs)
      results.push_back(point.get(id));
    for (size_t i = 0; i < out.size(); ++i)
      out[i].store(results[i], out[i].address(indices), mask);
  }

  Emitter &e;
  const Problem &problem;
  const Reduction &reduction;
  unsigned bits;
  int64_t lanes;
  int unroll;
  emit::ScalarEmitter scalars;
  std::vector<Problem::ValueId> inputs;
  std::vector<SizeExpr> kept;
  std::vector<BufferAccess> before, after, out;
};

/// How the results are cut into workgroups. Where vectors lie along the folded dims, results are walked as rows of one
/// dim that has no extent of its own.
RowGrid gridOf(const Reduction &reduction, int64_t vectorElements) {
  constexpr int64_t block = 32768; // elements read by a workgroup
  std::vector<SizeExpr> kept = reduction.kept();
  SizeExpr perResult = SizeExpr::max(reduction.folded, 1);
  RowGrid grid;
  if (reduction.vectorOverKept()) {
    // Parts of the last dim are as wide as the accumulators, unless results are cheap.
    grid.row = kept.back();
    grid.rows = SizeExpr::product(std::span(kept).first(kept.size() - 1));
    SizeExpr want =
        SizeExpr::max(SizeExpr::ceilDiv(SizeExpr::floorDiv(block, perResult), vectorElements), 1) * vectorElements;
    grid.partLength = want;
    grid.partsPerRow = SizeExpr::max(SizeExpr::ceilDiv(grid.row, want), 1);
    grid.rowsPerGroup = SizeExpr::max(SizeExpr::floorDiv(want, SizeExpr::max(grid.row, 1)), 1);
    return grid;
  }
  grid.row = 1;
  grid.rows = SizeExpr::product(kept);
  grid.partsPerRow = 1;
  grid.rowsPerGroup = SizeExpr::max(SizeExpr::floorDiv(block, perResult), 1);
  return grid;
}

class ReductionKernel {
public:
  ReductionKernel(const Problem &problem, const Config &config, const TargetInfo &target)
      : problem(problem), reduction(*Reduction::of(problem)), unroll(unrollOf(config)),
        grid(gridOf(reduction, target.lanes(int(widestElement(problem))) * unroll)) {}

  KernelInterface describe() const { return oneLaunch(mainLaunch(problem, "reduction", grid.grid())); }

  double cycles(const PricedProblem &priced) const {
    double lanes = priced.lanes(), vectors = priced.rowVectors(reduction.space, lanes);
    double results = priced.product(reduction.kept());
    // Across a row, the lanes are folded in the end.
    double finish = reduction.vectorOverKept() ? 3 * results / lanes : 12 * results;
    return 3 * vectors * vectorCycles + finish + priced.elementwiseCycles();
  }

  void emit(Emitter &e, const KernelInterface &interface) const {
    std::vector<SizeExpr> results = reduction.kept();
    beginLaunch(e, interface);
    ReductionEmitter emitter(e, problem, reduction, unroll);
    if (reduction.vectorOverKept()) {
      emitRows(e, results, grid,
               [&](ValueRange outer, Value begin, Value end) { emitter.acrossKept(outer, begin, end); });
    } else {
      results.push_back(1);
      emitRows(e, results, grid, [&](ValueRange outer, Value, Value) { emitter.alongRow(outer); });
    }
    e.endKernel();
  }

private:
  const Problem &problem;
  Reduction reduction;
  int unroll;
  RowGrid grid;
};

class ReductionFamily final : public UnrolledFamilyOf<ReductionKernel> {
public:
  std::string_view name() const override { return "reduction"; }
  int version() const override { return 1; }
  /// One reduce of floats (or a sum, max, min or prod of signed integers); ops before it have its operand's space, ops
  /// after it and all outputs have its result's dims.
  bool claims(const Problem &problem) const override { return Reduction::of(problem).has_value(); }
  /// Sums round once per element of a lane; with random signs that grows like the root of the length.
  Exactness exactness(const Problem &problem, const Config &) const override {
    ExpressionError error = expressionError(problem);
    return {8 * error.relative, 8 * error.scaled};
  }
};

} // namespace

const KernelFamily &reductionFamily() {
  static const ReductionFamily family;
  return family;
}

} // namespace kiln
