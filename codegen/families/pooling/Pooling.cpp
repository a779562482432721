#include "codegen/families/pooling/Pooling.h"

#include "codegen/families/common/Expression.h"
#include "codegen/families/common/Launches.h"
#include "codegen/families/common/Space.h"
#include "runtime/base/PlantedBug.h"

#include <algorithm>
#include <limits>

namespace kiln {
namespace {

class PoolingFamily : public KernelFamily {
public:
  std::string_view name() const override { return "pooling"; }
  int version() const override { return 1; }
  /// One such op on a buffer, its pads resolved; every other op elementwise on its result; all outputs of its dims.
  bool claims(const Problem &problem) const override;
  std::optional<std::string> layoutPreference(const Problem &problem) const override;
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

using cpu::Cmp;
using cpu::Emitter;
using cpu::Values;
using mlir::Value;
using mlir::ValueRange;

namespace {

struct PoolPlan {
  const Problem::Op *op = nullptr;
  bool isMax = false, channelsLast = false, includePads = false;
  Problem::ValueId x = Problem::absent, y = Problem::absent;
  size_t rank = 0; // spatial dims
  std::vector<int64_t> kernel, strides, dilations, pads;

  size_t firstSpatial() const { return channelsLast ? 1 : 2; }
};

std::optional<PoolPlan> planPool(const Problem &problem) {
  if (problem.precision == Precision::Strict)
    return std::nullopt;
  PoolPlan plan;
  std::vector<int> others;
  for (size_t i = 0; i < problem.ops.size(); ++i) {
    const Problem::Op &op = problem.ops[i];
    if (op.mnemonic == "max_pool" || op.mnemonic == "avg_pool") {
      if (plan.op)
        return std::nullopt;
      plan.op = &op;
    } else {
      others.push_back(int(i));
    }
  }
  if (!plan.op || !isExpression(problem, others))
    return std::nullopt;
  const Attributes &a = plan.op->attributes;
  plan.isMax = plan.op->mnemonic == "max_pool";
  plan.x = plan.op->operands[0];
  plan.y = plan.op->result;
  const Problem::Value &x = problem.value(plan.x), &y = problem.value(plan.y);
  if (!x.isBuffer() || x.rank() < 3 || y.rank() != x.rank())
    return std::nullopt;
  if (!(isFloat(x.dtype) || (plan.isMax && isSignedInt(x.dtype))))
    return std::nullopt;
  std::string automatic = a.getString("auto_pad");
  if (!automatic.empty() && automatic != "notset" && automatic != "valid")
    return std::nullopt;
  plan.rank = size_t(x.rank()) - 2;
  plan.channelsLast = a.getString("layout", "nchw") == "nhwc";
  plan.includePads = a.getBool("count_include_pad");
  plan.kernel = a.getInts("kernel");
  plan.strides = a.getInts("strides", std::vector<int64_t>(plan.rank, 1));
  plan.dilations = a.getInts("dilations", std::vector<int64_t>(plan.rank, 1));
  plan.pads = a.getInts("pads", std::vector<int64_t>(2 * plan.rank, 0));
  if (automatic == "valid")
    plan.pads.assign(2 * plan.rank, 0);
  for (auto *list : {&plan.strides, &plan.dilations})
    if (list->empty())
      list->assign(plan.rank, 1);
  if (plan.pads.empty())
    plan.pads.assign(2 * plan.rank, 0);
  if (plan.kernel.size() != plan.rank || plan.strides.size() != plan.rank || plan.dilations.size() != plan.rank ||
      plan.pads.size() != 2 * plan.rank)
    return std::nullopt;
  for (Problem::ValueId id : problem.outputs)
    if (problem.value(id).dims != y.dims || problem.value(id).kind != Problem::Kind::Result)
      return std::nullopt;
  for (Problem::ValueId id : problem.inputs())
    if (problem.value(id).rank() > y.rank())
      return std::nullopt;
  // The pooled buffer is read at other places than the result's: nothing else may use it.
  for (const Problem::Op &op : problem.ops)
    if (&op != plan.op && std::find(op.operands.begin(), op.operands.end(), plan.x) != op.operands.end())
      return std::nullopt;
  for (const Problem::InPlace &pair : problem.inPlace)
    if (problem.inputs()[size_t(pair.input)] == plan.x)
      return std::nullopt;
  return plan;
}

class PoolEmitter {
public:
  PoolEmitter(Emitter &e, const Problem &problem, const PoolPlan &plan)
      : e(e), problem(problem), plan(plan), scalars(e), inputs(problem.inputs()), x(problem.value(plan.x)),
        y(problem.value(plan.y)) {
    for (size_t i = 0; i < inputs.size(); ++i)
      in.emplace_back(e, e.buffer(i), problem.value(inputs[i]).dtype, problem.value(inputs[i]).dims,
                      inputs[i] == plan.x ? std::span<const SizeExpr>(x.dims) : std::span<const SizeExpr>(y.dims));
    for (size_t i = 0; i < problem.outputs.size(); ++i)
      out.emplace_back(e, e.buffer(inputs.size() + i), problem.value(problem.outputs[i]).dtype, y.dims, y.dims);
    for (size_t d = 0; d < plan.rank; ++d)
      inSize.push_back(e.size(x.dims[plan.firstSpatial() + d]));
    xAccess = &in[problem.inputIndex(plan.x)];
  }

  // The valid taps of the window at position `at` (one index per spatial dim).
  struct Taps {
    Values start, low, high; // first input index; range of taps
    Value count;             // what an average divides by
  };
  Taps tapsAt(ValueRange at) {
    Taps taps;
    taps.count = e.index(1);
    for (size_t d = 0; d < plan.rank; ++d) {
      Value kernel = e.index(plan.kernel[d]), dilation = e.index(plan.dilations[d]), zero = e.index(0);
      Value start = e.sub(e.mul(at[d], e.index(plan.strides[d])), e.index(plan.pads[d]));
      // Taps k with 0 <= start + k * dilation < limit.
      auto tapsBelow = [&](Value limit) {
        return e.min(kernel, e.max(zero, e.ceilDiv(e.sub(limit, start), dilation)));
      };
      Value high = tapsBelow(inSize[d]);
      Value low = e.min(high, e.max(zero, e.ceilDiv(e.neg(start), dilation)));
      taps.start.push_back(start);
      taps.low.push_back(low);
      taps.high.push_back(high);
      Value counted =
          plan.includePads ? tapsBelow(e.add(inSize[d], e.index(plan.pads[plan.rank + d]))) : e.sub(high, low);
      taps.count = e.mul(taps.count, counted);
    }
    return taps;
  }

  // `index` addresses the result: one index per dim, the innermost one per vector in `inner`.
  void point(ValueRange outer, llvm::ArrayRef<Value> inner, const Taps &taps, int64_t lanes, Value mask) {
    mlir::Type type = e.vec(e.registerType(x.dtype), lanes);
    Values start(inner.size(), identity(type));
    Values acc = fold(0, outer, {}, taps, start, [&](ValueRange taken, ValueRange sums) {
      Values next;
      for (size_t u = 0; u < inner.size(); ++u) {
        Value v = xAccess->load(address(outer, inner[u], taken), lanes, mask);
        next.push_back(plan.isMax ? e.max(sums[u], v) : e.add(sums[u], v));
      }
      return next;
    });
    for (size_t u = 0; u < inner.size(); ++u) {
      Value result = plan.isMax ? acc[u] : average(acc[u], taps.count, lanes);
      Values index(outer);
      index.push_back(inner[u]);
      Expression after(problem, scalars, lanes, [&](Problem::ValueId id) {
        const BufferAccess &access = in[problem.inputIndex(id)];
        return access.load(access.address(index), lanes, mask);
      });
      after.bind(plan.y, result);
      Values results;
      for (Problem::ValueId id : problem.outputs)
        results.push_back(after.get(id));
      for (size_t i = 0; i < out.size(); ++i)
        out[i].store(results[i], out[i].address(index), mask);
    }
  }

private:
  Value identity(mlir::Type type) {
    if (!plan.isMax)
      return e.constant(type, 0.0);
    if (plan.kernel.back() == 2 && plan.pads[0] == 1 && plantedBug("max-pool-padding"))
      return e.constant(type, 0);
    if (Emitter::isFloat(type))
      return e.constant(type, -std::numeric_limits<double>::infinity());
    return e.constant(type, -int64_t((uint64_t(1) << (Emitter::bitsOf(type) - 1)) - 1) - 1);
  }

  Value average(Value sum, Value count, int64_t lanes) {
    mlir::Type scalar = Emitter::elementOf(sum.getType());
    // A window in the pads alone: 0 / 1.
    Value divisor = e.intToFloat(e.max(count, e.index(1)), scalar);
    return e.div(sum, e.splat(divisor, lanes));
  }

  Values fold(size_t d, ValueRange outer, ValueRange taken, const Taps &taps, ValueRange acc,
              const std::function<Values(ValueRange, ValueRange)> &body) {
    if (d == plan.rank)
      return body(taken, acc);
    return e.loop(taps.low[d], taps.high[d], e.index(1), acc, [&](Value k, ValueRange carried) {
      Values next(taken);
      next.push_back(e.add(taps.start[d], e.mul(k, e.index(plan.dilations[d]))));
      return fold(d + 1, outer, next, taps, carried, body);
    });
  }

  Value address(ValueRange outer, Value inner, ValueRange spatial) {
    Values index;
    if (plan.channelsLast) {
      index.push_back(outer[0]);
      index.append(spatial.begin(), spatial.end());
      index.push_back(inner);
    } else {
      index.push_back(outer[0]);
      index.push_back(outer[1]);
      index.append(spatial.begin(), spatial.end());
    }
    return xAccess->address(index);
  }

  Emitter &e;
  const Problem &problem;
  const PoolPlan &plan;
  cpu::ScalarEmitter scalars;
  std::vector<Problem::ValueId> inputs;
  const Problem::Value &x, &y;
  std::vector<BufferAccess> in, out;
  BufferAccess *xAccess = nullptr;
  Values inSize;
};

} // namespace

bool PoolingFamily::claims(const Problem &problem) const { return planPool(problem).has_value(); }

std::optional<std::string> PoolingFamily::layoutPreference(const Problem &problem) const {
  std::optional<PoolPlan> plan = planPool(problem);
  if (!plan || plan->channelsLast)
    return std::nullopt;
  return "nhwc";
}

Config PoolingFamily::defaultConfig(const Problem &problem, const TargetInfo &target) const {
  return Config{{"unroll", int64_t(4)}};
}

std::vector<Config> PoolingFamily::candidates(const Problem &problem, const TargetInfo &target) const {
  std::vector<Config> all;
  for (int64_t unroll : {1, 2, 4})
    all.push_back(Config{{"unroll", unroll}});
  return all;
}

Exactness PoolingFamily::exactness(const Problem &problem, const Config &config) const {
  ExpressionError error = expressionError(problem);
  return {2 * error.relative, 4 * error.scaled};
}

namespace {

/// The loops of a problem.
struct PoolLoops {
  int unroll;
  int64_t lanes;
  RowGrid grid;

  PoolLoops(const Problem &problem, const PoolPlan &plan, const Config &config, const TargetInfo &target) {
    unroll = int(std::clamp<int64_t>(config.getInt("unroll", 4), 1, 8));
    lanes = target.lanes(int(widestElement(problem)));
    grid = makeRowGrid(problem.value(plan.y).dims, 4096, lanes * unroll);
  }
};

} // namespace

Result<KernelInterface> PoolingFamily::describeLaunches(const Problem &problem, const Config &config,
                                                        const TargetInfo &target) const {
  std::optional<PoolPlan> plan = planPool(problem);
  if (!plan)
    return makeError(ErrorCode::E0901, "pooling: not a problem of this family");
  return oneLaunch(mainLaunch(problem, "pooling", PoolLoops(problem, *plan, config, target).grid.grid()));
}

Result<mlir::OwningOpRef<mlir::ModuleOp>> PoolingFamily::emitLaunches(const Problem &problem, const Config &config,
                                                                      const TargetInfo &target,
                                                                      const KernelInterface &interface,
                                                                      mlir::MLIRContext &context) const {
  std::optional<PoolPlan> plan = planPool(problem);
  PoolLoops loops(problem, *plan, config, target);
  const RowGrid &grid = loops.grid;
  int unroll = loops.unroll;
  int64_t lanes = loops.lanes;
  unsigned bits = widestElement(problem);
  const std::vector<SizeExpr> &space = problem.value(plan->y).dims;
  Emitter e(context, target);
  beginLaunch(e, interface);
  PoolEmitter emitter(e, problem, *plan);
  emitRows(e, space, grid, [&](ValueRange outer, Value begin, Value end) {
    if (!plan->channelsLast) {
      e.loop(begin, end, e.index(1), [&](Value last) {
        Values at(outer.drop_front(2));
        at.push_back(last);
        emitter.point(outer, last, emitter.tapsAt(at), 0, Value());
      });
      return;
    }
    PoolEmitter::Taps taps = emitter.tapsAt(outer.drop_front(1));
    SizeExpr part = grid.partsPerRow.isConstant(1) ? grid.row : SizeExpr::symbol("part");
    emitVectors(e, begin, end, lanes, unroll, bits, part, [&](Value at, int count, Value mask) {
      Values inner;
      for (int u = 0; u < count; ++u)
        inner.push_back(e.add(at, e.index(u * lanes)));
      emitter.point(outer, inner, taps, lanes, mask);
    });
  });
  e.endKernel();
  return e.take();
}

const KernelFamily &poolingFamily() {
  static const PoolingFamily family;
  return family;
}

} // namespace kiln
