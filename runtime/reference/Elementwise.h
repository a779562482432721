// The engine of elementwise kernels: operands are broadcast, read in short runs into the compute
// type, run through a scalar function and stored, rounding once.
#pragma once

#include "runtime/reference/Element.h"
#include "runtime/reference/Strided.h"

namespace kiln::ref {

/// Elements computed at a time.
inline constexpr int64_t runLength = 256;

/// out[i] = f(in0[i], in1[i], ...) over the broadcast of N operands that are all read as compute
/// type C; f's result type is the compute type of the output (u64 for bool). Checks the output's
/// dims.
template <typename C, size_t N, typename F> Status mapElements(std::string_view op, const OpCall &call, F f) {
  using R = decltype([&]<size_t... I>(std::index_sequence<I...>) {
    return f(((void)I, C())...);
  }(std::make_index_sequence<N>()));
  const TensorView &out = call.outputs[0];
  KILN_ASSIGN(const Dims space, broadcastDims(op, call.inputs.first(N)));
  KILN_TRY(checkOutput(op, call, out.dtype, space));
  std::array<Dims, N + 1> strides;
  std::array<Load<C>, N> load;
  for (size_t k = 0; k < N; ++k) {
    strides[k] = broadcastStrides(call.inputs[k].dims, space);
    load[k] = loadOf<C>(call.inputs[k].dtype);
  }
  strides[N] = broadcastStrides(space, space);
  const Store<R> store = storeOf<R>(out.dtype);
  const Walk<N + 1> walk(space, strides);
  C in[N][runLength];
  R results[runLength];
  walk.rows([&](const std::array<int64_t, N + 1> &offsets, int64_t n) {
    const auto &step = walk.inner();
    for (int64_t begin = 0; begin < n; begin += runLength) {
      const int64_t count = std::min(runLength, n - begin);
      for (size_t k = 0; k < N; ++k)
        load[k](call.inputs[k].data, offsets[k] + begin * step[k], step[k], count, in[k]);
      [&]<size_t... I>(std::index_sequence<I...>) {
        for (int64_t i = 0; i < count; ++i)
          results[i] = f(in[I][i]...);
      }(std::make_index_sequence<N>());
      store(results, count, out.data, offsets[N] + begin * step[N], step[N]);
    }
  });
  return {};
}

} // namespace kiln::ref
