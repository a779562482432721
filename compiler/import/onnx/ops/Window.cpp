// Convolution and pooling.
#include "compiler/import/onnx/OpTable.h"
#include "compiler/import/onnx/ops/Shared.h"

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
  return node.setResult(emitConv(node, node.operand(0), node.operand(1), node.operand(2)));
}

Result<Attributes> poolAttributes(NodeImport &node, Value x) {
  KILN_TRY(node.requireAttribute("kernel_shape"));
  KILN_ASSIGN(Ints kernel, node.intsAttribute("kernel_shape"));
  if (kernel.empty())
    return makeError(ErrorCode::E0404, "kernel_shape is empty");
  KILN_ASSIGN(Window window, readWindow(node, x, kernel));
  KILN_ASSIGN(int64_t ceilMode, node.intAttribute("ceil_mode", 0));
  Attributes attributes;
  window.addTo(attributes);
  attributes.set("kernel", window.kernel);
  attributes.set("ceil_mode", ceilMode != 0);
  return attributes;
}

/// Opset 8 adds the output of indices and `storage_order`, which says how these count.
Status maxPool(NodeImport &node) {
  KILN_TRY(node.expectOperands(1, 1));
  KILN_ASSIGN(Attributes attributes, poolAttributes(node, node.operand(0)));
  if (!node.wants(1))
    return node.setResult(node.emit("max_pool", {node.operand(0)}, attributes));
  KILN_ASSIGN(int64_t columnMajor, node.intAttribute("storage_order", 0));
  attributes.set("column_major", columnMajor != 0);
  KILN_ASSIGN(std::vector<Value> results, node.emitAll("max_pool_indices", {node.operand(0)}, attributes));
  node.setResults(results);
  return Status();
}

/// Elements at the positions that MaxPool gave, zeros between them. With `output_shape`, which is not smaller, there
/// are more zeros at the end of each axis; positions are those without them.
Status maxUnpool(NodeImport &node) {
  KILN_TRY(node.expectOperands(2, 3));
  Value x = node.operand(0), indices = node.operand(1);
  KILN_TRY(node.requireAttribute("kernel_shape"));
  KILN_ASSIGN(Ints kernel, node.intsAttribute("kernel_shape"));
  if (kernel.empty())
    return makeError(ErrorCode::E0404, "kernel_shape is empty");
  KILN_ASSIGN(Window window, readWindow(node, x, kernel));
  if (node.rank(indices) != node.rank(x))
    return makeError(ErrorCode::E0304, "the input has rank ", node.rank(x), ", the indices ", node.rank(indices),
                     "; they must be equal");
  const Dims from = node.dims(x);
  Dims dims = from;
  for (size_t i = 0; i < dims.size(); ++i)
    KILN_TRY(node.requireEqual(from[i], node.dims(indices)[i]).withContext("indices: "));
  for (size_t i = 2, spatial = dims.size() - 2; i < dims.size(); ++i) {
    dims[i] =
        (dims[i] - 1) * window.strides[i - 2] + (kernel[i - 2] - window.pads[i - 2] - window.pads[i - 2 + spatial]);
    if (dims[i].isConstant() && dims[i].constant() < 0)
      return makeError(ErrorCode::E0304, "pads leave nothing of dim ", i);
  }
  const Dims flat{SizeExpr::product(dims)}, all{SizeExpr::product(from)};
  KILN_ASSIGN(Value zeros, node.expand(node.scalar(0, node.dtype(x)), flat));
  KILN_ASSIGN(indices, node.reshape(indices, all));
  KILN_ASSIGN(Value elements, node.reshape(x, all));
  KILN_ASSIGN(Value y, node.emit("scatter_elements", {zeros, indices, elements}));
  KILN_ASSIGN(y, node.reshape(y, dims));
  if (!node.has(2))
    return node.setResult(y);
  KILN_ASSIGN(Ints shape, node.constantInts(2, "output_shape"));
  if (shape.size() != dims.size())
    return makeError(ErrorCode::E0404, "output_shape has ", shape.size(), " entries; expected ", dims.size());
  Ints pads(2 * dims.size(), 0);
  for (size_t i = 0; i < dims.size(); ++i) {
    if (i < 2) {
      KILN_TRY(node.requireEqual(dims[i], shape[i]).withContext("output_shape: "));
      continue;
    }
    if (!dims[i].isConstant())
      return makeError(ErrorCode::E0208, "dim ", i, " must be known when compiling, for there is an output_shape");
    pads[dims.size() + i] = shape[i] - dims[i].constant();
    if (shape[i] < dims[i].constant())
      return makeError(ErrorCode::E0304, "output_shape has ", shape[i], " for dim ", i, ", which has ", dims[i].print(),
                       " elements");
  }
  Attributes attributes;
  attributes.set("pads", pads);
  return node.setResult(node.emit("pad", {y}, attributes));
}

Status averagePool(NodeImport &node) {
  KILN_TRY(node.expectOperands(1, 1));
  return node.setResult(emitAveragePool(node, node.operand(0)));
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
  KILN_TRY(node.expectOperands(1, 1));
  KILN_ASSIGN(Attributes attributes, poolAttributes(node, node.operand(0)));
  if (node.opset() < 2) {
    KILN_ASSIGN(double p, node.floatAttribute("p", 2.0));
    attributes.set("p", p);
  } else {
    KILN_ASSIGN(int64_t p, node.intAttribute("p", 2));
    attributes.set("p", double(p));
  }
  return node.setResult(node.emit("lp_pool", {node.operand(0)}, attributes));
}

/// x, weights, offset, then bias and mask, which may be absent.
Status deformConv(NodeImport &node) {
  KILN_TRY(node.expectOperands(3, 5));
  Value x = node.operand(0), w = node.operand(1);
  if (node.rank(x) != 4 || node.rank(w) != 4)
    return makeError(ErrorCode::E0207, "expected rank 4, got ", node.rank(x), " and ", node.rank(w));
  KILN_ASSIGN(Ints kernel, kernelOf(node, node.dims(w)));
  KILN_ASSIGN(Window window, readWindow(node, x, kernel));
  Attributes attributes;
  window.addTo(attributes);
  for (auto [name, mine] : {std::pair("group", "groups"), std::pair("offset_group", "offset_groups")}) {
    KILN_ASSIGN(int64_t groups, node.intAttribute(name, 1));
    if (groups < 1)
      return makeError(ErrorCode::E0411, name, " is ", groups, "; expected at least 1");
    attributes.set(mine, groups);
  }
  return node.setResult(
      node.emit("deform_conv", {x, w, node.operand(2), node.operand(3), node.operand(4)}, attributes));
}

constexpr OpEntry table[] = {
    {"Conv", 1, conv},
    {"ConvTranspose", 1, convTranspose},
    {"LpPool", 1, lpPool},
    {"MaxPool", 1, maxPool},
    {"AveragePool", 1, averagePool},
    {"MaxUnpool", 9, maxUnpool},
    {"DeformConv", 19, deformConv},
};

} // namespace

std::span<const OpEntry> windowOps() { return table; }

Result<Value> emitAveragePool(NodeImport &node, Value x) {
  KILN_ASSIGN(Attributes attributes, poolAttributes(node, x));
  KILN_ASSIGN(int64_t countPad, node.intAttribute("count_include_pad", 0));
  attributes.set("count_include_pad", countPad != 0);
  return node.emit("avg_pool", {x}, attributes);
}

Result<Value> emitConv(NodeImport &node, Value x, Value w, Value bias) {
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
  return node.emit("conv", {x, w, bias}, attributes);
}

} // namespace kiln::onnx
