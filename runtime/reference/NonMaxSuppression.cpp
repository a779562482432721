// non_max_suppression: the best boxes of each class, without those that overlap a better one.
#include "runtime/reference/Element.h"
#include "runtime/reference/Indices.h"
#include "runtime/reference/Kernels.h"

#include <algorithm>
#include <span>

namespace kiln::ref {
namespace {

/// The element of a tensor that has one.
template <typename C> Result<C> scalarOf(std::string_view op, std::string_view what, const TensorView &view) {
  if (view.size() != 1)
    return makeError(ErrorCode::E0304, op, ": ", what, " has dims ", printDims(view.dims), ", expected a scalar");
  C value;
  loadOf<C>(view.dtype)(view.data, 0, 0, 1, &value);
  return value;
}

/// Corners of a box, low before high.
struct Box {
  float y1, x1, y2, x2;
  float area() const { return (y2 - y1) * (x2 - x1); }
};

Box boxAt(const float *p, bool center) {
  if (center) {
    const float halfWidth = p[2] / 2, halfHeight = p[3] / 2;
    return {p[1] - halfHeight, p[0] - halfWidth, p[1] + halfHeight, p[0] + halfWidth};
  }
  return {std::min(p[0], p[2]), std::min(p[1], p[3]), std::max(p[0], p[2]), std::max(p[1], p[3])};
}

/// Whether the intersection of two boxes is more than `limit` of their union.
bool overlap(const Box &a, const Box &b, float limit) {
  const float height = std::min(a.y2, b.y2) - std::max(a.y1, b.y1), width = std::min(a.x2, b.x2) - std::max(a.x1, b.x1);
  if (!(height > 0) || !(width > 0))
    return false;
  const float common = height * width, whole = a.area() + b.area() - common;
  return a.area() > 0 && b.area() > 0 && whole > 0 && common / whole > limit;
}

/// Boxes that were chosen, found again by where they are along x: boxes that overlap share a column. Detectors move the
/// boxes of each class to a place of their own, so the columns near a box hold few of thousands.
class Columns {
public:
  /// For boxes among `all`.
  explicit Columns(std::span<const Box> all) {
    float high = -INFINITY;
    low = INFINITY;
    for (const Box &box : all) {
      low = std::min(low, box.x1); // a NaN is left out
      high = std::max(high, box.x2);
    }
    const size_t count = std::min<size_t>(all.size() / 8 + 1, 512);
    scale = static_cast<float>(count) / (high - low);
    columns.resize(std::isfinite(low) && std::isfinite(scale) && scale > 0 ? count : 1);
  }
  bool anyOverlaps(const Box &box, float limit) const {
    const auto [first, last] = range(box);
    for (size_t c = first - std::min(first, widest); c <= last; ++c)
      if (std::ranges::any_of(columns[c], [&](const Box &other) { return overlap(box, other, limit); }))
        return true;
    return false;
  }
  void add(const Box &box) {
    const auto [first, last] = range(box);
    if (first > last)
      return; // of negative width, which nothing overlaps
    columns[first].push_back(box);
    widest = std::max(widest, last - first);
  }

private:
  /// The columns of a box, first and last; all where it has no place.
  std::pair<size_t, size_t> range(const Box &box) const {
    const size_t last = columns.size() - 1;
    if (std::isnan(box.x1) || std::isnan(box.x2))
      return {0, last};
    const auto column = [&](float x) {
      return static_cast<size_t>(std::clamp((x - low) * scale, 0.0f, static_cast<float>(last)));
    };
    return {last == 0 ? 0 : column(box.x1), last == 0 ? 0 : column(box.x2)};
  }

  float low, scale;
  std::vector<std::vector<Box>> columns; ///< each box in the first of those that it lies in
  size_t widest = 0;                     ///< how many columns more a box of them lies in
};

} // namespace

/// After ONNX's NonMaxSuppression, in f32 as ONNX Runtime computes it.
Status op_non_max_suppression(const OpCall &call) {
  constexpr std::string_view op = "non_max_suppression";
  KILN_TRY(checkCounts(op, call, 4, 5));
  const TensorView &boxes = call.inputs[0], &scores = call.inputs[1], &out = call.outputs[0];
  KILN_TRY(checkRank(op, "the list of boxes", boxes, 3));
  KILN_TRY(checkRank(op, "the list of scores", scores, 3));
  const int64_t batches = boxes.dims[0], count = boxes.dims[1], classes = scores.dims[1];
  const int64_t wanted[] = {batches, classes, count};
  KILN_TRY(checkDims(op, "the list of scores", scores, wanted));
  if (boxes.dims[2] != 4 || !isFloat(boxes.dtype) || !isFloat(scores.dtype))
    return makeError(ErrorCode::E0304, op, ": boxes have dims ", printDims(boxes.dims),
                     ", expected 4 floating-point coordinates");
  if (isFloat(call.inputs[2].dtype) || !isFloat(call.inputs[3].dtype) ||
      (operand(call, 4).present() && !isFloat(call.inputs[4].dtype)))
    return makeError(ErrorCode::E0305, op, ": the limits are an integer and floating-point numbers");
  KILN_ASSIGN(const int64_t most, scalarOf<int64_t>(op, "the number of boxes", call.inputs[2]));
  KILN_ASSIGN(const float limit, scalarOf<float>(op, "the overlap", call.inputs[3]));
  std::optional<float> least;
  if (const TensorView view = operand(call, 4); view.present()) {
    KILN_ASSIGN(least, scalarOf<float>(op, "the least score", view));
  }
  const bool center = call.attributes.getBool("center");
  std::vector<float> corners(boxes.size()), score(scores.size());
  loadOf<float>(boxes.dtype)(boxes.data, 0, 1, boxes.size(), corners.data());
  loadOf<float>(scores.dtype)(scores.data, 0, 1, scores.size(), score.data());

  Dims kept; // triples
  for (int64_t batch = 0; batch < batches; ++batch) {
    std::vector<Box> all;
    for (int64_t i = 0; i < count; ++i)
      all.push_back(boxAt(corners.data() + (batch * count + i) * 4, center));
    for (int64_t cls = 0; cls < classes; ++cls) {
      const float *own = score.data() + (batch * classes + cls) * count;
      Dims order;
      for (int64_t i = 0; i < count; ++i)
        if (!least || own[i] > *least)
          order.push_back(i);
      // NaN counts as the lowest score, so that this is an order.
      const auto rank = [&](int64_t i) { return std::isnan(own[i]) ? -INFINITY : own[i]; };
      std::ranges::stable_sort(order, [&](int64_t a, int64_t b) { return rank(a) > rank(b); });
      Columns chosen(all);
      int64_t found = 0;
      for (int64_t i : order) {
        if (found >= most)
          break;
        if (chosen.anyOverlaps(all[i], limit))
          continue;
        chosen.add(all[i]);
        ++found;
        kept.insert(kept.end(), {batch, cls, i});
      }
    }
  }
  const int64_t dims[] = {static_cast<int64_t>(kept.size()) / 3, 3};
  KILN_TRY(checkOutput(op, call, DType::I64, dims));
  std::ranges::copy(kept, out.as<int64_t>());
  return {};
}

} // namespace kiln::ref
