// scatter_elements and scatter_nd. Updates of one place follow each other, so the walk over them is sequential.
#include "runtime/host/Kernels.h"
#include "runtime/reference/Element.h"
#include "runtime/reference/Strided.h"

#include <algorithm>
#include <vector>

namespace kiln::host {

using ref::OpCall;

namespace {

/// The result begins as x, which may be there already.
void copyFirst(const OpCall &call) {
  const TensorView &x = call.inputs[0], &out = call.outputs[0];
  if (x.data != out.data && x.bytes() > 0)
    std::memcpy(out.data, x.data, static_cast<size_t>(x.bytes()));
}

template <typename C> C sum(C a, C b) {
  using W = std::conditional_t<std::is_floating_point_v<C>, C, uint64_t>; // integers wrap
  return static_cast<C>(static_cast<W>(a) + static_cast<W>(b));
}
template <typename C> C times(C a, C b) {
  using W = std::conditional_t<std::is_floating_point_v<C>, C, uint64_t>;
  return static_cast<C>(static_cast<W>(a) * static_cast<W>(b));
}
template <typename C> C least(C a, C b) { return a != a || a < b ? a : b; } // NaN of either wins
template <typename C> C largest(C a, C b) { return a != a || a > b ? a : b; }

/// Calls visit(join) with the function that joins an update with what is there; false where the attribute names none.
template <typename C, typename Visit> bool withJoin(const std::string &reduction, Visit &&visit) {
  if (reduction == "add")
    visit(sum<C>);
  else if (reduction == "mul")
    visit(times<C>);
  else if (reduction == "min")
    visit(least<C>);
  else if (reduction == "max")
    visit(largest<C>);
  else
    return false;
  return true;
}

/// Runs of `length` updates to places of the result: walk(visit) calls visit(place, update), offsets in elements, in
/// order. The caller has checked all places.
template <typename Walk> Status scatter(std::string_view op, const OpCall &call, int64_t length, Walk &&walk) {
  const TensorView &x = call.inputs[0], &updates = call.inputs[2], &out = call.outputs[0];
  const std::string *given = call.attributes.findString("reduction");
  const std::string reduction = given ? *given : "none";
  if (reduction == "none") {
    copyFirst(call);
    withBytes(length * dtypeBytes(x.dtype), [&](auto width) {
      const int64_t element = dtypeBytes(x.dtype);
      walk([&](int64_t place, int64_t update) {
        std::memcpy(out.as<char>() + place * element, updates.as<char>() + update * element, width);
      });
    });
    return {};
  }
  // What is joined in a wider type than the element's and rounded at the end is rare.
  if (x.dtype == DType::Bool || x.dtype == DType::F16 || x.dtype == DType::BF16)
    return reference(op, call);
  bool known = false;
  const auto join = [&]<typename T>() -> Status {
    if constexpr (std::is_arithmetic_v<T>)
      known = withJoin<T>(reduction, [&](auto function) {
        copyFirst(call);
        T *to = out.as<T>();
        const T *from = updates.as<T>();
        walk([&](int64_t place, int64_t update) {
          for (int64_t i = 0; i < length; ++i)
            to[place + i] = function(to[place + i], from[update + i]);
        });
      });
    return {};
  };
  KILN_TRY(dispatch(x.dtype, join));
  return known ? Status() : reference(op, call);
}

} // namespace

Status scatterElements(const OpCall &call) {
  constexpr std::string_view op = "scatter_elements";
  if (call.inputs.size() != 3 || call.outputs.size() != 1)
    return reference(op, call);
  const TensorView &x = call.inputs[0], &indices = call.inputs[1], &updates = call.inputs[2];
  int64_t axis = call.attributes.getInt("axis");
  axis += axis < 0 ? x.rank() : 0;
  bool fits = axis >= 0 && axis < x.rank() && indices.rank() == x.rank() && updates.dtype == x.dtype &&
              std::ranges::equal(updates.dims, indices.dims);
  for (int64_t i = 0; fits && i < x.rank(); ++i)
    fits = i == axis || indices.dims[i] <= x.dims[i];
  if (!fits)
    return reference(op, call);
  KILN_TRY(ref::checkOutput(op, call, x.dtype, x.dims));
  const int64_t size = x.dims[axis];
  const ref::Dims dense = denseStrides(x.dims);
  ref::Dims strides = dense;
  strides[axis] = 0;
  const int64_t along = dense[axis];
  const ref::Walk<2> walk(indices.dims, {denseStrides(indices.dims), strides});
  Status status;
  const bool taken = withIndices(indices, [&](const auto *at) {
    if (!allInRange(at, indices.size(), size)) {
      status = reference(op, call);
      return;
    }
    status = scatter(op, call, 1, [&](auto &&visit) {
      walk.rows([&](const std::array<int64_t, 2> &offsets, int64_t n) {
        const auto [indexStep, step] = walk.inner();
        for (int64_t i = 0; i < n; ++i) {
          const int64_t update = offsets[0] + i * indexStep;
          int64_t index = at[update];
          index += index < 0 ? size : 0;
          visit(offsets[1] + i * step + index * along, update);
        }
      });
    });
  });
  return taken ? status : reference(op, call);
}

Status scatterNd(const OpCall &call) {
  constexpr std::string_view op = "scatter_nd";
  if (call.inputs.size() != 3 || call.outputs.size() != 1)
    return reference(op, call);
  const TensorView &x = call.inputs[0], &indices = call.inputs[1], &updates = call.inputs[2];
  if (indices.rank() < 1 || indices.dims.back() < 1 || indices.dims.back() > x.rank() || updates.dtype != x.dtype)
    return reference(op, call);
  const int64_t length = indices.dims.back(); // of one index tuple
  const auto rest = x.dims.subspan(length);
  ref::Dims dims(indices.dims.begin(), indices.dims.end() - 1);
  dims.insert(dims.end(), rest.begin(), rest.end());
  if (!std::ranges::equal(updates.dims, dims))
    return reference(op, call);
  KILN_TRY(ref::checkOutput(op, call, x.dtype, x.dims));
  const int64_t run = product(rest), tuples = product(indices.dims.first(indices.rank() - 1));
  std::vector<int64_t> places(static_cast<size_t>(tuples));
  bool inRange = true;
  const bool taken = withIndices(indices, [&](const auto *at) {
    for (int64_t t = 0; t < tuples; ++t) {
      int64_t offset = 0;
      for (int64_t k = 0; k < length; ++k) {
        int64_t index = at[t * length + k];
        inRange &= resolve(index, x.dims[k]);
        offset = offset * x.dims[k] + index;
      }
      places[static_cast<size_t>(t)] = offset * run;
    }
  });
  if (!taken || !inRange)
    return reference(op, call);
  // Updates of places behind each other, as of a range, are one run.
  int64_t joined = 1;
  while (joined < tuples && places[joined] == places[0] + joined * run)
    ++joined;
  const bool isRange = joined == tuples;
  return scatter(op, call, isRange ? run * tuples : run, [&](auto &&visit) {
    for (int64_t t = 0; t < (isRange ? std::min<int64_t>(tuples, 1) : tuples); ++t)
      visit(places[static_cast<size_t>(t)], t * run);
  });
}

} // namespace kiln::host
