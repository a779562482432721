// rnn, gru and lstm: step after step, one element of the batch after the other.
#include "runtime/reference/Element.h"
#include "runtime/reference/Indices.h"
#include "runtime/reference/Kernels.h"
#include "runtime/reference/Product.h"

#include <algorithm>

namespace kiln::ref {
namespace {

struct Activation {
  enum class Kind {
    Affine, Relu, LeakyRelu, ThresholdedRelu, Tanh, ScaledTanh, Sigmoid, HardSigmoid, Elu, Softsign, Softplus
  };
  Kind kind = Kind::Tanh;
  double alpha = 0, beta = 0;

  template <typename C> C operator()(C x) const {
    const C a = static_cast<C>(alpha), b = static_cast<C>(beta);
    switch (kind) { // NaN stays
    case Kind::Affine: return a * x + b;
    case Kind::Relu: return x < 0 ? C(0) : x;
    case Kind::LeakyRelu: return x < 0 ? a * x : x;
    case Kind::ThresholdedRelu: return x <= a ? C(0) : x;
    case Kind::Tanh: return std::tanh(x);
    case Kind::ScaledTanh: return a * std::tanh(b * x);
    case Kind::Sigmoid: return C(1) / (C(1) + std::exp(-x));
    case Kind::HardSigmoid: {
      const C y = a * x + b;
      return y <= 0 ? C(0) : y >= 1 ? C(1) : y;
    }
    case Kind::Elu: return x < 0 ? a * std::expm1(x) : x;
    case Kind::Softsign: return x / (C(1) + std::fabs(x));
    case Kind::Softplus: return (x < 0 ? C(0) : x) + std::log1p(std::exp(-std::fabs(x)));
    }
    return x;
  }
};

/// The functions of all directions, each with its parameters.
Result<std::vector<Activation>> activationsOf(std::string_view op, const OpCall &call, std::string_view fallback) {
  static constexpr std::string_view names[] = {"affine",  "relu",         "leaky_relu", "thresholded_relu",
                                               "tanh",    "scaled_tanh",  "sigmoid",    "hard_sigmoid",
                                               "elu",     "softsign",     "softplus"};
  const std::string text = call.attributes.getString("activations", fallback);
  std::vector<Activation> list;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const auto name = std::ranges::find(names, std::string_view(text).substr(begin, end - begin));
    if (name == std::end(names))
      return makeError(ErrorCode::E0411, op, ": activations are \"", text, "\", of which one is unknown");
    list.push_back({static_cast<Activation::Kind>(name - names), 0, 0});
    begin = end + 1;
  }
  const std::vector<double> alpha = call.attributes.getFloats("alpha"), beta = call.attributes.getFloats("beta");
  for (const auto *parameters : {&alpha, &beta})
    if (!parameters->empty() && parameters->size() != list.size())
      return makeError(ErrorCode::E0404, op, ": ", parameters->size(), " parameters for ", list.size(), " activations");
  for (size_t i = 0; i < list.size(); ++i) {
    list[i].alpha = alpha.empty() ? 0 : alpha[i];
    list[i].beta = beta.empty() ? 0 : beta[i];
  }
  return list;
}

/// What the three ops share: dims, operands, the walk over directions, steps and the batch.
struct Layer {
  std::string_view op;
  int64_t gates = 1, states = 1, functions = 1; // functions: of each direction
  int64_t steps = 0, batch = 0, inputs = 0, hidden = 0, directions = 1;
  bool reversed = false; // the first direction
  double clip = 0;
  std::vector<Activation> activations;
  Dims lengths;

  static Result<Layer> read(std::string_view op, const OpCall &call, int64_t gates, int64_t states,
                            std::string_view activations);

  template <typename C> C clipped(C x) const {
    const C limit = static_cast<C>(clip);
    return clip == 0 ? x : x > limit ? limit : x < -limit ? -limit : x;
  }
};

Result<Layer> Layer::read(std::string_view op, const OpCall &call, int64_t gates, int64_t states,
                          std::string_view activations) {
  Layer l;
  l.op = op, l.gates = gates, l.states = states, l.functions = 1 + std::ranges::count(activations, ',');
  KILN_TRY(checkCounts(op, call, 3, static_cast<size_t>(states == 2 ? 8 : 6), static_cast<size_t>(1 + states)));
  const TensorView &x = call.inputs[0], &r = call.inputs[2];
  KILN_TRY(checkRank(op, "the operand", x, 3));
  KILN_TRY(checkRank(op, "the weights of the state", r, 3));
  l.steps = x.dims[0], l.batch = x.dims[1], l.inputs = x.dims[2], l.hidden = r.dims[2];
  const std::string direction = call.attributes.getString("direction", "forward");
  if (direction != "forward" && direction != "reverse" && direction != "bidirectional")
    return makeError(ErrorCode::E0411, op, ": unknown direction \"", direction, "\"");
  l.directions = direction == "bidirectional" ? 2 : 1;
  l.reversed = direction == "reverse";
  l.clip = call.attributes.getFloat("clip");
  if (!(l.clip >= 0))
    return makeError(ErrorCode::E0411, op, ": clip is ", l.clip, ", expected 0 or more");
  KILN_ASSIGN(l.activations, activationsOf(op, call, activations));
  if (l.directions == 2 && static_cast<int64_t>(l.activations.size()) == l.functions)
    for (int64_t i = 0; i < l.functions; ++i)
      l.activations.push_back(l.activations[i]);
  if (static_cast<int64_t>(l.activations.size()) != l.functions * l.directions)
    return makeError(ErrorCode::E0404, op, ": ", l.activations.size(), " activations, expected ",
                     l.functions * l.directions);
  const auto expect = [&](size_t index, std::string_view what, const Dims &dims) -> Status {
    const TensorView view = operand(call, index);
    if (!view.present())
      return {};
    KILN_TRY(checkType(op, what, view, x.dtype));
    return checkDims(op, what, view, dims);
  };
  const int64_t rows = gates * l.hidden;
  const Dims state{l.directions, l.batch, l.hidden};
  KILN_TRY(expect(1, "the weights", {l.directions, rows, l.inputs}));
  KILN_TRY(expect(2, "the weights of the state", {l.directions, rows, l.hidden}));
  KILN_TRY(expect(3, "the bias", {l.directions, 2 * rows}));
  KILN_TRY(expect(5, "the initial state", state));
  if (states == 2) {
    KILN_TRY(expect(6, "the initial cell", state));
    KILN_TRY(expect(7, "the peephole", {l.directions, (gates - 1) * l.hidden}));
  }
  l.lengths.assign(static_cast<size_t>(l.batch), l.steps);
  if (const TensorView view = operand(call, 4); view.present()) {
    KILN_TRY(checkDims(op, "lengths", view, Dims{l.batch}));
    KILN_ASSIGN(l.lengths, readIndices(op, view));
    for (int64_t length : l.lengths)
      if (length < 0 || length > l.steps)
        return makeError(ErrorCode::E0513, op, ": length ", length, " is out of range for ", l.steps, " steps");
  }
  KILN_TRY(checkOutput(op, call, x.dtype, Dims{l.steps, l.directions, l.batch, l.hidden}));
  for (int64_t i = 0; i < states; ++i)
    KILN_TRY(checkOutput(op, call, x.dtype, state, static_cast<size_t>(1 + i)));
  return l;
}

/// The elements of an operand from `first` on, 0 where it is absent.
template <typename C> std::vector<C> elements(const TensorView &view, int64_t first, int64_t count) {
  std::vector<C> list(static_cast<size_t>(count), C(0));
  if (view.present())
    loadOf<C>(view.dtype)(view.data, first, 1, count, list.data());
  return list;
}

/// [rows, columns] of an operand from `first` on, as [columns, rows].
template <typename C>
std::vector<C> transposed(const TensorView &view, int64_t first, int64_t rows, int64_t columns) {
  std::vector<C> list(static_cast<size_t>(rows * columns));
  for (int64_t c = 0; c < columns; ++c)
    loadOf<C>(view.dtype)(view.data, first + c, columns, rows, list.data() + c * rows);
  return list;
}

/// One direction's parameters.
template <typename C> struct Direction {
  std::vector<C> w, r;          ///< [inputs, rows], [hidden, rows]
  std::vector<C> bias, biasOfH; ///< [rows]
  std::vector<C> peephole; ///< empty where there is none: 0 times an infinite cell would be no number
  std::span<const Activation> f;
};

/// Runs step(direction, gates, h, c) for every step of every element: `gates` holds x W; the states of `hidden` elements
/// are to be brought forward.
template <typename C, typename F> Status run(const OpCall &call, const Layer &l, F step) {
  const TensorView &x = call.inputs[0];
  const int64_t rows = l.gates * l.hidden, states = l.batch * l.hidden;
  const std::vector<C> all = elements<C>(x, 0, x.size());
  std::vector<C> y(static_cast<size_t>(call.outputs[0].size()), C(0)), gates(static_cast<size_t>(rows));
  for (int64_t d = 0; d < l.directions; ++d) {
    Direction<C> own;
    own.w = transposed<C>(call.inputs[1], d * rows * l.inputs, rows, l.inputs);
    own.r = transposed<C>(call.inputs[2], d * rows * l.hidden, rows, l.hidden);
    own.bias = elements<C>(operand(call, 3), d * 2 * rows, rows);
    own.biasOfH = elements<C>(operand(call, 3), (d * 2 + 1) * rows, rows);
    const int64_t peepholes = l.states == 2 && operand(call, 7).present() ? rows - l.hidden : 0;
    own.peephole = elements<C>(l.states == 2 ? operand(call, 7) : TensorView{}, d * peepholes, peepholes);
    own.f = std::span(l.activations).subspan(static_cast<size_t>(d * l.functions), static_cast<size_t>(l.functions));
    std::vector<C> h = elements<C>(operand(call, 5), d * states, states);
    std::vector<C> c = elements<C>(l.states == 2 ? operand(call, 6) : TensorView{}, d * states, states);
    const bool reverse = l.reversed || d == 1;
    for (int64_t b = 0; b < l.batch; ++b) {
      C *hb = h.data() + b * l.hidden, *cb = c.data() + b * l.hidden;
      for (int64_t t = 0; t < l.lengths[b]; ++t) {
        const int64_t s = reverse ? l.lengths[b] - 1 - t : t;
        std::ranges::fill(gates, C(0));
        multiplyAdd<C>(1, rows, l.inputs, all.data() + (s * l.batch + b) * l.inputs, l.inputs, own.w.data(), rows,
                       gates.data(), rows);
        step(own, gates.data(), hb, cb);
        std::copy_n(hb, l.hidden, y.data() + ((s * l.directions + d) * l.batch + b) * l.hidden);
      }
      if (l.lengths[b] == 0) {
        std::fill_n(hb, l.hidden, C(0));
        std::fill_n(cb, l.hidden, C(0));
      }
    }
    storeOf<C>(x.dtype)(h.data(), states, call.outputs[1].data, d * states, 1);
    if (l.states == 2)
      storeOf<C>(x.dtype)(c.data(), states, call.outputs[2].data, d * states, 1);
  }
  storeOf<C>(x.dtype)(y.data(), call.outputs[0].size(), call.outputs[0].data, 0, 1);
  return {};
}

} // namespace

Status op_rnn(const OpCall &call) {
  KILN_ASSIGN(const Layer l, Layer::read("rnn", call, 1, 1, "tanh"));
  return withFloat("rnn", call.inputs[0].dtype, call.accumulate, [&]<typename C>() {
    return run<C>(call, l, [&](const Direction<C> &d, C *gates, C *h, C *) {
      const int64_t n = l.hidden;
      multiplyAdd<C>(1, n, n, h, n, d.r.data(), n, gates, n);
      for (int64_t j = 0; j < n; ++j)
        h[j] = d.f[0](l.clipped(gates[j] + (d.bias[j] + d.biasOfH[j])));
    });
  });
}

Status op_gru(const OpCall &call) {
  KILN_ASSIGN(const Layer l, Layer::read("gru", call, 3, 1, "sigmoid,tanh"));
  const bool linear = call.attributes.getBool("linear_before_reset");
  return withFloat("gru", call.inputs[0].dtype, call.accumulate, [&]<typename C>() {
    std::vector<C> product(static_cast<size_t>(l.hidden)), reset(product);
    return run<C>(call, l, [&](const Direction<C> &d, C *gates, C *h, C *) {
      const int64_t n = l.hidden, rows = 3 * n;
      C *z = gates, *r = gates + n, *g = gates + 2 * n;
      multiplyAdd<C>(1, 2 * n, n, h, n, d.r.data(), rows, gates, rows);
      for (int64_t j = 0; j < 2 * n; ++j)
        gates[j] = d.f[0](l.clipped(gates[j] + (d.bias[j] + d.biasOfH[j])));
      for (int64_t j = 0; j < n; ++j) {
        reset[j] = linear ? h[j] : r[j] * h[j];
        product[j] = linear ? d.biasOfH[2 * n + j] : C(0);
      }
      multiplyAdd<C>(1, n, n, reset.data(), n, d.r.data() + 2 * n, rows, product.data(), n);
      for (int64_t j = 0; j < n; ++j) {
        g[j] += linear ? r[j] * product[j] + d.bias[2 * n + j]
                       : product[j] + (d.bias[2 * n + j] + d.biasOfH[2 * n + j]);
        h[j] = (C(1) - z[j]) * d.f[1](l.clipped(g[j])) + z[j] * h[j];
      }
    });
  });
}

Status op_lstm(const OpCall &call) {
  KILN_ASSIGN(const Layer l, Layer::read("lstm", call, 4, 2, "sigmoid,tanh,tanh"));
  const bool coupled = call.attributes.getBool("input_forget");
  return withFloat("lstm", call.inputs[0].dtype, call.accumulate, [&]<typename C>() {
    return run<C>(call, l, [&](const Direction<C> &d, C *gates, C *h, C *c) {
      const int64_t n = l.hidden, rows = 4 * n;
      multiplyAdd<C>(1, rows, n, h, n, d.r.data(), rows, gates, rows);
      for (int64_t j = 0; j < rows; ++j)
        gates[j] += d.bias[j] + d.biasOfH[j];
      const auto peep = [&](int64_t which, int64_t j) {
        return d.peephole.empty() ? C(0) : d.peephole[which * n + j] * c[j];
      };
      for (int64_t j = 0; j < n; ++j) {
        const C i = d.f[0](l.clipped(gates[j] + peep(0, j)));
        const C f = coupled ? C(1) - i : d.f[0](l.clipped(gates[2 * n + j] + peep(2, j)));
        c[j] = f * c[j] + i * d.f[1](l.clipped(gates[3 * n + j]));
        const C o = d.f[0](l.clipped(gates[n + j] + peep(1, j)));
        h[j] = o * d.f[2](c[j]);
      }
    });
  });
}

} // namespace kiln::ref
