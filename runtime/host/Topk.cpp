// topk: candidates that are better than the worst of the k best so far are kept, and thinned out when there are too
// many of them. Few elements of a long line are.
#include "runtime/base/Convert.h"
#include "runtime/host/Kernels.h"

#include <algorithm>
#include <bit>
#include <vector>

namespace kiln::host {

using ref::OpCall;

namespace {

/// An unsigned number that orders as the element does, NaN above all; 0 and -0 are one.
template <typename T> auto keyOf(T value) {
  if constexpr (std::is_same_v<T, float> || std::is_same_v<T, double>) {
    using U = std::conditional_t<std::is_same_v<T, float>, uint32_t, uint64_t>;
    constexpr U sign = U(1) << (sizeof(U) * 8 - 1);
    if (value != value)
      return ~U(0);
    const U bits = std::bit_cast<U>(value + T(0)); // -0 becomes 0
    return static_cast<U>(bits & sign ? ~bits : bits | sign);
  } else if constexpr (std::is_same_v<T, F16> || std::is_same_v<T, BF16>) {
    return keyOf(convert<float>(value));
  } else if constexpr (sizeof(T) == 8) {
    return static_cast<uint64_t>(value) ^ (std::is_signed_v<T> ? uint64_t(1) << 63 : 0);
  } else {
    return static_cast<uint32_t>(static_cast<int64_t>(value) + (std::is_signed_v<T> ? int64_t(1) << 31 : 0));
  }
}

/// Rank and position in one: larger is better, and of equal elements the first.
template <typename Key> struct Candidate;
template <> struct Candidate<uint32_t> {
  uint64_t packed;
  Candidate(uint32_t key, int64_t at) : packed(uint64_t(key) << 32 | ~uint32_t(at)) {}
  int64_t position() const { return static_cast<int64_t>(~static_cast<uint32_t>(packed)); }
  uint32_t key() const { return static_cast<uint32_t>(packed >> 32); }
  bool operator<(const Candidate &other) const { return packed > other.packed; } // better ones come first
};
template <> struct Candidate<uint64_t> {
  uint64_t theKey;
  int64_t at;
  Candidate(uint64_t key, int64_t at) : theKey(key), at(at) {}
  int64_t position() const { return at; }
  uint64_t key() const { return theKey; }
  bool operator<(const Candidate &other) const {
    return theKey != other.theKey ? theKey > other.theKey : at < other.at;
  }
};

constexpr int64_t chunk = 32;

/// Whether none of the elements of a chunk may be better than `least`.
template <typename T> bool holdsNothing(const T *x, T least, bool largest) {
  if constexpr (std::is_arithmetic_v<T>) {
    int any = 0;
    for (int64_t i = 0; i < chunk; ++i)
      any |= largest ? !(x[i] <= least) : !(x[i] >= least); // or one is NaN
    return !any;
  }
  return false;
}

/// The k best of a line, in order. `mayLeaveOut(i, worst)`: whether a chunk from i on holds nothing better than element
/// `worst`.
template <typename Key, typename KeyAt, typename MayLeaveOut>
void selectBest(std::vector<Candidate<Key>> &best, int64_t size, int64_t k, KeyAt keyAt, MayLeaveOut mayLeaveOut) {
  best.clear();
  const size_t wanted = static_cast<size_t>(k), most = std::max<size_t>(2 * wanted, 64);
  Key least = 0;
  bool full = false; // then what is no better than `least` is out: equal ones come later
  int64_t worst = 0;
  for (int64_t i = 0; i < size; ++i) {
    while (full && i % chunk == 0 && i + chunk <= size && mayLeaveOut(i, worst))
      i += chunk;
    if (i == size)
      break;
    const Key key = keyAt(i);
    if (full && key <= least)
      continue;
    best.emplace_back(key, i);
    if (best.size() < most)
      continue;
    std::nth_element(best.begin(), best.begin() + (k - 1), best.end());
    best.erase(best.begin() + k, best.end());
    least = best.back().key();
    worst = best.back().position();
    full = true;
  }
  if (best.size() > wanted) {
    std::nth_element(best.begin(), best.begin() + (k - 1), best.end());
    best.erase(best.begin() + k, best.end());
  }
  std::sort(best.begin(), best.end());
}

} // namespace

Status topk(const OpCall &call) {
  if (call.inputs.empty() || call.inputs.size() > 2 || call.outputs.size() != 2 || call.inputs[0].dtype == DType::Bool)
    return reference("topk", call);
  const TensorView &x = call.inputs[0], &values = call.outputs[0], &indices = call.outputs[1];
  int64_t axis = call.attributes.getInt("axis", -1), k = call.attributes.getInt("k");
  axis += axis < 0 ? x.rank() : 0;
  if (axis < 0 || axis >= x.rank() || x.dims[axis] > INT32_MAX)
    return reference("topk", call);
  if (const TensorView count = ref::operand(call, 1); count.present()) {
    if (count.size() != 1 || count.rank() > 1 || (count.dtype != DType::I64 && count.dtype != DType::I32))
      return reference("topk", call);
    k = count.dtype == DType::I64 ? *count.as<int64_t>() : *count.as<int32_t>();
  }
  const int64_t size = x.dims[axis];
  if (k < 0 || k > size)
    return reference("topk", call);
  ref::Dims dims(x.dims.begin(), x.dims.end());
  dims[axis] = k;
  KILN_TRY(ref::checkOutput("topk", call, x.dtype, dims, 0));
  KILN_TRY(ref::checkOutput("topk", call, DType::I64, dims, 1));
  if (values.size() == 0)
    return {};
  const bool largest = call.attributes.getBool("largest", true);
  const int64_t outer = product(x.dims.first(axis)), inner = x.size() / outer / size;
  return dispatch(x.dtype, [&]<typename T>() -> Status {
    if constexpr (std::is_same_v<T, Bool>)
      return reference("topk", call);
    else {
      using Key = decltype(keyOf(T()));
      const Key flip = largest ? Key(0) : ~Key(0);
      parallelFor(call, outer * inner, 8192 / size + 1, [&](int64_t begin, int64_t end) {
        std::vector<Candidate<Key>> best;
        for (int64_t line = begin; line < end; ++line) {
          const int64_t o = line / inner, i = line % inner;
          const T *from = x.as<T>() + o * size * inner + i;
          selectBest<Key>(
              best, size, k, [&](int64_t at) -> Key { return keyOf(from[at * inner]) ^ flip; },
              [&](int64_t at, int64_t worst) { return inner == 1 && holdsNothing(from + at, from[worst], largest); });
          for (int64_t j = 0; j < k; ++j) {
            const int64_t at = best[static_cast<size_t>(j)].position(), to = (o * k + j) * inner + i;
            values.as<T>()[to] = from[at * inner];
            indices.as<int64_t>()[to] = at;
          }
        }
      });
      return {};
    }
  });
}

} // namespace kiln::host
