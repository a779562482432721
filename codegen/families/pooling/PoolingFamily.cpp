// Pooling: one max_pool or avg_pool over any number of spatial dims, with elementwise work after it. Channels last is
// the fast layout (vectors of channels); channels first is computed element by element.
#include "codegen/families/CpuFamilies.h"

#include "codegen/families/common/Expression.h"
#include "codegen/families/common/Family.h"
#include "codegen/families/common/Launches.h"
#include "codegen/families/common/Space.h"
#include "runtime/base/PlantedBug.h"

#include <algorithm>
#include <limits>

namespace kiln {
using emit::Cmp;
using emit::Emitter;
using emit::Values;
using mlir::Value;
using mlir::ValueRange;

namespace {

struct Pool {
  const Problem::Op *op = nullptr;
  bool isMax = false, channelsLast = false, includePads = false;
  Problem::ValueId x = Problem::absent, y = Problem::absent;
  size_t rank = 0; // spatial dims
  std::vector<int64_t> kernel, strides, dilations, pads;

  size_t firstSpatial() const { return channelsLast ? 1 : 2; }
  static std::optional<Pool> of(const Problem &problem);
};

std::optional<Pool> Pool::of(const Problem &problem) {
  if (problem.precision == Precision::Strict)
    return std::nullopt;
  Pool pool;
  std::vector<int> others;
  for (size_t i = 0; i < problem.ops.size(); ++i) {
    const Problem::Op &op = problem.ops[i];
    if (op.mnemonic == "max_pool" || op.mnemonic == "avg_pool") {
      if (pool.op)
        return std::nullopt;
      pool.op = &op;
    } else {
      others.push_back(int(i));
    }
  }
  if (!pool.op || !isExpression(problem, others))
    return std::nullopt;
  const Attributes &a = pool.op->attributes;
  pool.isMax = pool.op->mnemonic == "max_pool";
  pool.x = pool.op->operands[0];
  pool.y = pool.op->result();
  const Problem::Value &x = problem.value(pool.x), &y = problem.value(pool.y);
  if (!x.isBuffer() || x.rank() < 3 || y.rank() != x.rank())
    return std::nullopt;
  if (!(isFloat(x.dtype) || (pool.isMax && isInteger(x.dtype) && x.dtype != DType::U64)))
    return std::nullopt;
  std::string automatic = a.getString("auto_pad");
  if (!automatic.empty() && automatic != "notset" && automatic != "valid")
    return std::nullopt;
  pool.rank = size_t(x.rank()) - 2;
  pool.channelsLast = a.getString("layout", "nchw") == "nhwc";
  pool.includePads = a.getBool("count_include_pad");
  pool.kernel = a.getInts("kernel");
  pool.strides = a.getInts("strides", std::vector<int64_t>(pool.rank, 1));
  pool.dilations = a.getInts("dilations", std::vector<int64_t>(pool.rank, 1));
  pool.pads = a.getInts("pads", std::vector<int64_t>(2 * pool.rank, 0));
  if (automatic == "valid")
    pool.pads.assign(2 * pool.rank, 0);
  for (auto *list : {&pool.strides, &pool.dilations})
    if (list->empty())
      list->assign(pool.rank, 1);
  if (pool.pads.empty())
    pool.pads.assign(2 * pool.rank, 0);
  if (pool.kernel.size() != pool.rank || pool.strides.size() != pool.rank || pool.dilations.size() != pool.rank ||
      pool.pads.size() != 2 * pool.rank)
    return std::nullopt;
  for (Problem::ValueId id : problem.outputs)
    if (problem.value(id).dims != y.dims || problem.value(id).kind != Problem::Kind::Result)
      return std::nullopt;
  for (Problem::ValueId id : problem.inputs())
    if (problem.value(id).rank() > y.rank())
      return std::nullopt;
  // The pooled buffer is read at other places than the result's: nothing else may use it.
  for (const Problem::Op &op : problem.ops)
    if (&op != pool.op && std::find(op.operands.begin(), op.operands.end(), pool.x) != op.operands.end())
      return std::nullopt;
  for (const Problem::InPlace &pair : problem.inPlace)
    if (problem.inputs()[size_t(pair.input)] == pool.x)
      return std::nullopt;
  return pool;
}

class PoolEmitter {
public:
  PoolEmitter(Emitter &e, const Problem &problem, const Pool &pool)
      : e(e), problem(problem), pool(pool), scalars(e), inputs(problem.inputs()), x(problem.value(pool.x)),
        y(problem.value(pool.y)) {
    for (size_t i = 0; i < inputs.size(); ++i)
      in.emplace_back(e, e.buffer(i), problem.value(inputs[i]).dtype, problem.value(inputs[i]).dims,
                      inputs[i] == pool.x ? std::span<const SizeExpr>(x.dims) : std::span<const SizeExpr>(y.dims));
    for (size_t i = 0; i < problem.outputs.size(); ++i)
      out.emplace_back(e, e.buffer(inputs.size() + i), problem.value(problem.outputs[i]).dtype, y.dims, y.dims);
    for (size_t d = 0; d < pool.rank; ++d)
      inSize.push_back(e.size(x.dims[pool.firstSpatial() + d]));
    xAccess = &in[problem.inputIndex(pool.x)];
  }

  // The valid taps of the window at position `at` (one index per spatial dim).
  struct Taps {
    Values start, low, high; // first input index; range of taps
    Value count;             // what an average divides by
  };
  Taps tapsAt(ValueRange at) {
    Taps taps;
    taps.count = e.index(1);
    for (size_t d = 0; d < pool.rank; ++d) {
      Value kernel = e.index(pool.kernel[d]), dilation = e.index(pool.dilations[d]), zero = e.index(0);
      Value start = e.sub(e.mul(at[d], e.index(pool.strides[d])), e.index(pool.pads[d]));
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
          pool.includePads ? tapsBelow(e.add(inSize[d], e.index(pool.pads[pool.rank + d]))) : e.sub(high, low);
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
        next.push_back(pool.isMax ? e.max(sums[u], v) : e.add(sums[u], v));
      }
      return next;
    });
    for (size_t u = 0; u < inner.size(); ++u) {
      Value result = pool.isMax ? acc[u] : average(acc[u], taps.count, lanes);
      Values index(outer);
      index.push_back(inner[u]);
      Expression after(problem, scalars, lanes, [&](Problem::ValueId id) {
        const BufferAccess &access = in[problem.inputIndex(id)];
        return access.load(access.address(index), lanes, mask);
      });
      after.bind(pool.y, result);
      Values results;
      for (Problem::ValueId id : problem.outputs)
        results.push_back(after.get(id));
      for (size_t i = 0; i < out.size(); ++i)
        out[i].store(results[i], out[i].address(index), mask);
    }
  }

private:
  Value identity(mlir::Type type) {
    if (!pool.isMax)
      return e.constant(type, 0.0);
    if (pool.kernel.back() == 2 && pool.pads[0] == 1 && plantedBug("max-pool-padding"))
      return e.constant(type, 0);
    if (Emitter::isFloat(type))
      return e.constant(type, -std::numeric_limits<double>::infinity());
    if (isUnsignedInt(x.dtype))
      return e.constant(type, 0); // wider in registers
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
    if (d == pool.rank)
      return body(taken, acc);
    return e.loop(taps.low[d], taps.high[d], e.index(1), acc, [&](Value k, ValueRange carried) {
      Values next(taken);
      next.push_back(e.add(taps.start[d], e.mul(k, e.index(pool.dilations[d]))));
      return fold(d + 1, outer, next, taps, carried, body);
    });
  }

  Value address(ValueRange outer, Value inner, ValueRange spatial) {
    Values index;
    if (pool.channelsLast) {
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
  const Pool &pool;
  emit::ScalarEmitter scalars;
  std::vector<Problem::ValueId> inputs;
  const Problem::Value &x, &y;
  std::vector<BufferAccess> in, out;
  BufferAccess *xAccess = nullptr;
  Values inSize;
};

class PoolKernel {
public:
  PoolKernel(const Problem &problem, const Config &config, const TargetInfo &target)
      : problem(problem), pool(*Pool::of(problem)), unroll(unrollOf(config)), bits(widestElement(problem)),
        lanes(target.lanes(int(bits))), grid(makeRowGrid(problem.value(pool.y).dims, 4096, lanes * unroll)) {}

  KernelInterface describe() const { return oneLaunch(mainLaunch(problem, "pooling", grid.grid())); }
  double cycles(const PricedProblem &priced) const {
    const std::vector<SizeExpr> &dims = problem.value(pool.y).dims;
    double points = pool.channelsLast ? priced.rowVectors(dims, double(lanes)) : priced.product(dims);
    double taps = 1;
    for (int64_t size : pool.kernel)
      taps *= double(size);
    // A tap is a load and an operation; around them the window's bounds are found.
    return points * taps * 3 * vectorCycles + priced.product(dims) / priced.value(dims.back()) * 20 +
           priced.elementwiseCycles();
  }
  void emit(Emitter &e, const KernelInterface &interface) const;

private:
  const Problem &problem;
  Pool pool;
  int unroll;
  unsigned bits;
  int64_t lanes;
  RowGrid grid;
};

void PoolKernel::emit(Emitter &e, const KernelInterface &interface) const {
  beginLaunch(e, interface);
  PoolEmitter emitter(e, problem, pool);
  emitRows(e, problem.value(pool.y).dims, grid, [&](ValueRange outer, Value begin, Value end) {
    if (!pool.channelsLast) {
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
}

class PoolingFamily final : public UnrolledFamilyOf<PoolKernel> {
public:
  std::string_view name() const override { return "pooling"; }
  int version() const override { return 1; }
  /// One such op on a buffer, its pads resolved; every other op elementwise on its result; all outputs of its dims.
  bool claims(const Problem &problem) const override { return Pool::of(problem).has_value(); }
  std::optional<std::string> layoutPreference(const Problem &problem) const override {
    std::optional<Pool> pool = Pool::of(problem);
    if (!pool || pool->channelsLast)
      return std::nullopt;
    return "nhwc";
  }
  Exactness exactness(const Problem &problem, const Config &) const override {
    ExpressionError error = expressionError(problem);
    return {2 * error.relative, 4 * error.scaled};
  }
};

} // namespace

const KernelFamily &poolingFamily() {
  static const PoolingFamily family;
  return family;
}

} // namespace kiln
