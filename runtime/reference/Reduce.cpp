// Reductions over axes, arg-reductions, softmax and log_softmax.
#include "runtime/reference/Elementwise.h"
#include "runtime/reference/Kernels.h"

#include <algorithm>

namespace kiln::ref {
namespace {

template <typename C> using Wrapping = std::conditional_t<std::is_floating_point_v<C>, C, uint64_t>;

template <typename C> C add(C a, C b) { return static_cast<C>(Wrapping<C>(a) + Wrapping<C>(b)); }
template <typename C> C multiply(C a, C b) { return static_cast<C>(Wrapping<C>(a) * Wrapping<C>(b)); }
template <typename C> C magnitude(C a) { return a < 0 ? static_cast<C>(Wrapping<C>(0) - Wrapping<C>(a)) : a; }
template <typename C> bool isNan(C a) { return a != a; }
template <typename C> C larger(C a, C b) { return isNan(a) || a > b ? a : isNan(b) ? b : b; }
template <typename C> C smaller(C a, C b) { return isNan(a) || a < b ? a : isNan(b) ? b : b; }

/// The least value of a dtype, as its compute type holds it; what an empty max gives.
template <typename C> C lowest(DType dtype) {
  if constexpr (std::is_floating_point_v<C>)
    return static_cast<C>(-INFINITY);
  if (!isSignedInt(dtype))
    return 0;
  return static_cast<C>(std::numeric_limits<int64_t>::min() >> (64 - dtypeBits(dtype)));
}
template <typename C> C highest(DType dtype) {
  if constexpr (std::is_floating_point_v<C>)
    return static_cast<C>(INFINITY);
  if (dtype == DType::Bool)
    return 1;
  if (isSignedInt(dtype))
    return static_cast<C>(std::numeric_limits<int64_t>::max() >> (64 - dtypeBits(dtype)));
  return static_cast<C>(std::numeric_limits<uint64_t>::max() >> (64 - dtypeBits(dtype)));
}

/// The axes of a reduction and what it does to the dims.
struct Plan {
  Dims space;         ///< the operand's dims
  Dims resultStrides; ///< of the result over that space: 0 along reduced axes
  int64_t results = 1;
  int64_t folded = 1; ///< elements that go into each result
};

Result<Plan> planReduction(std::string_view op, const OpCall &call, Dims axes) {
  const TensorView &x = call.inputs[0];
  Plan plan;
  plan.space.assign(x.dims.begin(), x.dims.end());
  std::vector<bool> reduced(x.rank(), false);
  for (int64_t axis : axes) {
    KILN_ASSIGN(const int64_t at, normalizeAxis(op, axis, x.rank()));
    if (reduced[at])
      return makeError(ErrorCode::E0413, op, ": axis ", axis, " is given twice");
    reduced[at] = true;
  }
  const bool keep = call.attributes.getBool("keepdims", true);
  Dims dims, kept;
  for (int64_t i = 0; i < x.rank(); ++i) {
    if (!reduced[i] || keep)
      dims.push_back(reduced[i] ? 1 : x.dims[i]);
    kept.push_back(reduced[i] ? 1 : x.dims[i]);
    (reduced[i] ? plan.folded : plan.results) *= x.dims[i];
  }
  KILN_TRY(checkOutput(op, call, call.outputs[0].dtype, dims));
  plan.resultStrides = broadcastStrides(kept, plan.space);
  for (int64_t i = 0; i < x.rank(); ++i)
    if (reduced[i])
      plan.resultStrides[i] = 0;
  return plan;
}

/// accumulators[r] = step(accumulators[r], x, r) for each element x that is folded into result r,
/// in the operand's order.
template <typename C, typename F>
void fold(const TensorView &x, const Plan &plan, std::vector<C> &accumulators, F step) {
  const Walk<2> walk(plan.space, {broadcastStrides(x.dims, plan.space), plan.resultStrides});
  const Load<C> load = loadOf<C>(x.dtype);
  C values[runLength];
  walk.rows([&](const std::array<int64_t, 2> &at, int64_t n) {
    const auto [xStep, resultStep] = walk.inner();
    for (int64_t begin = 0; begin < n; begin += runLength) {
      const int64_t count = std::min(runLength, n - begin);
      load(x.data, at[0] + begin * xStep, xStep, count, values);
      for (int64_t i = 0; i < count; ++i) {
        const int64_t r = at[1] + (begin + i) * resultStep;
        accumulators[r] = step(accumulators[r], values[i], r);
      }
    }
  });
}

enum class Kind { Sum, Mean, Max, Min, Prod, L1, L2, SumSquare, LogSum, LogSumExp };
struct KindName {
  std::string_view name;
  Kind kind;
};
constexpr KindName kindNames[] = {{"sum", Kind::Sum},        {"mean", Kind::Mean},
                                  {"max", Kind::Max},        {"min", Kind::Min},
                                  {"prod", Kind::Prod},      {"l1", Kind::L1},
                                  {"l2", Kind::L2},          {"sum_square", Kind::SumSquare},
                                  {"log_sum", Kind::LogSum}, {"log_sum_exp", Kind::LogSumExp}};

template <typename C> std::vector<C> reduceAs(Kind kind, const TensorView &x, const Plan &plan) {
  std::vector<C> acc(plan.results, C(0));
  switch (kind) {
  case Kind::Sum:
  case Kind::Mean:
  case Kind::LogSum: fold(x, plan, acc, [](C a, C v, int64_t) { return add(a, v); }); break;
  case Kind::Max:
    acc.assign(plan.results, lowest<C>(x.dtype));
    fold(x, plan, acc, [](C a, C v, int64_t) { return larger(a, v); });
    break;
  case Kind::Min:
    acc.assign(plan.results, highest<C>(x.dtype));
    fold(x, plan, acc, [](C a, C v, int64_t) { return smaller(a, v); });
    break;
  case Kind::Prod:
    acc.assign(plan.results, C(1));
    fold(x, plan, acc, [](C a, C v, int64_t) { return multiply(a, v); });
    break;
  case Kind::L1: fold(x, plan, acc, [](C a, C v, int64_t) { return add(a, magnitude(v)); }); break;
  case Kind::L2:
  case Kind::SumSquare: fold(x, plan, acc, [](C a, C v, int64_t) { return add(a, multiply(v, v)); }); break;
  case Kind::LogSumExp: {
    // Shifted by the maximum, where that is finite, so that exp does not overflow.
    std::vector<C> top(plan.results, lowest<C>(x.dtype));
    fold(x, plan, top, [](C a, C v, int64_t) { return larger(a, v); });
    for (C &t : top)
      if (!std::isfinite(static_cast<double>(t)))
        t = 0;
    fold(x, plan, acc, [&](C a, C v, int64_t r) { return add(a, static_cast<C>(std::exp(v - top[r]))); });
    for (int64_t r = 0; r < plan.results; ++r)
      acc[r] = static_cast<C>(std::log(acc[r]) + top[r]);
    break;
  }
  }
  for (C &a : acc) {
    if (kind == Kind::Mean) {
      if constexpr (std::is_floating_point_v<C>)
        a = a / static_cast<C>(plan.folded);
      else
        a = plan.folded == 0 ? 0 : a / static_cast<C>(plan.folded);
    } else if (kind == Kind::L2)
      a = static_cast<C>(std::sqrt(a));
    else if (kind == Kind::LogSum)
      a = static_cast<C>(std::log(a));
  }
  return acc;
}

/// The operand seen as [outer, axis, inner] around one axis.
struct AxisSplit {
  int64_t outer = 1, length = 1, inner = 1;
};

Result<AxisSplit> splitAt(std::string_view op, const OpCall &call, int64_t fallback) {
  const TensorView &x = call.inputs[0];
  if (x.rank() == 0) { // numpy and ONNX let a scalar be reduced over axis 0 or -1
    const int64_t axis = call.attributes.getInt("axis", fallback);
    if (axis == 0 || axis == -1)
      return AxisSplit{};
  }
  KILN_ASSIGN(const int64_t axis, normalizeAxis(op, call.attributes.getInt("axis", fallback), x.rank()));
  AxisSplit split;
  for (int64_t i = 0; i < x.rank(); ++i)
    (i < axis ? split.outer : i == axis ? split.length : split.inner) *= x.dims[i];
  return split;
}

Status argReduce(std::string_view op, const OpCall &call, bool wantMax) {
  KILN_TRY(checkCounts(op, call, 1, 1));
  const TensorView &x = call.inputs[0], &out = call.outputs[0];
  KILN_TRY(checkType(op, "the result", out, DType::I64));
  KILN_ASSIGN(const AxisSplit split, splitAt(op, call, 0));
  if (x.rank() == 0)
    KILN_TRY(checkOutput(op, call, DType::I64, {}));
  else
    KILN_TRY(planReduction(op, call, {call.attributes.getInt("axis")}).status());
  if (split.length == 0 && split.outer * split.inner > 0)
    return makeError(ErrorCode::E0505, op, " of an axis with no elements");
  const bool last = call.attributes.getBool("select_last");
  return withCompute(x.dtype, call.accumulate, [&]<typename C>() {
    const Load<C> load = loadOf<C>(x.dtype);
    std::vector<C> line(split.length);
    for (int64_t o = 0; o < split.outer; ++o)
      for (int64_t i = 0; i < split.inner; ++i) {
        load(x.data, o * split.length * split.inner + i, split.inner, split.length, line.data());
        // The first NaN counts as the extreme value, as in numpy (the last one with select_last).
        int64_t best = 0;
        for (int64_t k = 1; k < split.length; ++k) {
          const C a = line[best], b = line[k];
          const bool better = isNan(b) ? !isNan(a) : wantMax ? b > a : b < a;
          const bool level = isNan(b) ? isNan(a) : b == a;
          if (better || (last && level))
            best = k;
        }
        out.as<int64_t>()[o * split.inner + i] = best;
      }
    return Status();
  });
}

Status softmax(std::string_view op, const OpCall &call, bool log) {
  KILN_TRY(checkCounts(op, call, 1, 1));
  const TensorView &x = call.inputs[0], &out = call.outputs[0];
  KILN_TRY(checkOutput(op, call, x.dtype, x.dims));
  KILN_ASSIGN(const AxisSplit split, splitAt(op, call, -1));
  return withFloat(op, x.dtype, call.accumulate, [&]<typename C>() {
    const Load<C> load = loadOf<C>(x.dtype);
    const Store<C> store = storeOf<C>(out.dtype);
    std::vector<C> line(split.length);
    for (int64_t o = 0; o < split.outer; ++o)
      for (int64_t i = 0; i < split.inner; ++i) {
        const int64_t offset = o * split.length * split.inner + i;
        load(x.data, offset, split.inner, split.length, line.data());
        C top = static_cast<C>(-INFINITY), sum = 0;
        for (C v : line)
          top = larger(top, v);
        for (C &v : line) {
          v -= top;
          sum += std::exp(v);
        }
        const C logSum = std::log(sum);
        for (C &v : line)
          v = log ? v - logSum : std::exp(v) / sum;
        store(line.data(), split.length, out.data, offset, split.inner);
      }
    return Status();
  });
}

Status reduceOver(std::string_view op, const OpCall &call, const Dims &axes) {
  const TensorView &x = call.inputs[0], &out = call.outputs[0];
  const std::string name = call.attributes.getString("kind", "sum");
  const auto *found = std::ranges::find(kindNames, name, &KindName::name);
  if (found == std::end(kindNames))
    return makeError(ErrorCode::E0411, op, ": unknown kind \"", name, "\"");
  const Kind kind = found->kind;
  if (x.dtype == DType::Bool && kind != Kind::Max && kind != Kind::Min)
    return makeError(ErrorCode::E0203, op, " of kind \"", name, "\" is not defined for bool");
  KILN_TRY(checkType(op, "the result", out, x.dtype));
  KILN_ASSIGN(const Plan plan, planReduction(op, call, axes));
  const bool transcendental = kind == Kind::LogSum || kind == Kind::LogSumExp || kind == Kind::L2;
  auto run = [&]<typename C>() {
    const std::vector<C> results = reduceAs<C>(kind, x, plan);
    storeOf<C>(out.dtype)(results.data(), plan.results, out.data, 0, 1);
    return Status();
  };
  // Logarithms and roots of integers are taken in f64 and truncated.
  if (transcendental && !isFloat(x.dtype))
    return run.operator()<double>();
  return withCompute(x.dtype, call.accumulate, run);
}

} // namespace

Status op_reduce(const OpCall &call) {
  KILN_TRY(checkCounts("reduce", call, 1, 1));
  return reduceOver("reduce", call, call.attributes.getInts("axes"));
}

Status op_reduce_along(const OpCall &call) {
  KILN_TRY(checkCounts("reduce_along", call, 2, 2));
  KILN_ASSIGN(const Dims axes, readInts("reduce_along", "the list of axes", call.inputs[1]));
  return reduceOver("reduce_along", call, axes);
}

Status op_argmax(const OpCall &call) { return argReduce("argmax", call, true); }
Status op_argmin(const OpCall &call) { return argReduce("argmin", call, false); }
Status op_softmax(const OpCall &call) { return softmax("softmax", call, false); }
Status op_log_softmax(const OpCall &call) { return softmax("log_softmax", call, true); }

} // namespace kiln::ref
