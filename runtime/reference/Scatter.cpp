// Ops that write at positions given as data, and reverse_sequence.
#include "runtime/reference/Element.h"
#include "runtime/reference/Indices.h"
#include "runtime/reference/Kernels.h"
#include "runtime/reference/Strided.h"

#include <cstring>
#include <unordered_map>

namespace kiln::ref {
namespace {

enum class Reduction { None, Add, Mul, Min, Max };

Result<Reduction> reductionOf(std::string_view op, const OpCall &call) {
  const std::string name = call.attributes.getString("reduction", "none");
  if (name == "none")
    return Reduction::None;
  if (name == "add")
    return Reduction::Add;
  if (name == "mul")
    return Reduction::Mul;
  if (name == "min")
    return Reduction::Min;
  if (name == "max")
    return Reduction::Max;
  return makeError(ErrorCode::E0411, op, ": unknown reduction \"", name, "\"");
}

template <typename C> C joined(Reduction reduction, C old, C update) {
  using W = std::conditional_t<std::is_floating_point_v<C>, C, uint64_t>; // integers wrap
  switch (reduction) {
  case Reduction::None: return update;
  case Reduction::Add: return static_cast<C>(W(old) + W(update));
  case Reduction::Mul: return static_cast<C>(W(old) * W(update));
  case Reduction::Min: return old != old || old < update ? old : update; // NaN of either wins
  case Reduction::Max: return old != old || old > update ? old : update;
  }
  return update;
}

/// The result is x, which may be there already; then run k of `length` updates joins what is at places[k].
Status scatter(const OpCall &call, Reduction reduction, const Dims &places, int64_t length) {
  const TensorView &x = call.inputs[0], &updates = call.inputs[2], &out = call.outputs[0];
  if (x.data != out.data && x.bytes() > 0)
    std::memcpy(out.data, x.data, static_cast<size_t>(x.bytes()));
  const int64_t size = dtypeBytes(x.dtype);
  if (reduction == Reduction::None) {
    for (size_t k = 0; k < places.size() && length > 0; ++k)
      std::memcpy(out.as<char>() + places[k] * size, updates.as<char>() + static_cast<int64_t>(k) * length * size,
                  static_cast<size_t>(length * size));
    return Status();
  }
  return withCompute(x.dtype, call.accumulate, [&]<typename C>() {
    // What is joined is rounded once, at the end.
    std::unordered_map<int64_t, C> joins;
    for (size_t k = 0; k < places.size(); ++k)
      for (int64_t i = 0; i < length; ++i) {
        const int64_t place = places[k] + i;
        C update;
        loadOf<C>(x.dtype)(updates.data, static_cast<int64_t>(k) * length + i, 1, 1, &update);
        auto [value, isNew] = joins.try_emplace(place);
        if (isNew)
          loadOf<C>(x.dtype)(out.data, place, 1, 1, &value->second);
        value->second = joined(reduction, value->second, update);
      }
    for (const auto &[place, value] : joins)
      storeOf<C>(out.dtype)(&value, 1, out.data, place, 1);
    return Status();
  });
}

} // namespace

Status op_scatter_elements(const OpCall &call) {
  KILN_TRY(checkCounts("scatter_elements", call, 3, 3));
  const TensorView &x = call.inputs[0], &indices = call.inputs[1], &updates = call.inputs[2];
  KILN_ASSIGN(const Reduction reduction, reductionOf("scatter_elements", call));
  KILN_ASSIGN(const int64_t axis, normalizeAxis("scatter_elements", call.attributes.getInt("axis"), x.rank()));
  KILN_TRY(checkType("scatter_elements", "the updates", updates, x.dtype));
  KILN_TRY(checkRank("scatter_elements", "the indices", indices, x.rank()));
  KILN_TRY(checkDims("scatter_elements", "the updates", updates, indices.dims));
  for (int64_t i = 0; i < x.rank(); ++i)
    if (i != axis && indices.dims[i] > x.dims[i])
      return makeError(ErrorCode::E0304, "scatter_elements: indices ", printDims(indices.dims), " exceed dims ",
                       printDims(x.dims));
  KILN_TRY(checkOutput("scatter_elements", call, x.dtype, x.dims));
  KILN_ASSIGN(Dims places, readIndices("scatter_elements", indices));
  for (int64_t &index : places)
    KILN_TRY(resolveIndex("scatter_elements", index, axis, x.dims[axis]));
  // Walk over the indices; beside it the result's offset without its part along the axis.
  const Dims dense = denseStrides(x.dims);
  Dims strides = dense;
  strides[axis] = 0;
  const Walk<2> walk(indices.dims, {denseStrides(indices.dims), strides});
  walk.rows([&](const std::array<int64_t, 2> &offsets, int64_t n) {
    const auto [indexStep, step] = walk.inner();
    for (int64_t i = 0; i < n; ++i) {
      int64_t &place = places[offsets[0] + i * indexStep];
      place = place * dense[axis] + offsets[1] + i * step;
    }
  });
  return scatter(call, reduction, places, 1);
}

Status op_scatter_nd(const OpCall &call) {
  KILN_TRY(checkCounts("scatter_nd", call, 3, 3));
  const TensorView &x = call.inputs[0], &indices = call.inputs[1], &updates = call.inputs[2];
  KILN_ASSIGN(const Reduction reduction, reductionOf("scatter_nd", call));
  KILN_TRY(checkType("scatter_nd", "the updates", updates, x.dtype));
  if (indices.rank() < 1 || indices.dims.back() < 1 || indices.dims.back() > x.rank())
    return makeError(ErrorCode::E0304, "scatter_nd: index tuples ", printDims(indices.dims), " do not fit ",
                     printDims(x.dims));
  const int64_t length = indices.dims.back(); // of one index tuple
  Dims dims(indices.dims.begin(), indices.dims.end() - 1);
  const auto rest = x.dims.subspan(length);
  dims.insert(dims.end(), rest.begin(), rest.end());
  KILN_TRY(checkDims("scatter_nd", "the updates", updates, dims));
  KILN_TRY(checkOutput("scatter_nd", call, x.dtype, x.dims));
  KILN_ASSIGN(Dims at, readIndices("scatter_nd", indices));
  const int64_t run = productOf(rest), tuples = productOf(indices.dims.first(indices.rank() - 1));
  Dims places(tuples);
  for (int64_t t = 0; t < tuples; ++t) {
    int64_t offset = 0;
    for (int64_t k = 0; k < length; ++k) {
      KILN_TRY(resolveIndex("scatter_nd", at[t * length + k], k, x.dims[k]));
      offset = offset * x.dims[k] + at[t * length + k];
    }
    places[t] = offset * run;
  }
  return scatter(call, reduction, places, run);
}

Status op_reverse_sequence(const OpCall &call) {
  KILN_TRY(checkCounts("reverse_sequence", call, 2, 2));
  const TensorView &x = call.inputs[0], &lengths = call.inputs[1], &out = call.outputs[0];
  KILN_ASSIGN(const int64_t batch,
              normalizeAxis("reverse_sequence", call.attributes.getInt("batch_axis", 1), x.rank()));
  KILN_ASSIGN(const int64_t time, normalizeAxis("reverse_sequence", call.attributes.getInt("time_axis", 0), x.rank()));
  if (batch == time)
    return makeError(ErrorCode::E0413, "reverse_sequence: batch_axis and time_axis are the same");
  KILN_TRY(checkDims("reverse_sequence", "the list of lengths", lengths, x.dims.subspan(batch, 1)));
  KILN_TRY(checkOutput("reverse_sequence", call, x.dtype, x.dims));
  KILN_ASSIGN(const Dims reversed, readInts("reverse_sequence", "the list of lengths", lengths));
  for (int64_t length : reversed)
    if (length < 0 || length > x.dims[time])
      return makeError(ErrorCode::E0513, "reverse_sequence: length ", length, " is out of range for axis ", time,
                       " of size ", x.dims[time]);
  const Dims strides = denseStrides(x.dims);
  return dispatch(x.dtype, [&]<typename T>() {
    for (int64_t i = 0; i < x.size(); ++i) {
      const int64_t at = i / strides[time] % x.dims[time], length = reversed[i / strides[batch] % x.dims[batch]];
      out.as<T>()[i] = x.as<T>()[at < length ? i + (length - 1 - 2 * at) * strides[time] : i];
    }
    return Status();
  });
}

} // namespace kiln::ref
