// max_pool_indices: where the windows read is listed once, for all planes.
#include "runtime/base/Convert.h"
#include "runtime/host/Kernels.h"
#include "runtime/reference/Window.h"

#include <algorithm>
#include <vector>

namespace kiln::host {

using ref::OpCall;

Status maxPoolIndices(const OpCall &call) {
  constexpr std::string_view op = "max_pool_indices";
  constexpr int64_t most = int64_t{1} << 22; // entries of the list
  if (call.inputs.size() != 1 || call.outputs.size() != 2)
    return reference(op, call);
  const TensorView &x = call.inputs[0], &out = call.outputs[0], &indices = call.outputs[1];
  const std::vector<int64_t> *kernel = call.attributes.findInts("kernel");
  if (!kernel || x.rank() < 3 || std::ranges::any_of(*kernel, [](int64_t k) { return k < 1 || k > 1 << 10; }) ||
      call.attributes.getBool("column_major") || call.attributes.getString("layout", "nchw") != "nchw")
    return reference(op, call);
  const Result<ref::Window> window = ref::makeWindow(op, call, *kernel);
  if (!window.ok() || window->positions() * window->taps() > most || window->positions() == 0 || x.size() == 0)
    return reference(op, call);
  const ref::Dims dims = window->tensorDims(x.dims[0], x.dims[1], window->out);
  KILN_TRY(ref::checkOutput(op, call, x.dtype, dims));
  KILN_TRY(ref::checkOutput(op, call, DType::I64, dims, 1));
  const int64_t positions = window->positions(), taps = window->taps(), planes = x.dims[0] * x.dims[1];
  const int64_t plane = x.size() / planes;
  std::vector<int32_t> sources; // of each position those in x, from begins[position] on
  std::vector<size_t> begins;
  for (int64_t p = 0; p < positions; ++p) {
    begins.push_back(sources.size());
    for (int64_t t = 0; t < taps; ++t)
      if (const int64_t at = window->source(p, t); at >= 0)
        sources.push_back(static_cast<int32_t>(at));
    if (begins.back() == sources.size()) // in the pads alone
      return reference(op, call);
  }
  begins.push_back(sources.size());
  return dispatch(x.dtype, [&]<typename T>() -> Status {
    if constexpr (!std::is_arithmetic_v<T>)
      return reference(op, call);
    else {
      parallelFor(call, planes, 16384 / (positions * taps) + 1, [&](int64_t begin, int64_t end) {
        for (int64_t c = begin; c < end; ++c) {
          const T *own = x.as<T>() + c * plane;
          for (int64_t p = 0; p < positions; ++p) {
            int64_t best = sources[begins[p]];
            T top = own[best];
            for (size_t k = begins[p] + 1; k < begins[p + 1]; ++k)
              if (const T value = own[sources[k]]; value > top || (value != value && top == top)) {
                top = value;
                best = sources[k];
              }
            out.as<T>()[c * positions + p] = top;
            indices.as<int64_t>()[c * positions + p] = c * plane + best;
          }
        }
      });
      return {};
    }
  });
}

} // namespace kiln::host
