// Convolution and pooling.
#include "compiler/import/onnx/OpTable.h"

#include <algorithm>
#include <tuple>

namespace kiln::onnx {
namespace {

struct Window {
  Ints kernel; // of a weight of unknown sizes: empty
  Ints strides, pads, dilations;
  std::string autoPad; // "same_upper" or "same_lower" while the sizes are unknown, else empty

  void addTo(Attributes &attributes) const {
    attributes.set("strides", strides);
    attributes.set("pads", pads);
    attributes.set("dilations", dilations);
    if (!autoPad.empty())
      attributes.set("auto_pad", autoPad.c_str());
  }
};

Status expectLength(std::string_view name, const Ints &list, size_t length, int64_t least) {
  if (list.size() != length)
    return makeError(ErrorCode::E0404, name, " has ", list.size(), " entries; expected ", length);
  for (int64_t value : list)
    if (value < least || value > INT32_MAX)
      return makeError(ErrorCode::E0411, name, " holds ", value, "; expected ", least, " to ", INT32_MAX);
  return Status();
}

/// The padding that keeps ceil(size / stride) positions, where all sizes are known.
void resolveSame(Window &window, const Dims &dims, bool upper) {
  size_t spatial = dims.size() - 2;
  for (size_t i = 0; i < spatial; ++i)
    if (!dims[i + 2].isConstant() || dims[i + 2].constant() > INT32_MAX || window.kernel.empty()) {
      window.autoPad = upper ? "same_upper" : "same_lower";
      return;
    }
  for (size_t i = 0; i < spatial; ++i) {
    int64_t size = dims[i + 2].constant(), stride = window.strides[i];
    int64_t positions = (size + stride - 1) / stride;
    int64_t reach = (window.kernel[i] - 1) * window.dilations[i] + 1;
    int64_t total = std::max<int64_t>(0, (positions - 1) * stride + reach - size);
    window.pads[i] = upper ? total / 2 : total - total / 2;
    window.pads[spatial + i] = total - window.pads[i];
  }
}

/// The attributes that convolution and pooling share; `kernel` is the window's size, empty where it
/// is unknown.
Result<Window> readWindow(NodeImport &node, Value x, Ints kernel) {
  if (node.rank(x) < 3)
    return makeError(ErrorCode::E0207, "expected at least one spatial dim, got rank ", node.rank(x));
  size_t spatial = size_t(node.rank(x) - 2);
  Window window;
  window.kernel = std::move(kernel);
  if (!window.kernel.empty())
    KILN_TRY(expectLength("kernel_shape", window.kernel, spatial, 1));
  KILN_ASSIGN(window.strides, node.intsAttribute("strides", Ints(spatial, 1)));
  KILN_TRY(expectLength("strides", window.strides, spatial, 1));
  KILN_ASSIGN(window.dilations, node.intsAttribute("dilations", Ints(spatial, 1)));
  KILN_TRY(expectLength("dilations", window.dilations, spatial, 1));
  KILN_ASSIGN(std::string autoPad, node.textAttribute("auto_pad", "NOTSET"));
  window.pads = Ints(2 * spatial, 0);
  if (autoPad == "NOTSET" || autoPad.empty()) {
    KILN_ASSIGN(window.pads, node.intsAttribute("pads", window.pads));
    KILN_TRY(expectLength("pads", window.pads, 2 * spatial, 0));
  } else if (autoPad == "SAME_UPPER" || autoPad == "SAME_LOWER") {
    resolveSame(window, node.dims(x), autoPad == "SAME_UPPER");
  } else if (autoPad != "VALID") {
    return makeError(ErrorCode::E0411, "auto_pad is \"", autoPad,
                     "\"; expected \"NOTSET\", \"SAME_UPPER\", \"SAME_LOWER\" or \"VALID\"");
  }
  return window;
}

/// The window's size, from the weights' dims and kernel_shape: they must agree, when sizes are bound at the latest.
Result<Ints> kernelOf(NodeImport &node, const Dims &weightDims) {
  std::span<const SizeExpr> sizes(weightDims.begin() + 2, weightDims.end());
  Ints kernel;
  if (node.hasAttribute("kernel_shape")) {
    KILN_ASSIGN(kernel, node.intsAttribute("kernel_shape"));
    KILN_TRY(expectLength("kernel_shape", kernel, sizes.size(), 1));
    for (size_t i = 0; i < sizes.size(); ++i) {
      if (sizes[i].isConstant() && !sizes[i].isConstant(kernel[i]))
        return makeError(ErrorCode::E0414, "kernel_shape differs from the weight's dims");
      KILN_TRY(node.requireEqual(sizes[i], kernel[i]).withContext("kernel_shape: "));
    }
  } else if (std::ranges::all_of(sizes, [](const SizeExpr &size) { return size.isConstant(); })) {
    for (const SizeExpr &size : sizes)
      kernel.push_back(size.constant());
  }
  return kernel;
}

Status conv(NodeImport &node) {
  KILN_TRY(node.expectOperands(2, 3));
  Value x = node.operand(0), w = node.operand(1);
  if (node.rank(w) != node.rank(x))
    return makeError(ErrorCode::E0304, "the input has rank ", node.rank(x), ", the weight ", node.rank(w),
                     "; they must be equal");
  if (node.rank(x) < 3)
    return makeError(ErrorCode::E0207, "expected at least one spatial dim, got rank ", node.rank(x));
  KILN_ASSIGN(Ints kernel, kernelOf(node, node.dims(w)));
  KILN_ASSIGN(Window window, readWindow(node, x, kernel));
  KILN_ASSIGN(int64_t groups, node.intAttribute("group", 1));
  if (groups < 1)
    return makeError(ErrorCode::E0411, "group is ", groups, "; expected at least 1");
  Attributes attributes;
  window.addTo(attributes);
  attributes.set("groups", groups);
  std::vector<Value> operands{x, w};
  if (node.has(2))
    operands.push_back(node.operand(2));
  return node.setResult(node.emit("conv", operands, attributes));
}

Result<Attributes> poolAttributes(NodeImport &node) {
  KILN_TRY(node.expectOperands(1, 1));
  KILN_TRY(node.requireAttribute("kernel_shape"));
  KILN_ASSIGN(Ints kernel, node.intsAttribute("kernel_shape"));
  if (kernel.empty())
    return makeError(ErrorCode::E0404, "kernel_shape is empty");
  KILN_ASSIGN(Window window, readWindow(node, node.operand(0), kernel));
  KILN_ASSIGN(int64_t ceilMode, node.intAttribute("ceil_mode", 0));
  Attributes attributes;
  window.addTo(attributes);
  attributes.set("kernel", window.kernel);
  attributes.set("ceil_mode", ceilMode != 0);
  return attributes;
}

Status maxPool(NodeImport &node) {
  if (node.wants(1))
    return makeError(ErrorCode::E0205, "the output of indices is not supported");
  KILN_ASSIGN(Attributes attributes, poolAttributes(node));
  return node.setResult(node.emit("max_pool", {node.operand(0)}, attributes));
}

Status averagePool(NodeImport &node) {
  KILN_ASSIGN(Attributes attributes, poolAttributes(node));
  KILN_ASSIGN(int64_t countPad, node.intAttribute("count_include_pad", 0));
  attributes.set("count_include_pad", countPad != 0);
  return node.setResult(node.emit("avg_pool", {node.operand(0)}, attributes));
}

/// `output_shape` and `auto_pad` stand for pads, which the op works out of the sizes. (Up to opset 10 the text of the
/// standard put the odd one of them on the other side, against what it says of `auto_pad`; nobody followed it.)
Status convTranspose(NodeImport &node) {
  KILN_TRY(node.expectOperands(2, 3));
  Value x = node.operand(0), w = node.operand(1);
  if (node.rank(w) != node.rank(x))
    return makeError(ErrorCode::E0304, "the input has rank ", node.rank(x), ", the weight ", node.rank(w),
                     "; they must be equal");
  if (node.rank(x) < 3)
    return makeError(ErrorCode::E0207, "expected at least one spatial dim, got rank ", node.rank(x));
  size_t spatial = size_t(node.rank(x) - 2);
  KILN_TRY(kernelOf(node, node.dims(w)).status());
  Attributes attributes;
  for (auto [name, count, fallback] :
       {std::tuple("strides", spatial, int64_t(1)), std::tuple("dilations", spatial, int64_t(1)),
        std::tuple("pads", 2 * spatial, int64_t(0)), std::tuple("output_padding", spatial, int64_t(0))}) {
    KILN_ASSIGN(Ints list, node.intsAttribute(name, Ints(count, fallback)));
    KILN_TRY(expectLength(name, list, count, fallback));
    attributes.set(name, list);
  }
  if (node.hasAttribute("output_shape")) {
    KILN_ASSIGN(Ints shape, node.intsAttribute("output_shape"));
    if (shape.size() == spatial + 2) // with batch and channels, as some exporters write it
      shape.erase(shape.begin(), shape.begin() + 2);
    KILN_TRY(expectLength("output_shape", shape, spatial, 0));
    attributes.set("output_shape", shape);
  }
  KILN_ASSIGN(std::string autoPad, node.textAttribute("auto_pad", "NOTSET"));
  if (autoPad == "SAME_UPPER" || autoPad == "SAME_LOWER")
    attributes.set("auto_pad", autoPad == "SAME_UPPER" ? "same_upper" : "same_lower");
  else if (autoPad == "VALID")
    attributes.set("pads", Ints(2 * spatial, 0));
  else if (autoPad != "NOTSET" && !autoPad.empty())
    return makeError(ErrorCode::E0411, "auto_pad is \"", autoPad,
                     "\"; expected \"NOTSET\", \"SAME_UPPER\", \"SAME_LOWER\" or \"VALID\"");
  KILN_ASSIGN(int64_t groups, node.intAttribute("group", 1));
  if (groups < 1)
    return makeError(ErrorCode::E0411, "group is ", groups, "; expected at least 1");
  attributes.set("groups", groups);
  std::vector<Value> operands{x, w};
  if (node.has(2))
    operands.push_back(node.operand(2));
  return node.setResult(node.emit("conv_transpose", operands, attributes));
}

/// p is a float in opset 1, then an integer.
Status lpPool(NodeImport &node) {
  KILN_ASSIGN(Attributes attributes, poolAttributes(node));
  if (node.opset() < 2) {
    KILN_ASSIGN(double p, node.floatAttribute("p", 2.0));
    attributes.set("p", p);
  } else {
    KILN_ASSIGN(int64_t p, node.intAttribute("p", 2));
    attributes.set("p", double(p));
  }
  return node.setResult(node.emit("lp_pool", {node.operand(0)}, attributes));
}

constexpr OpEntry table[] = {
    {"Conv", 1, conv},       {"ConvTranspose", 1, convTranspose}, {"LpPool", 1, lpPool},
    {"MaxPool", 1, maxPool}, {"AveragePool", 1, averagePool},
};

} // namespace

std::span<const OpEntry> windowOps() { return table; }

} // namespace kiln::onnx
