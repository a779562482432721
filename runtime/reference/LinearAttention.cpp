#include "runtime/reference/Element.h"
#include "runtime/reference/Kernels.h"
#include "runtime/reference/Operands.h"

#include <algorithm>

namespace kiln::ref {
namespace {

constexpr std::string_view op = "linear_attention";

template <typename C> std::vector<C> elements(const TensorView &view, int64_t count) {
  std::vector<C> list(static_cast<size_t>(count), C(0));
  if (view.present())
    loadOf<C>(view.dtype)(view.data, 0, 1, count, list.data());
  return list;
}

Status checkOperands(const OpCall &call) {
  KILN_TRY(checkCounts(op, call, 3, 6, 2));
  const TensorView &q = call.inputs[0], &k = call.inputs[1], &v = call.inputs[2];
  const TensorView state = operand(call, 3), decay = operand(call, 4), beta = operand(call, 5);
  KILN_TRY(checkRank(op, "the queries", q, 4));
  KILN_TRY(checkRank(op, "the keys", k, 4));
  KILN_TRY(checkRank(op, "the values", v, 4));
  const int64_t batch = q.dims[0], steps = q.dims[2], heads = k.dims[1];
  if (heads < 1 || q.dims[1] % heads != 0)
    return makeError(ErrorCode::E0304, op, ": ", q.dims[1], " heads of queries for ", heads, " of keys and values");
  const auto expect = [&](const TensorView &view, std::string_view what, const Dims &dims) -> Status {
    if (!view.present())
      return {};
    KILN_TRY(checkType(op, what, view, q.dtype));
    return checkDims(op, what, view, dims);
  };
  KILN_TRY(expect(k, "the keys", {batch, heads, steps, q.dims[3]}));
  KILN_TRY(expect(v, "the values", {batch, heads, steps, v.dims[3]}));
  const Dims stateDims{batch, heads, q.dims[3], v.dims[3]};
  if (state.present()) {
    KILN_TRY(checkDims(op, "the state", state, stateDims));
    if (!isFloat(state.dtype))
      return makeError(ErrorCode::E0203, op, " needs a floating-point state, got ", dtypeName(state.dtype));
  }
  const bool oneDecay = decay.present() && decay.rank() == 4 && decay.dims[3] == 1;
  const bool oneBeta = beta.present() && beta.rank() == 4 && beta.dims[1] == 1;
  KILN_TRY(expect(decay, "the decay", {batch, heads, steps, oneDecay ? 1 : q.dims[3]}));
  KILN_TRY(expect(beta, "beta", {batch, oneBeta ? 1 : heads, steps, 1}));
  KILN_TRY(checkOutput(op, call, q.dtype, Dims{batch, q.dims[1], steps, v.dims[3]}, 0));
  return checkOutput(op, call, state.present() ? state.dtype : q.dtype, stateDims, 1);
}

} // namespace

Status op_linear_attention(const OpCall &call) {
  KILN_TRY(checkOperands(call));
  const TensorView &q = call.inputs[0], &k = call.inputs[1], &v = call.inputs[2];
  const TensorView decay = operand(call, 4), beta = operand(call, 5);
  const int64_t batch = q.dims[0], steps = q.dims[2], heads = k.dims[1], group = q.dims[1] / heads;
  const int64_t keys = q.dims[3], values = v.dims[3];
  const double scale = call.attributes.getFloat("scale", 1);
  return withFloat(op, q.dtype, call.accumulate, [&]<typename C>() {
    const auto allQ = elements<C>(q, q.size()), allK = elements<C>(k, k.size()), allV = elements<C>(v, v.size());
    const auto decays = elements<C>(decay, decay.present() ? decay.size() : 0);
    const auto betas = elements<C>(beta, beta.present() ? beta.size() : 0);
    auto states = elements<C>(operand(call, 3), call.outputs[1].size());
    std::vector<C> y(static_cast<size_t>(call.outputs[0].size()), C(0)), added(static_cast<size_t>(values));
    for (int64_t b = 0; b < batch; ++b)
      for (int64_t h = 0; h < heads; ++h) {
        C *state = states.data() + (b * heads + h) * keys * values; // [keys, values]
        for (int64_t t = 0; t < steps; ++t) {
          const int64_t step = (b * heads + h) * steps + t;
          const C *key = allK.data() + step * keys;
          std::copy_n(allV.data() + step * values, values, added.data());
          if (decay.present())
            for (int64_t i = 0; i < keys; ++i) {
              const C factor = std::exp(decays[decay.dims[3] == 1 ? step : step * keys + i]);
              for (int64_t j = 0; j < values; ++j)
                state[i * values + j] *= factor;
            }
          if (beta.present()) {
            const C rate = betas[beta.dims[1] == 1 ? b * steps + t : step];
            for (int64_t j = 0; j < values; ++j) {
              C found = 0;
              for (int64_t i = 0; i < keys; ++i)
                found += state[i * values + j] * key[i];
              added[j] = rate * (added[j] - found);
            }
          }
          for (int64_t i = 0; i < keys; ++i)
            for (int64_t j = 0; j < values; ++j)
              state[i * values + j] += key[i] * added[j];
          for (int64_t g = 0; g < group; ++g) {
            const int64_t row = (b * heads * group + h * group + g) * steps + t;
            for (int64_t j = 0; j < values; ++j) {
              C sum = 0;
              for (int64_t i = 0; i < keys; ++i)
                sum += allQ[row * keys + i] * state[i * values + j];
              y[row * values + j] = static_cast<C>(scale) * sum;
            }
          }
        }
      }
    storeOf<C>(q.dtype)(y.data(), call.outputs[0].size(), call.outputs[0].data, 0, 1);
    storeOf<C>(call.outputs[1].dtype)(states.data(), call.outputs[1].size(), call.outputs[1].data, 0, 1);
    return Status();
  });
}

} // namespace kiln::ref
