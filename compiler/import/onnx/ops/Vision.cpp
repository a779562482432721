// Operators on images that are spelled with others, or read between elements.
#include "compiler/import/onnx/OpTable.h"
#include "compiler/import/onnx/ops/Shared.h"

#include <limits>

namespace kiln::onnx {
namespace {

/// Opset 16 adds the choice of coordinates; before, regions were not moved.
Status roiAlign(NodeImport &node) {
  KILN_TRY(node.expectOperands(3, 3));
  KILN_ASSIGN(std::string mode, node.textAttribute("mode", "avg"));
  if (mode != "avg" && mode != "max")
    return makeError(ErrorCode::E0411, "mode is \"", mode, "\"; expected \"avg\" or \"max\"");
  std::string coordinates = "output_half_pixel";
  if (node.opset() >= 16) {
    KILN_ASSIGN(coordinates, node.textAttribute("coordinate_transformation_mode", "half_pixel"));
  }
  if (coordinates != "half_pixel" && coordinates != "output_half_pixel")
    return makeError(ErrorCode::E0411, "coordinate_transformation_mode is \"", coordinates,
                     "\"; expected \"half_pixel\" or \"output_half_pixel\"");
  Attributes attributes;
  attributes.set("mode", mode.c_str());
  attributes.set("half_pixel", coordinates == "half_pixel");
  for (auto [name, mine, fallback] : {std::tuple("output_height", "height", 1), std::tuple("output_width", "width", 1),
                                      std::tuple("sampling_ratio", "sampling_ratio", 0)}) {
    KILN_ASSIGN(int64_t value, node.intAttribute(name, fallback));
    attributes.set(mine, value);
  }
  KILN_ASSIGN(double scale, node.floatAttribute("spatial_scale", 1));
  attributes.set("spatial_scale", scale);
  return node.setResult(node.emit("roi_align", {node.operand(0), node.operand(1), node.operand(2)}, attributes));
}

/// Each position of an image of `size` [N, C, (D,) H, W], from -1 to 1 along each axis, times the N matrices in theta.
Status affineGrid(NodeImport &node) {
  KILN_TRY(node.expectOperands(2, 2));
  Value theta = node.operand(0), size = node.operand(1);
  if (node.rank(theta) != 3)
    return makeError(ErrorCode::E0304, "theta has rank ", node.rank(theta), "; expected 3");
  const Dims dims = node.dims(theta);
  if (!dims[1].isConstant())
    return makeError(ErrorCode::E0208, "dim 1 of theta must be known when compiling");
  if (!dims[1].isConstant(2) && !dims[1].isConstant(3))
    return makeError(ErrorCode::E0304, "dim 1 of theta is ", dims[1].print(), "; expected 2 or 3");
  const int64_t spatial = dims[1].constant();
  KILN_TRY(node.requireEqual(dims[2], spatial + 1).withContext("dim 2 of theta: "));
  KILN_ASSIGN(size, node.withLength(size, spatial + 2));
  KILN_ASSIGN(int64_t corners, node.intAttribute("align_corners", 0));
  const DType dtype = node.dtype(theta);
  auto column = [&](int64_t at) -> Result<Value> { // of all matrices
    KILN_ASSIGN(Value x, node.slice(theta, 2, at, at + 1));
    Dims one{dims[0]};
    one.append(size_t(spatial), SizeExpr(1));
    one.push_back(dims[1]);
    return node.reshape(x, one);
  };
  KILN_ASSIGN(Value grid, column(spatial));
  for (int64_t axis = spatial; axis-- > 0;) { // the last axis of the image belongs to the first column
    KILN_ASSIGN(Value count, elementOf(node, size, 2 + axis));
    KILN_ASSIGN(Value at, positions(node, count, size_t(spatial - axis)));
    KILN_ASSIGN(at, node.cast(at, dtype));
    if (corners) {
      KILN_ASSIGN(count, node.emit("sub", {count, node.scalar(1, DType::I64)}));
      KILN_ASSIGN(count, node.emit("max", {count, node.scalar(1, DType::I64)}));
    }
    KILN_ASSIGN(count, node.cast(count, dtype));
    KILN_ASSIGN(at, node.emit("mul", {at, node.scalar(2, dtype)}));
    if (!corners) {
      KILN_ASSIGN(at, node.emit("add", {at, node.scalar(1, dtype)}));
    }
    KILN_ASSIGN(at, node.emit("div", {at, count}));
    KILN_ASSIGN(at, node.emit("sub", {at, node.scalar(1, dtype)}));
    KILN_ASSIGN(Value factors, column(spatial - 1 - axis));
    KILN_ASSIGN(at, node.emit("mul", {at, factors}));
    KILN_ASSIGN(grid, node.emit("add", {grid, at}));
  }
  return node.setResult(grid);
}

/// The middle of x, or x in the middle of zeros, along each of the axes.
Status centerCropPad(NodeImport &node) {
  KILN_TRY(node.expectOperands(2, 2));
  Value x = node.operand(0), shape = node.operand(1);
  const int64_t rank = node.rank(x);
  Ints axes;
  for (int64_t axis = 0; axis < rank; ++axis)
    axes.push_back(axis);
  if (node.hasAttribute("axes")) {
    KILN_ASSIGN(axes, node.intsAttribute("axes"));
    KILN_TRY(node.normalizeAxes(axes, rank).status());
  }
  KILN_ASSIGN(shape, node.withLength(shape, int64_t(axes.size())));
  KILN_ASSIGN(shape, node.cast(shape, DType::I64));
  // Of each axis: where x begins, what is taken of it, and the zeros before and behind.
  std::vector<Value> begins, ends, before, behind;
  Value two = node.scalar(2, DType::I64);
  for (int64_t axis = 0; axis < rank; ++axis) {
    KILN_ASSIGN(Value size, node.sizeOf(x, axis));
    Value wanted = size;
    for (size_t i = 0; i < axes.size(); ++i)
      if (axes[i] == axis || axes[i] + rank == axis) {
        KILN_ASSIGN(wanted, elementOf(node, shape, int64_t(i)));
      }
    KILN_ASSIGN(Value taken, node.emit("min", {size, wanted}));
    KILN_ASSIGN(Value left, node.emit("sub", {size, taken}));
    KILN_ASSIGN(Value begin, node.emit("div", {left, two}));
    KILN_ASSIGN(Value end, node.emit("add", {begin, taken}));
    KILN_ASSIGN(Value missing, node.emit("sub", {wanted, taken}));
    KILN_ASSIGN(Value first, node.emit("div", {missing, two}));
    KILN_ASSIGN(Value last, node.emit("sub", {missing, first}));
    begins.push_back(begin), ends.push_back(end), before.push_back(first), behind.push_back(last);
  }
  before.insert(before.end(), behind.begin(), behind.end());
  if (rank == 0)
    return node.setResult(x);
  KILN_ASSIGN(Value from, vectorOf(node, begins));
  KILN_ASSIGN(Value to, vectorOf(node, ends));
  KILN_ASSIGN(Value pads, vectorOf(node, before));
  KILN_ASSIGN(Value cropped, node.emit("slice", {x, from, to}));
  return node.setResult(node.emit("pad", {cropped, pads, node.scalar(0, node.dtype(x))}));
}

/// Blocks of an image, added up at their places.
Status col2Im(NodeImport &node) {
  KILN_TRY(node.expectOperands(3, 3));
  Value x = node.operand(0), image = node.operand(1), block = node.operand(2);
  const Dims dims = node.dims(x);
  if (dims.size() != 3)
    return makeError(ErrorCode::E0304, "the input has rank ", dims.size(), "; expected 3");
  if (node.rank(image) != 1 || !node.dims(image)[0].isConstant())
    return makeError(ErrorCode::E0208, "the length of image_shape must be known when compiling");
  const int64_t spatial = node.dims(image)[0].constant();
  if (spatial < 1 || spatial > 16)
    return makeError(ErrorCode::E0304, "image_shape has ", spatial, " entries; expected 1 to 16");
  KILN_ASSIGN(block, node.withLength(block, spatial));
  struct List {
    const char *name;
    size_t length;
    int64_t least;
    Ints values;
  };
  List lists[] = {
      {"strides", size_t(spatial), 1, {}}, {"dilations", size_t(spatial), 1, {}}, {"pads", size_t(2 * spatial), 0, {}}};
  for (List &list : lists) {
    KILN_ASSIGN(list.values, node.intsAttribute(list.name, Ints(list.length, list.least)));
    if (list.values.size() != list.length)
      return makeError(ErrorCode::E0404, list.name, " has ", list.values.size(), " entries; expected ", list.length);
    for (int64_t value : list.values)
      if (value < list.least || value > std::numeric_limits<int32_t>::max())
        return makeError(ErrorCode::E0411, list.name, " holds ", value, ", which is out of range");
  }
  const Ints &strides = lists[0].values, &dilations = lists[1].values, &pads = lists[2].values;
  auto number = [&](int64_t value) { return node.scalar(double(value), DType::I64); };

  // Where each element of each block lies in the padded image, over dims [block..., blocks...].
  Value at, padded;
  std::vector<Value> sizes;
  SizeExpr perBlock(1), blocks(1);
  for (int64_t i = 0; i < spatial; ++i) {
    KILN_ASSIGN(Value size, elementOf(node, image, i));
    KILN_ASSIGN(size, node.emit("add", {size, number(pads[size_t(i)] + pads[size_t(i + spatial)])}));
    sizes.push_back(size);
    KILN_ASSIGN(Value own, elementOf(node, block, i));
    KILN_ASSIGN(Value inside, positions(node, own, size_t(2 * spatial - 1 - i)));
    perBlock = perBlock * node.dims(inside)[0];
    KILN_ASSIGN(inside, node.emit("mul", {inside, number(dilations[size_t(i)])}));
    KILN_ASSIGN(Value reach, node.emit("sub", {own, number(1)}));
    KILN_ASSIGN(reach, node.emit("mul", {reach, number(dilations[size_t(i)])}));
    KILN_ASSIGN(Value count, node.emit("sub", {size, reach}));
    KILN_ASSIGN(count, node.emit("add", {count, number(strides[size_t(i)] - 1)}));
    KILN_ASSIGN(count, node.emit("div", {count, number(strides[size_t(i)])}));
    KILN_ASSIGN(Value starts, positions(node, count, size_t(spatial - 1 - i)));
    blocks = blocks * node.dims(starts)[0];
    KILN_ASSIGN(starts, node.emit("mul", {starts, number(strides[size_t(i)])}));
    KILN_ASSIGN(inside, node.emit("add", {inside, starts}));
    if (at) {
      KILN_ASSIGN(at, node.emit("mul", {at, size}));
      KILN_ASSIGN(at, node.emit("add", {at, inside}));
      KILN_ASSIGN(padded, node.emit("mul", {padded, size}));
    } else {
      at = inside, padded = size;
    }
  }
  if (perBlock.isConstant(0))
    return makeError(ErrorCode::E0304, "a block has no elements");
  const SizeExpr channels = SizeExpr::floorDiv(dims[1], perBlock), elements = perBlock * blocks;
  KILN_TRY(node.requireEqual(channels * perBlock, dims[1]).withContext("blocks of dim 1: "));
  KILN_TRY(node.requireEqual(dims[2], blocks).withContext("number of blocks: "));
  KILN_ASSIGN(x, node.reshape(x, {dims[0], channels, elements}));
  KILN_ASSIGN(at, node.reshape(at, {elements}));
  KILN_ASSIGN(at, node.expand(at, {dims[0], channels, elements}));
  KILN_ASSIGN(Value batch, node.sizeOf(x, 0));
  KILN_ASSIGN(Value depth, node.sizeOf(x, 1));
  KILN_ASSIGN(Value flat, vectorOf(node, {batch, depth, padded}));
  KILN_ASSIGN(Value zeros, node.emit("expand", {node.scalar(0, node.dtype(x)), flat}));
  Attributes attributes;
  attributes.set("axis", 2);
  attributes.set("reduction", "add");
  KILN_ASSIGN(Value y, node.emit("scatter_elements", {zeros, at, x}, attributes));
  sizes.insert(sizes.begin(), {batch, depth});
  KILN_ASSIGN(Value shape, vectorOf(node, sizes));
  KILN_ASSIGN(y, node.emit("reshape", {y, shape}));
  Attributes cut;
  Ints starts, ends, axes, steps(size_t(spatial), 1);
  for (int64_t i = 0; i < spatial; ++i) {
    const int64_t behind = pads[size_t(i + spatial)];
    starts.push_back(pads[size_t(i)]);
    ends.push_back(behind ? -behind : std::numeric_limits<int64_t>::max());
    axes.push_back(2 + i);
  }
  cut.set("starts", starts), cut.set("ends", ends), cut.set("axes", axes), cut.set("steps", steps);
  return node.setResult(node.emit("slice", {y}, cut));
}

constexpr OpEntry table[] = {
    {"RoiAlign", 10, roiAlign},
    {"AffineGrid", 20, affineGrid},
    {"CenterCropPad", 18, centerCropPad},
    {"Col2Im", 18, col2Im},
};

} // namespace

std::span<const OpEntry> visionOps() { return table; }

} // namespace kiln::onnx
