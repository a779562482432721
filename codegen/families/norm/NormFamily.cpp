// Norm: one softmax, log_softmax, layer_norm, rms_norm or group_norm with elementwise work before and after it, in one
// visit of each row.
#include "codegen/families/CpuFamilies.h"

#include "codegen/families/common/ChannelOperands.h"
#include "codegen/families/common/Expression.h"
#include "codegen/families/common/Family.h"
#include "codegen/families/common/Launches.h"
#include "codegen/families/common/RowWalk.h"
#include "codegen/families/norm/Normalization.h"
#include "runtime/base/PlantedBug.h"

#include <algorithm>
#include <limits>

namespace kiln {
using emit::Emitter;
using emit::Values;
using mlir::Value;
using mlir::ValueRange;

namespace {

// Reads of the problem's buffers at one vector of a row, and evaluation of its ops there.
class NormRow {
public:
  NormRow(Emitter &e, const Problem &problem, const Normalization &norm, int64_t lanes)
      : e(e), problem(problem), norm(norm), lanes(lanes), scalars(e), inputs(problem.inputs()) {
    std::vector<SizeExpr> space = norm.outer;
    space.push_back(norm.length);
    column = !norm.inner.isConstant(1);
    if (column)
      space.push_back(norm.inner);
    for (size_t i = 0; i < inputs.size(); ++i) {
      std::vector<SizeExpr> dims = norm.buffers[i];
      if (!column)
        dims.pop_back();
      in.emplace_back(e, e.buffer(i), problem.value(inputs[i]).dtype, dims, space);
    }
    for (size_t i = 0; i < problem.outputs.size(); ++i)
      out.emplace_back(e, e.buffer(inputs.size() + i), problem.value(problem.outputs[i]).dtype, space, space);
  }

  // Row mode: `outer` fixes the row, points are vectors along it.
  void beginRow(ValueRange outer) {
    inRows.clear();
    outRows.clear();
    fixed.assign(in.size(), Value());
    for (size_t i = 0; i < in.size(); ++i) {
      inRows.push_back(in[i].rowAddress(outer));
      if (in[i].inner() == DimUse::Broadcast)
        fixed[i] = in[i].load(inRows[i], lanes);
    }
    for (BufferAccess &access : out)
      outRows.push_back(access.rowAddress(outer));
  }

  Expression at(Value index, Value mask) {
    return Expression(problem, scalars, lanes, [this, index, mask](Problem::ValueId id) {
      int i = problem.inputIndex(id);
      return fixed[i] ? fixed[i] : in[i].load(in[i].step(inRows[i], index), lanes, mask);
    });
  }

  void storeOutputs(Expression &point, Value index, Value mask) {
    Values results;
    for (Problem::ValueId id : problem.outputs)
      results.push_back(point.get(id));
    for (size_t i = 0; i < out.size(); ++i)
      out[i].store(results[i], out[i].step(outRows[i], index), mask);
  }

  Emitter &e;
  const Problem &problem;
  const Normalization &norm;
  int64_t lanes;
  emit::ScalarEmitter scalars;
  std::vector<Problem::ValueId> inputs;
  std::vector<BufferAccess> in, out;
  std::vector<Value> inRows, outRows, fixed;
  bool column = false;
};

Values addEach(Emitter &e, ValueRange a, ValueRange b) {
  Values sums;
  for (size_t i = 0; i < a.size(); ++i)
    sums.push_back(e.add(a[i], b[i]));
  return sums;
}

// The sweeps over one row; `memory` holds a row.
class RowSweeps {
public:
  RowSweeps(NormRow &row, RowWalk &walk, Value memory)
      : row(row), walk(walk), e(row.e), stash(e, memory), vector(e.vec(e.registerType(row.norm.dtype), row.lanes)) {
    // What is cheap to read again is not kept.
    const Problem::Value &x = row.problem.value(row.norm.x);
    keepX = walk.unrolled() || !x.isBuffer() || x.dtype == DType::F16 || x.dtype == DType::BF16;
  }

  void run() {
    switch (row.norm.kind) {
    case Normalization::Kind::Softmax: return softmax(false);
    case Normalization::Kind::LogSoftmax: return softmax(true);
    case Normalization::Kind::LayerNorm: return normalize(true);
    case Normalization::Kind::RmsNorm: return normalize(false);
    case Normalization::Kind::GroupNorm: return; // not a row at a time
    }
  }

private:
  // x for the first sweep, which may keep it for the others.
  Value firstX(const RowChunk &chunk) {
    Expression point = row.at(chunk.index, chunk.mask);
    Value x = point.get(row.norm.x);
    if (keepX)
      stash.put(chunk, x);
    return x;
  }
  Value laterX(const RowChunk &chunk) {
    if (keepX)
      return stash.get(chunk, vector);
    return row.at(chunk.index, chunk.mask).get(row.norm.x);
  }
  Values sum(const RowWalk::Step &step) {
    return walk.reduce(e.constant(vector, 0.0), step, [&](ValueRange a, ValueRange b) { return addEach(e, a, b); });
  }
  void finish(const RowChunk &chunk, Expression &point, Value y) {
    point.bind(row.norm.y, y);
    row.storeOutputs(point, chunk.index, chunk.mask);
  }

  void softmax(bool log) {
    constexpr double lowest = -std::numeric_limits<double>::infinity();
    Value none = e.constant(vector, lowest), zero = e.constant(vector, 0.0);
    // NaN is left out of the maximum; it comes back through exp.
    Values top = walk.reduce(
        none,
        [&](const RowChunk &chunk, ValueRange acc) {
          return Values{e.fastMax(walk.masked(chunk, firstX(chunk), none), acc[0])};
        },
        [&](ValueRange a, ValueRange b) { return Values{e.fastMax(a[0], b[0])}; });
    Value most = e.splat(e.reduceMax(top[0]), row.lanes);
    Values total = sum([&](const RowChunk &chunk, ValueRange acc) {
      Value power = row.scalars.expNonPositive(e.sub(laterX(chunk), most));
      if (!log)
        stash.put(chunk, power);
      return Values{e.add(acc[0], walk.masked(chunk, power, zero))};
    });
    Value one = e.constant(e.registerType(row.norm.dtype), 1.0);
    Value sum = e.reduceAdd(total[0]);
    Value scale = e.splat(log ? row.scalars.log(sum) : e.div(one, sum), row.lanes);
    walk.forEach([&](const RowChunk &chunk) {
      Expression point = row.at(chunk.index, chunk.mask);
      if (log)
        finish(chunk, point, e.sub(e.sub(laterX(chunk), most), scale));
      else
        finish(chunk, point, e.mul(stash.get(chunk, vector), scale));
    });
  }

  void normalize(bool centered) {
    Value zero = e.constant(vector, 0.0);
    mlir::Type scalar = e.registerType(row.norm.dtype);
    Value count = e.intToFloat(e.size(row.norm.length), scalar);
    Value mean;
    if (centered) {
      Values total = sum([&](const RowChunk &chunk, ValueRange acc) {
        return Values{e.add(acc[0], walk.masked(chunk, firstX(chunk), zero))};
      });
      mean = e.splat(e.div(e.reduceAdd(total[0]), count), row.lanes);
    }
    Values squares = sum([&](const RowChunk &chunk, ValueRange acc) {
      Value d = centered ? e.sub(laterX(chunk), mean) : firstX(chunk);
      if (!(centered && plantedBug("norm-mask", row.norm.length.asConstant(), 32, 13)))
        d = walk.masked(chunk, d, zero);
      return Values{e.fma(d, d, acc[0])};
    });
    Value variance = e.div(e.reduceAdd(squares[0]), count);
    Value epsilon = e.constant(scalar, row.norm.op->attributes.getFloat("epsilon", 1e-5));
    Value inverse = e.div(e.constant(scalar, 1.0), e.sqrt(e.add(variance, epsilon)));
    inverse = e.splat(inverse, row.lanes);
    const std::vector<Problem::ValueId> &operands = row.norm.op->operands;
    auto operand = [&](size_t i) { return i < operands.size() ? operands[i] : Problem::absent; };
    walk.forEach([&](const RowChunk &chunk) {
      Expression point = row.at(chunk.index, chunk.mask);
      Value x = laterX(chunk);
      if (keepX)
        point.bind(row.norm.x, x);
      Value y = e.mul(centered ? e.sub(x, mean) : x, inverse);
      if (operand(1) != Problem::absent && operand(2) != Problem::absent)
        y = e.fma(y, point.get(operand(1)), point.get(operand(2)));
      else if (operand(1) != Problem::absent)
        y = e.mul(y, point.get(operand(1)));
      else if (operand(2) != Problem::absent)
        y = e.add(y, point.get(operand(2)));
      finish(chunk, point, y);
    });
  }

  NormRow &row;
  RowWalk &walk;
  Emitter &e;
  RowStash stash;
  mlir::Type vector;
  bool keepX;
};

// One group of channels: the moments over all of its rows, then each row with its channel's scale and bias.
void emitGroup(NormRow &row, RowWalk &walk, Value batch, Value group) {
  Emitter &e = row.e;
  const Normalization &norm = row.norm;
  mlir::Type scalar = e.registerType(norm.dtype), vector = e.vec(scalar, row.lanes);
  Value perGroup = e.size(norm.channelsPerGroup), zero = e.constant(vector, 0.0);
  Value first = e.mul(group, perGroup), last = e.add(first, perGroup);
  Value count = e.intToFloat(e.mul(perGroup, e.size(norm.length)), scalar);
  auto total = [&](const std::function<Value(Value x, Value sum)> &step) {
    Values sums = e.loop(first, last, e.index(1), zero, [&](Value channel, ValueRange carried) {
      row.beginRow(Values{batch, channel});
      Values part = walk.reduce(
          zero,
          [&](const RowChunk &chunk, ValueRange acc) {
            Value next = step(row.at(chunk.index, chunk.mask).get(norm.x), acc[0]);
            return Values{walk.masked(chunk, next, acc[0])};
          },
          [&](ValueRange a, ValueRange b) { return addEach(e, a, b); });
      return addEach(e, carried, part);
    });
    return e.div(e.reduceAdd(sums[0]), count);
  };
  Value mean = e.splat(total([&](Value x, Value sum) { return e.add(sum, x); }), row.lanes);
  Value variance = total([&](Value x, Value sum) {
    Value d = e.sub(x, mean);
    return e.fma(d, d, sum);
  });
  Value epsilon = e.constant(scalar, norm.op->attributes.getFloat("epsilon", 1e-5));
  Value inverse = e.splat(e.div(e.constant(scalar, 1.0), e.sqrt(e.add(variance, epsilon))), row.lanes);
  e.loop(first, last, e.index(1), [&](Value channel) {
    row.beginRow(Values{batch, channel});
    walk.forEach([&](const RowChunk &chunk) {
      Expression point = row.at(chunk.index, chunk.mask);
      Value y = e.mul(e.sub(point.get(norm.x), mean), inverse);
      y = e.mul(y, point.get(norm.op->operands[1]));
      if (norm.op->operands[2] != Problem::absent)
        y = e.add(y, point.get(norm.op->operands[2]));
      point.bind(norm.y, y);
      row.storeOutputs(point, chunk.index, chunk.mask);
    });
  });
}

// Softmax over an axis before the last: vectors lie across the inner dim, sweeps step along the axis.
void emitColumns(NormRow &row, Value begin, Value end, ValueRange outer, unsigned bits) {
  Emitter &e = row.e;
  bool log = row.norm.kind == Normalization::Kind::LogSoftmax;
  mlir::Type vector = e.vec(e.registerType(row.norm.dtype), row.lanes);
  Value length = e.size(row.norm.length), zero = e.index(0), one = e.index(1);
  emitVectors(e, begin, end, row.lanes, 1, bits, SizeExpr::symbol("part"), [&](Value at, int, Value mask) {
    auto point = [&](Value k, const std::function<void(Expression &)> &body) {
      Values indices(outer);
      indices.push_back(k);
      row.beginRow(indices);
      Expression expression = row.at(at, mask);
      body(expression);
    };
    auto x = [&](Value k) {
      Value value;
      point(k, [&](Expression &p) { value = p.get(row.norm.x); });
      return value;
    };
    Value none = e.constant(vector, -std::numeric_limits<double>::infinity());
    Value most =
        e.loop(zero, length, one, none, [&](Value k, ValueRange acc) { return Values{e.fastMax(x(k), acc[0])}; })[0];
    Value sum = e.loop(zero, length, one, e.constant(vector, 0.0), [&](Value k, ValueRange acc) {
      return Values{e.add(acc[0], row.scalars.expNonPositive(e.sub(x(k), most)))};
    })[0];
    Value scale = log ? row.scalars.log(sum) : e.div(e.constant(vector, 1.0), sum);
    e.loop(zero, length, one, [&](Value k) {
      point(k, [&](Expression &p) {
        Value d = e.sub(p.get(row.norm.x), most);
        p.bind(row.norm.y, log ? e.sub(d, scale) : e.mul(row.scalars.expNonPositive(d), scale));
        row.storeOutputs(p, at, mask);
      });
    });
  });
}

/// Workgroups take, of group_norm, one group each; else rows, or parts of rows where vectors lie across them.
class NormKernel {
public:
  NormKernel(const Problem &original, const Config &config, const TargetInfo &target)
      : original(original), problem(*alignChannelOperands(original)), norm(*Normalization::of(problem)),
        columns(!norm.inner.isConstant(1)), unroll(unrollOf(config)), mostUnrolled(target.vectorRegisters / 2),
        bits(widestElement(problem)), lanes(target.lanes(int(bits))) {
    constexpr int64_t block = 8192; // elements of a workgroup
    if (columns) {
      space = norm.outer;
      space.push_back(norm.inner);
      rows = makeRowGrid(space, std::max<int64_t>(lanes, 256), lanes);
      grid = rows.grid();
      return;
    }
    space = norm.space();
    if (norm.kind == Normalization::Kind::GroupNorm) {
      grid = norm.outer[0] * SizeExpr(norm.op->attributes.getInt("groups", 1));
      return;
    }
    rows.row = norm.length;
    rows.rows = SizeExpr::product(norm.outer);
    rows.rowsPerGroup = SizeExpr::max(SizeExpr::floorDiv(block, SizeExpr::max(norm.length, 1)), 1);
    rows.partsPerRow = 1;
    grid = rows.grid();
  }

  KernelInterface describe() const {
    SizeExpr scratch = 0; // of a row that is kept between sweeps, in the type that registers have
    if (!columns && norm.kind != Normalization::Kind::GroupNorm &&
        !RowWalk::unrolledChunks(norm.length, lanes, mostUnrolled))
      scratch = RowStash::bytes(norm.length, lanes, norm.dtype == DType::F64 ? 8 : 4);
    return oneLaunch(mainLaunch(original, "norm", grid, scratch));
  }

  double cycles(const PricedProblem &priced) const {
    bool exponentials = norm.kind == Normalization::Kind::Softmax || norm.kind == Normalization::Kind::LogSoftmax;
    std::vector<SizeExpr> dims = norm.outer;
    if (columns)
      dims.push_back(norm.length);
    dims.push_back(columns ? norm.inner : norm.length);
    double rows = columns ? 0 : priced.product(norm.outer); // whose lanes are folded, twice
    return (exponentials ? 24 : 14) * vectorCycles * priced.rowVectors(dims, double(lanes)) + 40 * rows +
           priced.elementwiseCycles();
  }

  void emit(Emitter &e, const KernelInterface &interface) const {
    beginLaunch(e, interface);
    NormRow row(e, problem, norm, lanes);
    if (columns) {
      emitRows(e, space, rows,
               [&](ValueRange outer, Value begin, Value end) { emitColumns(row, begin, end, outer, bits); });
    } else if (norm.kind == Normalization::Kind::GroupNorm) {
      int64_t groups = norm.op->attributes.getInt("groups", 1);
      RowWalk walk(e, norm.length, lanes, bits, unroll, 4);
      emitGroup(row, walk, e.div(e.workgroup(), e.index(groups)), e.rem(e.workgroup(), e.index(groups)));
    } else {
      RowWalk walk(e, norm.length, lanes, bits, unroll, mostUnrolled);
      Value memory = walk.unrolled() ? Value() : e.scratch();
      emitRows(e, space, rows, [&](ValueRange outer, Value, Value) {
        row.beginRow(outer);
        RowSweeps(row, walk, memory).run();
      });
    }
    e.endKernel();
  }

private:
  const Problem &original;
  Problem problem; ///< with its channel operands aligned
  Normalization norm;
  bool columns; ///< softmax over an axis before the last
  int unroll, mostUnrolled;
  unsigned bits;
  int64_t lanes;
  std::vector<SizeExpr> space;
  RowGrid rows;
  SizeExpr grid;
};

class NormFamily final : public UnrolledFamilyOf<NormKernel> {
public:
  std::string_view name() const override { return "norm"; }
  int version() const override { return 1; }
  /// One such op over the last axis (softmax over any axis); every other op elementwise; all outputs of its operand's
  /// dims; over the normalised axes each buffer is either full or constant.
  bool claims(const Problem &problem) const override {
    if (!hasChannelOperands(problem))
      return Normalization::of(problem).has_value();
    std::optional<Problem> aligned = alignChannelOperands(problem);
    return aligned && Normalization::of(*aligned).has_value();
  }
  Exactness exactness(const Problem &problem, const Config &) const override {
    ExpressionError error = expressionError(problem);
    return {2 * error.relative, 2 * error.scaled};
  }
};

} // namespace

const KernelFamily &normFamily() {
  static const NormFamily family;
  return family;
}

} // namespace kiln
