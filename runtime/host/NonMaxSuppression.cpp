// non_max_suppression: boxes that were chosen are found again by where they are along x, and compared eight at a time.
#include "runtime/host/Kernels.h"
#include "runtime/reference/Boxes.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <optional>
#include <vector>

namespace kiln::host {

using ref::Box;
using ref::boxAt;
using ref::OpCall;

namespace {

/// Eight boxes; places that hold none overlap nothing.
struct Block {
  static constexpr int size = 8;
  float y1[size], x1[size], y2[size], x2[size], area[size];
  Block() { // boxes of no area, nowhere
    std::ranges::fill(area, 0.0f);
    for (auto *low : {y1, x1})
      std::fill_n(low, size, INFINITY);
    for (auto *high : {y2, x2})
      std::fill_n(high, size, -INFINITY);
  }

  void put(int i, const Box &box) {
    y1[i] = box.y1, x1[i] = box.x1, y2[i] = box.y2, x2[i] = box.x2, area[i] = box.area();
  }
  /// Whether the intersection of a box of more than no area with one of these is more than `limit` of their union.
  bool overlaps(const Box &a, float ownArea, float limit) const {
    float height[size], width[size];
    int any = 0;
    for (int i = 0; i < size; ++i) {
      height[i] = std::min(a.y2, y2[i]) - std::max(a.y1, y1[i]);
      width[i] = std::min(a.x2, x2[i]) - std::max(a.x1, x1[i]);
      any |= (height[i] > 0) & (width[i] > 0);
    }
    if (!any) // of most blocks
      return false;
    any = 0;
    for (int i = 0; i < size; ++i) {
      const float common = height[i] * width[i], whole = ownArea + area[i] - common;
      any |= (height[i] > 0) & (width[i] > 0) & (area[i] > 0) & (whole > 0) & (common / whole > limit);
    }
    return any != 0;
  }
};

/// The chosen boxes in columns: boxes that overlap share one. Detectors move the boxes of each class to a place of
/// their own, so the columns near a box hold few of thousands.
class Columns {
public:
  /// For some of at most `most` boxes among `all`.
  Columns(const std::vector<Box> &all, size_t most) {
    float high = -INFINITY;
    low = INFINITY;
    for (const Box &box : all) {
      low = std::min(low, box.x1); // a NaN is left out
      high = std::max(high, box.x2);
    }
    const size_t count = std::min<size_t>(most / 32 + 1, 1024);
    scale = static_cast<float>(count) / (high - low);
    columns.resize(std::isfinite(low) && std::isfinite(scale) && scale > 0 ? count : 1);
  }
  bool anyOverlaps(const Box &box, float limit) const {
    const float area = box.area();
    if (!(area > 0))
      return false;
    const auto [first, last] = range(box);
    for (size_t c = first - std::min(first, widest); c <= last; ++c)
      for (const Block &block : columns[c].blocks)
        if (block.overlaps(box, area, limit))
          return true;
    return false;
  }
  void add(const Box &box) {
    const auto [first, last] = range(box);
    if (first > last)
      return; // of negative width, which nothing overlaps
    Column &column = columns[first];
    if (column.count % Block::size == 0)
      column.blocks.emplace_back();
    column.blocks.back().put(column.count++ % Block::size, box);
    widest = std::max(widest, last - first);
  }

private:
  struct Column {
    std::vector<Block> blocks;
    int count = 0;
  };
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
  std::vector<Column> columns; ///< each box in the first of those that it lies in
  size_t widest = 0;           ///< how many columns more a box of them lies in
};

/// Better scores first, of equal ones the first box; NaN counts as the lowest score.
uint64_t orderOf(float score, int64_t box) {
  constexpr uint32_t sign = uint32_t(1) << 31;
  const auto bits = std::bit_cast<uint32_t>(score != score ? -INFINITY : score + 0.0f); // -0 becomes 0
  const uint32_t rising = bits & sign ? ~bits : bits | sign;
  return uint64_t(~rising) << 32 | uint64_t(box);
}

/// The boxes of one class that are kept, best first.
std::vector<int64_t> keep(const std::vector<Box> &boxes, const float *scores, std::optional<float> least, float limit,
                          int64_t most) {
  std::vector<uint64_t> order;
  for (size_t i = 0; i < boxes.size(); ++i)
    if (!least || scores[i] > *least)
      order.push_back(orderOf(scores[i], static_cast<int64_t>(i)));
  const size_t wanted = std::min(static_cast<size_t>(std::max<int64_t>(most, 0)), order.size());
  Columns chosen(boxes, wanted);
  std::vector<int64_t> kept;
  size_t sorted = 0, piece = std::max<size_t>(2 * wanted, 64); // few of many are looked at
  for (size_t next = 0; next < order.size() && kept.size() < wanted; ++next) {
    if (next == sorted) {
      sorted = std::min(order.size(), sorted + piece);
      piece *= 2;
      const auto from = order.begin() + static_cast<ptrdiff_t>(next),
                 to = order.begin() + static_cast<ptrdiff_t>(sorted);
      std::nth_element(from, to - 1, order.end());
      std::sort(from, to);
    }
    const auto i = static_cast<uint32_t>(order[next]);
    if (chosen.anyOverlaps(boxes[i], limit))
      continue;
    chosen.add(boxes[i]);
    kept.push_back(i);
  }
  return kept;
}

bool isScalar(const TensorView &view, DType dtype) { return view.dtype == dtype && view.size() == 1; }

} // namespace

Status nonMaxSuppression(const OpCall &call) {
  constexpr std::string_view op = "non_max_suppression";
  if (call.inputs.size() < 4 || call.inputs.size() > 5 || call.outputs.size() != 1)
    return reference(op, call);
  const TensorView &boxes = call.inputs[0], &scores = call.inputs[1], least = ref::operand(call, 4);
  if (boxes.dtype != DType::F32 || scores.dtype != DType::F32 || boxes.rank() != 3 || scores.rank() != 3 ||
      boxes.dims[2] != 4 || scores.dims[0] != boxes.dims[0] || scores.dims[2] != boxes.dims[1] ||
      boxes.dims[1] > INT32_MAX || !isScalar(call.inputs[2], DType::I64) || !isScalar(call.inputs[3], DType::F32) ||
      (least.present() && !isScalar(least, DType::F32)))
    return reference(op, call);
  const int64_t batches = boxes.dims[0], count = boxes.dims[1], classes = scores.dims[1];
  const int64_t most = *call.inputs[2].as<int64_t>();
  const float limit = *call.inputs[3].as<float>();
  const std::optional<float> leastScore = least.present() ? std::optional(*least.as<float>()) : std::nullopt;
  const bool center = call.attributes.getBool("center");
  std::vector<std::vector<Box>> corners(static_cast<size_t>(batches));
  for (int64_t b = 0; b < batches; ++b)
    for (int64_t i = 0; i < count; ++i)
      corners[static_cast<size_t>(b)].push_back(boxAt(boxes.as<float>() + (b * count + i) * 4, center));
  std::vector<std::vector<int64_t>> kept(static_cast<size_t>(batches * classes));
  parallelFor(call, batches * classes, 1, [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; ++k)
      kept[static_cast<size_t>(k)] =
          keep(corners[static_cast<size_t>(k / classes)], scores.as<float>() + k * count, leastScore, limit, most);
  });
  int64_t total = 0;
  for (const std::vector<int64_t> &own : kept)
    total += static_cast<int64_t>(own.size());
  const int64_t dims[] = {total, 3};
  KILN_TRY(ref::checkOutput(op, call, DType::I64, dims));
  int64_t *to = call.outputs[0].as<int64_t>();
  for (int64_t k = 0; k < batches * classes; ++k)
    for (int64_t box : kept[static_cast<size_t>(k)]) {
      *to++ = k / classes;
      *to++ = k % classes;
      *to++ = box;
    }
  return {};
}

} // namespace kiln::host
