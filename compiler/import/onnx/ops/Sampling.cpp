// Operators that interpolate.
#include "compiler/import/onnx/OpTable.h"
#include "runtime/base/Quotient.h"

#include <algorithm>
#include <numeric>

namespace kiln::onnx {
namespace {

// --- Resize, Upsample

/// An operand that counts as absent when it is a vector without elements, as opset 11 spells it.
bool hasElements(NodeImport &node, size_t index) {
  if (!node.has(index))
    return false;
  Dims dims = node.dims(node.operand(index));
  return !(dims.size() == 1 && dims[0].isConstant(0));
}

/// Resizes to scales that only a run tells, or to `region`.
Status resizeAtRunTime(NodeImport &node, Value scales, size_t count, const Attributes &attributes, Value region = {}) {
  KILN_ASSIGN(scales, node.withLength(scales, int64_t(count)));
  std::vector<Value> operands{node.operand(0), scales};
  if (region)
    operands.push_back(region);
  return node.setResult(node.emit("resize", operands, attributes));
}

/// Sets the scales of `count` axes. Each must be in the range in which sizes are exact.
Status setScales(Attributes &attributes, const std::vector<double> &scales, size_t count, float least) {
  if (scales.size() != count)
    return makeError(ErrorCode::E0404, "scales has ", scales.size(), " entries; expected ", count);
  for (double scale : scales)
    if (!quotientOf(float(scale)) || float(scale) < least)
      return makeError(ErrorCode::E0411, "scales holds ", scale, ", which is out of range");
  attributes.set("scales", scales);
  return Status();
}

/// The first forms, up to opset 10, have no attributes but the mode: positions are multiples of 1 / scale, and the
/// nearest element is the one before where an axis grows, the one behind where it shrinks.
Result<Attributes> simpleResize(NodeImport &node) {
  KILN_ASSIGN(std::string mode, node.textAttribute("mode", "nearest"));
  if (mode == "bilinear" || mode == "trilinear")
    mode = "linear";
  if (mode != "nearest" && mode != "linear")
    return makeError(ErrorCode::E0411, "mode is \"", mode, "\"; expected \"nearest\" or \"linear\"");
  Attributes attributes;
  attributes.set("mode", mode.c_str());
  attributes.set("coordinates", "asymmetric");
  attributes.set("nearest", "by_scale");
  return attributes;
}

/// Scales are attributes up to opset 8 (of height and width alone in opset 1..6), then an operand.
Status upsample(NodeImport &node) {
  KILN_TRY(node.expectOperands(node.opset() < 9 ? 1 : 2, node.opset() < 9 ? 1 : 2));
  Value x = node.operand(0);
  KILN_ASSIGN(Attributes attributes, simpleResize(node));
  std::vector<double> scales;
  if (node.opset() < 7) {
    if (node.rank(x) != 4)
      return makeError(ErrorCode::E0207, "expected rank 4, got ", node.rank(x));
    KILN_TRY(node.requireAttribute("height_scale"));
    KILN_TRY(node.requireAttribute("width_scale"));
    KILN_ASSIGN(double height, node.floatAttribute("height_scale", 1));
    KILN_ASSIGN(double width, node.floatAttribute("width_scale", 1));
    scales = {1, 1, height, width};
  } else if (node.opset() < 9) {
    KILN_TRY(node.requireAttribute("scales"));
    KILN_ASSIGN(scales, node.floatsAttribute("scales"));
  } else if (std::optional<std::vector<double>> known = node.knownFloats(node.operand(1))) {
    scales = *known;
  } else {
    return resizeAtRunTime(node, node.operand(1), size_t(node.rank(x)), attributes);
  }
  KILN_TRY(setScales(attributes, scales, size_t(node.rank(x)), 1));
  return node.setResult(node.emit("resize", {x}, attributes));
}

/// Attributes of Resize 11 on, but for those that belong to sizes and scales.
Result<Attributes> resizeAttributes(NodeImport &node, size_t axes) {
  struct Choice {
    const char *name, *mine, *fallback;
    std::vector<std::string_view> known;
  };
  const Choice choices[] = {
      {"mode", "mode", "nearest", {"nearest", "linear", "cubic"}},
      {"coordinate_transformation_mode",
       "coordinates",
       "half_pixel",
       {"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric",
        "tf_half_pixel_for_nn", "tf_crop_and_resize"}},
      {"nearest_mode", "nearest", "round_prefer_floor", {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"}},
      {"keep_aspect_ratio_policy", "policy", "stretch", {"stretch", "not_larger", "not_smaller"}},
  };
  Attributes attributes;
  for (const Choice &choice : choices) {
    KILN_ASSIGN(std::string value, node.textAttribute(choice.name, choice.fallback));
    if (std::ranges::find(choice.known, value) == choice.known.end())
      return makeError(ErrorCode::E0411, choice.name, " is \"", value, "\", which is unknown");
    attributes.set(choice.mine, value.c_str());
  }
  for (const char *name : {"exclude_outside", "antialias"}) {
    KILN_ASSIGN(int64_t flag, node.intAttribute(name, 0));
    attributes.set(name, flag != 0);
  }
  for (auto [name, fallback] : {std::pair("cubic_coeff_a", -0.75), std::pair("extrapolation_value", 0.0)}) {
    KILN_ASSIGN(double value, node.floatAttribute(name, fallback));
    attributes.set(name, value);
  }
  if (attributes.getString("coordinates") == "tf_crop_and_resize") {
    if (!hasElements(node, 1))
      return makeError(ErrorCode::E0306, "coordinate_transformation_mode \"tf_crop_and_resize\" needs the input roi");
    if (std::optional<std::vector<double>> roi = node.knownFloats(node.operand(1))) {
      if (roi->size() != 2 * axes)
        return makeError(ErrorCode::E0404, "roi has ", roi->size(), " entries; expected ", 2 * axes);
      attributes.set("roi", *roi);
    }
  }
  return attributes;
}

/// Opset 10 takes scales alone; opset 11 adds roi, sizes and most attributes, opset 18 axes, antialias and the policy,
/// opset 19 half_pixel_symmetric.
Status resize(NodeImport &node) {
  Value x = node.operand(0);
  if (node.opset() < 11) {
    KILN_TRY(node.expectOperands(2, 2));
    KILN_ASSIGN(Attributes attributes, simpleResize(node));
    std::optional<std::vector<double>> scales = node.knownFloats(node.operand(1));
    if (!scales)
      return resizeAtRunTime(node, node.operand(1), size_t(node.rank(x)), attributes);
    KILN_TRY(setScales(attributes, *scales, size_t(node.rank(x)), 0));
    return node.setResult(node.emit("resize", {x}, attributes));
  }
  KILN_TRY(node.expectOperands(1, 4));
  size_t count = size_t(node.rank(x));
  Ints axes;
  if (node.hasAttribute("axes")) {
    KILN_ASSIGN(axes, node.intsAttribute("axes"));
    KILN_TRY(node.normalizeAxes(axes, node.rank(x)).status());
    for (int64_t &axis : axes) {
      KILN_ASSIGN(axis, node.normalizeAxis(axis, node.rank(x)));
    }
    if (axes.empty())
      return makeError(ErrorCode::E0404, "axes is empty");
    count = axes.size();
  }
  KILN_ASSIGN(Attributes attributes, resizeAttributes(node, count));
  attributes.set("axes", axes);
  const bool scaled = hasElements(node, 2), sized = hasElements(node, 3);
  if (scaled && sized && !node.knownFloats(node.operand(2)))
    return makeError(ErrorCode::E0208, "whether scales has elements must be known when compiling");
  if (scaled == sized)
    return makeError(ErrorCode::E0306, "needs either scales or sizes");
  // A region that only a run tells.
  Value region;
  if (attributes.getString("coordinates") == "tf_crop_and_resize" && !attributes.contains("roi")) {
    KILN_ASSIGN(region, node.withLength(node.operand(1), int64_t(2 * count)));
  }
  if (scaled) {
    attributes.erase("policy");
    std::optional<std::vector<double>> scales = node.knownFloats(node.operand(2));
    if (!scales || region)
      return resizeAtRunTime(node, node.operand(2), count, attributes, region);
    KILN_TRY(setScales(attributes, *scales, count, 0));
    return node.setResult(node.emit("resize", {x}, attributes));
  }
  Value sizes = node.operand(3);
  if (std::optional<Ints> known = node.knownInts(sizes)) {
    if (known->size() != count)
      return makeError(ErrorCode::E0404, "sizes has ", known->size(), " entries; expected ", count);
    sizes = node.intsConstant(*known);
  } else {
    KILN_ASSIGN(sizes, node.withLength(sizes, int64_t(count)));
  }
  std::vector<Value> operands{x, sizes};
  if (region)
    operands.push_back(region);
  return node.setResult(node.emit("resize", operands, attributes));
}

// --- GridSample

/// Opset 20 renames the modes and takes any number of spatial dims.
Status gridSample(NodeImport &node) {
  KILN_TRY(node.expectOperands(2, 2));
  KILN_ASSIGN(std::string mode, node.textAttribute("mode", node.opset() < 20 ? "bilinear" : "linear"));
  if (mode == "bilinear" || mode == "bicubic")
    mode = mode.substr(2) == "linear" ? "linear" : "cubic";
  if (mode != "nearest" && mode != "linear" && mode != "cubic")
    return makeError(ErrorCode::E0411, "mode is \"", mode, "\", which is unknown");
  KILN_ASSIGN(std::string padding, node.textAttribute("padding_mode", "zeros"));
  if (padding != "zeros" && padding != "border" && padding != "reflection")
    return makeError(ErrorCode::E0411, "padding_mode is \"", padding,
                     "\"; expected \"zeros\", \"border\" or \"reflection\"");
  KILN_ASSIGN(int64_t align, node.intAttribute("align_corners", 0));
  Attributes attributes;
  attributes.set("mode", mode.c_str());
  attributes.set("padding", padding.c_str());
  attributes.set("align_corners", align != 0);
  return node.setResult(node.emit("grid_sample", {node.operand(0), node.operand(1)}, attributes));
}

constexpr OpEntry table[] = {
    {"Resize", 10, resize},
    {"Upsample", 1, upsample},
    {"GridSample", 16, gridSample},
};

} // namespace

std::span<const OpEntry> samplingOps() { return table; }

} // namespace kiln::onnx
