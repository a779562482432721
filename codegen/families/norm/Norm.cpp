#include "codegen/families/norm/Norm.h"

#include "codegen/families/common/ChannelOperands.h"
#include "codegen/families/common/Expression.h"
#include "codegen/families/common/Launches.h"
#include "codegen/families/common/RowWalk.h"
#include "codegen/families/norm/NormPlan.h"
#include "runtime/base/PlantedBug.h"

#include <algorithm>
#include <limits>

namespace kiln {
namespace {

class NormFamily : public KernelFamily {
public:
  std::string_view name() const override { return "norm"; }
  int version() const override { return 1; }
  /// One such op over the last axis (softmax over any axis); every other op elementwise; all outputs of its operand's
  /// dims; over the normalised axes each buffer is either full or constant.
  bool claims(const Problem &problem) const override;
  std::vector<Config> candidates(const Problem &problem, const TargetInfo &target) const override;
  Config defaultConfig(const Problem &problem, const TargetInfo &target) const override;
  Result<KernelInterface> describeLaunches(const Problem &problem, const Config &config,
                                           const TargetInfo &target) const override;
  Result<mlir::OwningOpRef<mlir::ModuleOp>> emitLaunches(const Problem &problem, const Config &config,
                                                         const TargetInfo &target, const KernelInterface &interface,
                                                         mlir::MLIRContext &context) const override;
  Exactness exactness(const Problem &problem, const Config &config) const override;
};

} // namespace

using cpu::Emitter;
using cpu::Values;
using mlir::Value;
using mlir::ValueRange;

bool NormFamily::claims(const Problem &problem) const {
  if (!hasChannelOperands(problem))
    return planNorm(problem).has_value();
  std::optional<Problem> aligned = alignChannelOperands(problem);
  return aligned && planNorm(*aligned).has_value();
}

Config NormFamily::defaultConfig(const Problem &problem, const TargetInfo &target) const {
  return Config{{"unroll", int64_t(4)}};
}

std::vector<Config> NormFamily::candidates(const Problem &problem, const TargetInfo &target) const {
  std::vector<Config> all;
  for (int64_t unroll : {1, 2, 4})
    all.push_back(Config{{"unroll", unroll}});
  return all;
}

Exactness NormFamily::exactness(const Problem &problem, const Config &config) const {
  ExpressionError error = expressionError(problem);
  return {2 * error.relative, 2 * error.scaled};
}

namespace {

// Reads of the problem's buffers at one vector of a row, and evaluation of its ops there.
class NormRow {
public:
  NormRow(Emitter &e, const Problem &problem, const NormPlan &plan, int64_t lanes)
      : e(e), problem(problem), plan(plan), lanes(lanes), scalars(e), inputs(problem.inputs()) {
    std::vector<SizeExpr> space = plan.outer;
    space.push_back(plan.length);
    column = !plan.inner.isConstant(1);
    if (column)
      space.push_back(plan.inner);
    for (size_t i = 0; i < inputs.size(); ++i) {
      std::vector<SizeExpr> dims = plan.buffers[i];
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
  const NormPlan &plan;
  int64_t lanes;
  cpu::ScalarEmitter scalars;
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
      : row(row), walk(walk), e(row.e), stash(e, memory), vector(e.vec(e.registerType(row.plan.dtype), row.lanes)) {
    // What is cheap to read again is not kept.
    const Problem::Value &x = row.problem.value(row.plan.x);
    keepX = walk.unrolled() || !x.isBuffer() || x.dtype == DType::F16 || x.dtype == DType::BF16;
  }

  void run() {
    switch (row.plan.kind) {
    case NormPlan::Kind::Softmax: return softmax(false);
    case NormPlan::Kind::LogSoftmax: return softmax(true);
    case NormPlan::Kind::LayerNorm: return normalize(true);
    case NormPlan::Kind::RmsNorm: return normalize(false);
    case NormPlan::Kind::GroupNorm: return; // not a row at a time
    }
  }

private:
  // x for the first sweep, which may keep it for the others.
  Value firstX(const RowChunk &chunk) {
    Expression point = row.at(chunk.index, chunk.mask);
    Value x = point.get(row.plan.x);
    if (keepX)
      stash.put(chunk, x);
    return x;
  }
  Value laterX(const RowChunk &chunk) {
    if (keepX)
      return stash.get(chunk, vector);
    return row.at(chunk.index, chunk.mask).get(row.plan.x);
  }
  Values sum(const RowWalk::Step &step) {
    return walk.reduce(e.constant(vector, 0.0), step, [&](ValueRange a, ValueRange b) { return addEach(e, a, b); });
  }
  void finish(const RowChunk &chunk, Expression &point, Value y) {
    point.bind(row.plan.y, y);
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
    Value one = e.constant(e.registerType(row.plan.dtype), 1.0);
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
    mlir::Type scalar = e.registerType(row.plan.dtype);
    Value count = e.intToFloat(e.size(row.plan.length), scalar);
    Value mean;
    if (centered) {
      Values total = sum([&](const RowChunk &chunk, ValueRange acc) {
        return Values{e.add(acc[0], walk.masked(chunk, firstX(chunk), zero))};
      });
      mean = e.splat(e.div(e.reduceAdd(total[0]), count), row.lanes);
    }
    Values squares = sum([&](const RowChunk &chunk, ValueRange acc) {
      Value d = centered ? e.sub(laterX(chunk), mean) : firstX(chunk);
      if (!(centered && plantedBug("norm-mask", row.plan.length.asConstant(), 32, 13)))
        d = walk.masked(chunk, d, zero);
      return Values{e.fma(d, d, acc[0])};
    });
    Value variance = e.div(e.reduceAdd(squares[0]), count);
    Value epsilon = e.constant(scalar, row.plan.op->attributes.getFloat("epsilon", 1e-5));
    Value inverse = e.div(e.constant(scalar, 1.0), e.sqrt(e.add(variance, epsilon)));
    inverse = e.splat(inverse, row.lanes);
    const std::vector<Problem::ValueId> &operands = row.plan.op->operands;
    auto operand = [&](size_t i) { return i < operands.size() ? operands[i] : Problem::absent; };
    walk.forEach([&](const RowChunk &chunk) {
      Expression point = row.at(chunk.index, chunk.mask);
      Value x = laterX(chunk);
      if (keepX)
        point.bind(row.plan.x, x);
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
  const NormPlan &plan = row.plan;
  mlir::Type scalar = e.registerType(plan.dtype), vector = e.vec(scalar, row.lanes);
  Value perGroup = e.size(plan.channelsPerGroup), zero = e.constant(vector, 0.0);
  Value first = e.mul(group, perGroup), last = e.add(first, perGroup);
  Value count = e.intToFloat(e.mul(perGroup, e.size(plan.length)), scalar);
  auto total = [&](const std::function<Value(Value x, Value sum)> &step) {
    Values sums = e.loop(first, last, e.index(1), zero, [&](Value channel, ValueRange carried) {
      row.beginRow(Values{batch, channel});
      Values part = walk.reduce(
          zero,
          [&](const RowChunk &chunk, ValueRange acc) {
            Value next = step(row.at(chunk.index, chunk.mask).get(plan.x), acc[0]);
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
  Value epsilon = e.constant(scalar, plan.op->attributes.getFloat("epsilon", 1e-5));
  Value inverse = e.splat(e.div(e.constant(scalar, 1.0), e.sqrt(e.add(variance, epsilon))), row.lanes);
  e.loop(first, last, e.index(1), [&](Value channel) {
    row.beginRow(Values{batch, channel});
    walk.forEach([&](const RowChunk &chunk) {
      Expression point = row.at(chunk.index, chunk.mask);
      Value y = e.mul(e.sub(point.get(plan.x), mean), inverse);
      y = e.mul(y, point.get(plan.op->operands[1]));
      if (plan.op->operands[2] != Problem::absent)
        y = e.add(y, point.get(plan.op->operands[2]));
      point.bind(plan.y, y);
      row.storeOutputs(point, chunk.index, chunk.mask);
    });
  });
}

// Softmax over an axis before the last: vectors lie across the inner dim, sweeps step along the axis.
void emitColumns(NormRow &row, Value begin, Value end, ValueRange outer, unsigned bits) {
  Emitter &e = row.e;
  bool log = row.plan.kind == NormPlan::Kind::LogSoftmax;
  mlir::Type vector = e.vec(e.registerType(row.plan.dtype), row.lanes);
  Value length = e.size(row.plan.length), zero = e.index(0), one = e.index(1);
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
      point(k, [&](Expression &p) { value = p.get(row.plan.x); });
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
        Value d = e.sub(p.get(row.plan.x), most);
        p.bind(row.plan.y, log ? e.sub(d, scale) : e.mul(row.scalars.expNonPositive(d), scale));
        row.storeOutputs(p, at, mask);
      });
    });
  });
}

} // namespace

namespace {

/// How a problem is cut into workgroups: of group_norm one group each, else rows, or parts of rows where vectors lie
/// across them.
struct NormLoops {
  bool columns; ///< softmax over an axis before the last
  int unroll;
  unsigned bits;
  int64_t lanes;
  std::vector<SizeExpr> space;
  RowGrid rows;
  SizeExpr grid;

  NormLoops(const Problem &problem, const NormPlan &plan, const Config &config, const TargetInfo &target)
      : columns(!plan.inner.isConstant(1)), unroll(int(std::clamp<int64_t>(config.getInt("unroll", 4), 1, 8))),
        bits(widestElement(problem)), lanes(target.lanes(int(bits))) {
    constexpr int64_t block = 8192; // elements of a workgroup
    if (columns) {
      space = plan.outer;
      space.push_back(plan.inner);
      rows = makeRowGrid(space, std::max<int64_t>(lanes, 256), lanes);
      grid = rows.grid();
      return;
    }
    space = plan.space();
    if (plan.kind == NormPlan::Kind::GroupNorm) {
      grid = plan.outer[0] * SizeExpr(plan.op->attributes.getInt("groups", 1));
      return;
    }
    rows.row = plan.length;
    rows.rows = SizeExpr::product(plan.outer);
    rows.rowsPerGroup = SizeExpr::max(SizeExpr::floorDiv(block, SizeExpr::max(plan.length, 1)), 1);
    rows.partsPerRow = 1;
    grid = rows.grid();
  }
};

int mostUnrolled(const TargetInfo &target) { return target.vectorRegisters / 2; }

} // namespace

Result<KernelInterface> NormFamily::describeLaunches(const Problem &problem, const Config &config,
                                                     const TargetInfo &target) const {
  std::optional<Problem> aligned = alignChannelOperands(problem);
  std::optional<NormPlan> plan = aligned ? planNorm(*aligned) : std::nullopt;
  if (!plan)
    return makeError(ErrorCode::E0901, "norm: not a problem of this family");
  NormLoops loops(*aligned, *plan, config, target);
  SizeExpr scratch = 0; // of a row that is kept between sweeps, in the type that registers have
  if (!loops.columns && plan->kind != NormPlan::Kind::GroupNorm &&
      !RowWalk::unrolledChunks(plan->length, loops.lanes, mostUnrolled(target)))
    scratch = RowStash::bytes(plan->length, loops.lanes, plan->dtype == DType::F64 ? 8 : 4);
  return oneLaunch(mainLaunch(problem, "norm", loops.grid, scratch));
}

Result<mlir::OwningOpRef<mlir::ModuleOp>> NormFamily::emitLaunches(const Problem &original, const Config &config,
                                                                   const TargetInfo &target,
                                                                   const KernelInterface &interface,
                                                                   mlir::MLIRContext &context) const {
  Problem problem = *alignChannelOperands(original);
  NormPlan plan = *planNorm(problem);
  NormLoops loops(problem, plan, config, target);
  Emitter e(context, target);
  beginLaunch(e, interface);
  NormRow row(e, problem, plan, loops.lanes);
  if (loops.columns) {
    emitRows(e, loops.space, loops.rows,
             [&](ValueRange outer, Value begin, Value end) { emitColumns(row, begin, end, outer, loops.bits); });
  } else if (plan.kind == NormPlan::Kind::GroupNorm) {
    int64_t groups = plan.op->attributes.getInt("groups", 1);
    RowWalk walk(e, plan.length, loops.lanes, loops.bits, loops.unroll, 4);
    emitGroup(row, walk, e.div(e.workgroup(), e.index(groups)), e.rem(e.workgroup(), e.index(groups)));
  } else {
    RowWalk walk(e, plan.length, loops.lanes, loops.bits, loops.unroll, mostUnrolled(target));
    Value memory = walk.unrolled() ? Value() : e.scratch();
    emitRows(e, loops.space, loops.rows, [&](ValueRange outer, Value, Value) {
      row.beginRow(outer);
      RowSweeps(row, walk, memory).run();
    });
  }
  e.endKernel();
  return e.take();
}

const KernelFamily &normFamily() {
  static const NormFamily family;
  return family;
}

} // namespace kiln
