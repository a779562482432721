#include "runtime/reference/Element.h"
#include "runtime/reference/Indices.h"
#include "runtime/reference/Kernels.h"
#include "runtime/reference/Strided.h"

#include <algorithm>
#include <numeric>

namespace kiln::ref {
namespace {

/// -1, 0 or 1; NaN equals itself and is larger than every number.
template <typename C> int compare(C a, C b) {
  const bool aIsNan = a != a, bIsNan = b != b;
  if (aIsNan || bIsNan)
    return static_cast<int>(aIsNan) - static_cast<int>(bIsNan);
  return a < b ? -1 : a > b ? 1 : 0;
}

/// What is found of the slices along an axis.
struct Found {
  Dims first, inverse, counts;
};

/// `elements` holds the slices one after the other.
template <typename C> Found find(const std::vector<C> &elements, int64_t count, bool sorted) {
  const int64_t width = count == 0 ? 0 : static_cast<int64_t>(elements.size()) / count;
  const auto order = [&](int64_t a, int64_t b) {
    for (int64_t i = 0; i < width; ++i)
      if (const int c = compare(elements[a * width + i], elements[b * width + i]); c != 0)
        return c;
    return 0;
  };
  Dims places(static_cast<size_t>(count));
  std::iota(places.begin(), places.end(), 0);
  std::ranges::stable_sort(places, [&](int64_t a, int64_t b) { return order(a, b) < 0; });
  Found found;
  Dims group(places.size()); // of each slice, in ascending order
  for (size_t i = 0; i < places.size(); ++i) {
    if (i == 0 || order(places[i - 1], places[i]) != 0) {
      found.first.push_back(places[i]);
      found.counts.push_back(0);
    }
    ++found.counts.back();
    group[places[i]] = static_cast<int64_t>(found.first.size()) - 1;
  }
  // Groups in the order asked for: number[g] is the place of group g in the result.
  Dims wanted(found.first.size()), number(wanted.size());
  std::iota(wanted.begin(), wanted.end(), 0);
  if (!sorted)
    std::ranges::sort(wanted, {}, [&](int64_t g) { return found.first[g]; });
  Found result{Dims(wanted.size()), Dims(places.size()), Dims(wanted.size())};
  for (size_t i = 0; i < wanted.size(); ++i) {
    number[wanted[i]] = static_cast<int64_t>(i);
    result.first[i] = found.first[wanted[i]];
    result.counts[i] = found.counts[wanted[i]];
  }
  for (size_t i = 0; i < group.size(); ++i)
    result.inverse[i] = number[group[i]];
  return result;
}

} // namespace

Status op_unique(const OpCall &call) {
  KILN_TRY(checkCounts("unique", call, 1, 1, 4));
  const TensorView &x = call.inputs[0], &out = call.outputs[0];
  KILN_ASSIGN(const int64_t axis, normalizeAxis("unique", call.attributes.getInt("axis", 0), x.rank()));
  const int64_t count = x.dims[axis], width = count == 0 ? 0 : x.size() / count;
  const Dims from = denseStrides(x.dims);
  Dims slice(x.dims.begin(), x.dims.end());
  slice[axis] = 1;
  const int64_t outer = productOf(x.dims.first(static_cast<size_t>(axis))), inner = outer == 0 ? 0 : width / outer;
  Found found;
  KILN_TRY(withCompute(x.dtype, Accumulate::Wide, [&]<typename C>() {
    std::vector<C> elements(static_cast<size_t>(x.size()));
    for (int64_t i = 0; i < count; ++i)
      for (int64_t o = 0; o < outer; ++o)
        loadOf<C>(x.dtype)(x.data, (o * count + i) * inner, 1, inner, elements.data() + i * width + o * inner);
    found = find(elements, count, call.attributes.getBool("sorted", true));
    return Status();
  }));
  Dims dims(x.dims.begin(), x.dims.end());
  dims[axis] = static_cast<int64_t>(found.first.size());
  KILN_TRY(checkOutput("unique", call, x.dtype, dims, 0));
  const Dims to = denseStrides(dims);
  for (size_t i = 0; i < found.first.size(); ++i)
    copyStrided(x.dtype, slice, x, found.first[i] * from[axis], from, out, static_cast<int64_t>(i) * to[axis], to);
  size_t index = 1;
  for (const Dims *list : {&found.first, &found.inverse, &found.counts}) {
    const int64_t size[] = {static_cast<int64_t>(list->size())};
    KILN_TRY(checkOutput("unique", call, DType::I64, size, index));
    std::ranges::copy(*list, call.outputs[index++].as<int64_t>());
  }
  return {};
}

} // namespace kiln::ref
