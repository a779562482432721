// non_max_suppression: the best boxes of each class, without those that overlap a better one.
#include "runtime/reference/Boxes.h"
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

/// Whether the intersection of two boxes is more than `limit` of their union.
bool overlap(const Box &a, const Box &b, float limit) {
  const float height = std::min(a.y2, b.y2) - std::max(a.y1, b.y1), width = std::min(a.x2, b.x2) - std::max(a.x1, b.x1);
  if (!(height > 0) || !(width > 0))
    return false;
  const float common = height * width, whole = a.area() + b.area() - common;
  return a.area() > 0 && b.area() > 0 && whole > 0 && common / whole > limit;
}

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
      std::vector<Box> chosen;
      for (int64_t i : order) {
        if (static_cast<int64_t>(chosen.size()) >= most)
          break;
        if (std::ranges::any_of(chosen, [&](const Box &other) { return overlap(all[i], other, limit); }))
          continue;
        chosen.push_back(all[i]);
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
