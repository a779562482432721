// Normalisations; and dropout, which does nothing at inference.
#include "compiler/import/onnx/OpTable.h"

#include <algorithm>
#include <numeric>

namespace kiln::onnx {
namespace {

Result<Value> meanOver(NodeImport &node, Value x, const Ints &axes, bool keepDims = true) {
  Attributes attributes;
  attributes.set("kind", "mean");
  attributes.set("axes", axes);
  attributes.set("keepdims", keepDims);
  return node.emit("reduce", {x}, attributes);
}

/// The mean of squared deviations from `mean`.
Result<Value> varianceOver(NodeImport &node, Value x, Value mean, const Ints &axes, bool keepDims = true) {
  KILN_ASSIGN(Value deviation, node.emit("sub", {x, mean}));
  KILN_ASSIGN(Value squares, node.emit("mul", {deviation, deviation}));
  return meanOver(node, squares, axes, keepDims);
}

Ints axesFrom(int64_t first, int64_t rank) {
  Ints axes(size_t(rank - first));
  std::iota(axes.begin(), axes.end(), first);
  return axes;
}

/// Scale and bias may broadcast to the normalised dims; the dialect wants them whole.
Result<Value> fitTo(NodeImport &node, Value parameter, const Dims &dims) {
  if (!parameter)
    return parameter;
  Dims given = node.dims(parameter);
  bool whole = given.size() == dims.size();
  for (size_t i = 0; whole && i < dims.size(); ++i)
    whole = !given[i].isConstant(1) || dims[i].isConstant(1);
  // Whole dims may still differ by name: the op's shape rule has them checked when sizes are bound.
  return whole ? Result<Value>(parameter) : node.expand(parameter, dims);
}

Status layerNorm(NodeImport &node) {
  KILN_TRY(node.expectOperands(2, 3));
  Value x = node.operand(0);
  DType dtype = node.dtype(x);
  int64_t rank = node.rank(x);
  KILN_ASSIGN(int64_t axis, node.axisAttribute("axis", -1, x));
  KILN_ASSIGN(double epsilon, node.floatAttribute("epsilon", double(1e-5f)));
  Dims dims = node.dims(x);
  Dims inner(dims.begin() + axis, dims.end());
  KILN_ASSIGN(Value scale, fitTo(node, node.operand(1), inner));
  KILN_ASSIGN(Value bias, fitTo(node, node.operand(2), inner));
  Attributes attributes;
  attributes.set("axis", axis);
  attributes.set("epsilon", epsilon);
  KILN_TRY(node.setResult(node.emit("layer_norm", {x, scale, bias}, attributes)));
  if (!node.wants(1) && !node.wants(2))
    return Status();
  // The statistics come in f32 (stash_type 1) or in the operand's type.
  KILN_ASSIGN(int64_t stash, node.intAttribute("stash_type", 1));
  DType stashType = dtypeFromOnnxId(stash).value_or(DType::F32);
  if (dtype != stashType) {
    KILN_ASSIGN(x, node.cast(x, stashType));
  }
  Ints axes = axesFrom(axis, rank);
  KILN_ASSIGN(Value mean, meanOver(node, x, axes));
  node.setResult(1, mean);
  if (node.wants(2)) {
    KILN_ASSIGN(Value variance, varianceOver(node, x, mean, axes));
    KILN_ASSIGN(Value shifted, node.emit("add", {variance, node.scalar(epsilon, stashType)}));
    KILN_ASSIGN(Value inverse, node.emit("rsqrt", {shifted}));
    node.setResult(2, inverse);
  }
  return Status();
}

Status rmsNorm(NodeImport &node) {
  KILN_TRY(node.expectOperands(2, 2));
  Value x = node.operand(0);
  KILN_ASSIGN(int64_t axis, node.axisAttribute("axis", -1, x));
  KILN_ASSIGN(double epsilon, node.floatAttribute("epsilon", double(1e-5f)));
  Dims dims = node.dims(x);
  KILN_ASSIGN(Value scale, fitTo(node, node.operand(1), Dims(dims.begin() + axis, dims.end())));
  Attributes attributes;
  attributes.set("axis", axis);
  attributes.set("epsilon", epsilon);
  return node.setResult(node.emit("rms_norm", {x, scale}, attributes));
}

Result<Value> emitBatchNorm(NodeImport &node, Value mean, Value variance) {
  KILN_ASSIGN(double epsilon, node.floatAttribute("epsilon", double(1e-5f)));
  Attributes attributes;
  attributes.set("epsilon", epsilon);
  attributes.set("channel_axis", 1);
  std::vector<Value> operands{node.operand(0), node.operand(1), node.operand(2), mean, variance};
  DType dtype = node.dtype(operands[0]);
  for (size_t i = 1; i < operands.size(); ++i) { // opset 14 and 15 let the statistics have types of their own
    KILN_ASSIGN(operands[i], node.cast(operands[i], dtype));
  }
  return node.emit("batch_norm", operands, attributes);
}

/// running = running * momentum + current * (1 - momentum)
Result<Value> updateRunning(NodeImport &node, Value running, Value current, double momentum) {
  DType dtype = node.dtype(running);
  KILN_ASSIGN(current, node.cast(current, dtype));
  KILN_ASSIGN(Value kept, node.emit("mul", {running, node.scalar(momentum, dtype)}));
  KILN_ASSIGN(Value added, node.emit("mul", {current, node.scalar(1 - momentum, dtype)}));
  return node.emit("add", {kept, added});
}

/// Training is an attribute from opset 14 on; before, more than one output means training.
Status batchNorm(NodeImport &node) {
  KILN_TRY(node.expectOperands(5, 5));
  KILN_ASSIGN(int64_t spatial, node.intAttribute("spatial", 1));
  if (node.opset() < 9 && !spatial)
    return makeError(ErrorCode::E0205, "spatial=0 is not supported");
  KILN_ASSIGN(int64_t training, node.intAttribute("training_mode", 0));
  if (node.rank(node.operand(0)) < 2)
    return makeError(ErrorCode::E0207, "expected a channel dim, got rank ", node.rank(node.operand(0)));
  if (!training) {
    for (size_t i = 1; i < node.resultCount(); ++i)
      if (node.wants(i))
        return makeError(ErrorCode::E0205, "training outputs are not supported before opset 14");
    return node.setResult(emitBatchNorm(node, node.operand(3), node.operand(4)));
  }
  KILN_ASSIGN(double momentum, node.floatAttribute("momentum", double(0.9f)));
  Value x = node.operand(0);
  Ints axes{0};
  for (int64_t axis = 2; axis < node.rank(x); ++axis)
    axes.push_back(axis);
  KILN_ASSIGN(Value wideMean, meanOver(node, x, axes));
  KILN_ASSIGN(Value variance, varianceOver(node, x, wideMean, axes, false));
  KILN_ASSIGN(Value mean, meanOver(node, x, axes, false));
  KILN_TRY(node.setResult(emitBatchNorm(node, mean, variance)));
  Value current[] = {mean, variance};
  for (size_t i = 1; i <= 2; ++i)
    if (node.wants(i)) {
      KILN_ASSIGN(Value updated, updateRunning(node, node.operand(i + 2), current[i - 1], momentum));
      node.setResult(i, updated);
    }
  return Status();
}

Status expectSpatial(NodeImport &node) {
  if (node.rank(node.operand(0)) < 3)
    return makeError(ErrorCode::E0207, "expected at least one spatial dim, got rank ", node.rank(node.operand(0)));
  return Status();
}

/// (x - mean) / sqrt(variance + epsilon) over `axes`.
Result<Value> standardize(NodeImport &node, Value x, const Ints &axes, double epsilon) {
  KILN_ASSIGN(Value mean, meanOver(node, x, axes));
  KILN_ASSIGN(Value variance, varianceOver(node, x, mean, axes));
  KILN_ASSIGN(Value shifted, node.emit("add", {variance, node.scalar(epsilon, node.dtype(x))}));
  KILN_ASSIGN(Value inverse, node.emit("rsqrt", {shifted}));
  KILN_ASSIGN(Value centred, node.emit("sub", {x, mean}));
  return node.emit("mul", {centred, inverse});
}

/// group_norm, for which the number of groups must be known; `groups` 0 means one group per
/// channel.
Status emitGroupNorm(NodeImport &node, Value scale, Value bias, int64_t groups) {
  KILN_ASSIGN(double epsilon, node.floatAttribute("epsilon", double(1e-5f)));
  Value x = node.operand(0);
  Dims dims = node.dims(x);
  if (groups == 0 && dims[1].isConstant())
    groups = dims[1].constant();
  if (groups > 0) {
    Attributes attributes;
    attributes.set("groups", groups);
    attributes.set("epsilon", epsilon);
    return node.setResult(node.emit("group_norm", {x, scale, bias}, attributes));
  }
  KILN_ASSIGN(Value normal, standardize(node, x, axesFrom(2, node.rank(x)), epsilon));
  Dims perChannel(dims.size() - 1, SizeExpr(1));
  perChannel[0] = node.dims(scale)[0];
  KILN_ASSIGN(scale, node.reshape(scale, perChannel));
  perChannel[0] = node.dims(bias)[0];
  KILN_ASSIGN(bias, node.reshape(bias, perChannel));
  KILN_ASSIGN(Value scaled, node.emit("mul", {normal, scale}));
  return node.setResult(node.emit("add", {scaled, bias}));
}

Status expectVectors(NodeImport &node) {
  for (size_t i : {1, 2})
    if (node.rank(node.operand(i)) != 1)
      return makeError(ErrorCode::E0304, "scale and bias must be vectors");
  return Status();
}

Status instanceNorm(NodeImport &node) {
  KILN_TRY(node.expectOperands(3, 3));
  KILN_TRY(expectSpatial(node));
  KILN_TRY(expectVectors(node));
  return emitGroupNorm(node, node.operand(1), node.operand(2), 0);
}

/// Scale and bias are per group in opset 18, per channel from 21 on.
Status groupNorm(NodeImport &node) {
  KILN_TRY(node.expectOperands(3, 3));
  KILN_TRY(expectSpatial(node));
  KILN_TRY(expectVectors(node));
  KILN_TRY(node.requireAttribute("num_groups"));
  KILN_ASSIGN(int64_t groups, node.intAttribute("num_groups", 1));
  SizeExpr channels = node.dims(node.operand(0))[1];
  if (groups < 1 || (channels.isConstant() && channels.constant() % groups != 0))
    return makeError(ErrorCode::E0411, "num_groups is ", groups, ", which does not divide ", channels.print(),
                     " channels");
  Value parameters[] = {node.operand(1), node.operand(2)};
  SizeExpr perGroup = SizeExpr::floorDiv(channels, groups);
  if (node.opset() < 21)
    for (Value &parameter : parameters) {
      KILN_ASSIGN(parameter, node.reshape(parameter, {groups, 1}));
      KILN_ASSIGN(parameter, node.expand(parameter, {groups, perGroup}));
      KILN_ASSIGN(parameter, node.reshape(parameter, {perGroup * groups}));
    }
  return emitGroupNorm(node, parameters[0], parameters[1], groups);
}

/// (x - mean) / (sqrt(variance) + 1e-9)
Status meanVarianceNorm(NodeImport &node) {
  KILN_TRY(node.expectOperands(1, 1));
  Value x = node.operand(0);
  KILN_ASSIGN(Ints axes, node.intsAttribute("axes", {0, 2, 3}));
  KILN_ASSIGN(axes, node.normalizeAxes(axes, node.rank(x)));
  KILN_ASSIGN(Value mean, meanOver(node, x, axes));
  KILN_ASSIGN(Value variance, varianceOver(node, x, mean, axes));
  KILN_ASSIGN(Value deviation, node.emit("sqrt", {variance}));
  KILN_ASSIGN(Value divisor, node.emit("add", {deviation, node.scalar(1e-9, node.dtype(x))}));
  KILN_ASSIGN(Value centred, node.emit("sub", {x, mean}));
  return node.setResult(node.emit("div", {centred, divisor}));
}

/// x over its l1 or l2 norm along an axis; 0 where that is 0.
Status lpNorm(NodeImport &node) {
  KILN_TRY(node.expectOperands(1, 1));
  Value x = node.operand(0);
  KILN_ASSIGN(int64_t axis, node.axisAttribute("axis", -1, x));
  KILN_ASSIGN(int64_t p, node.intAttribute("p", 2));
  if (p != 1 && p != 2)
    return makeError(ErrorCode::E0411, "p is ", p, "; expected 1 or 2");
  Attributes attributes;
  attributes.set("kind", p == 1 ? "l1" : "l2");
  attributes.set("axes", Ints{axis});
  KILN_ASSIGN(Value norm, node.emit("reduce", {x}, attributes));
  KILN_ASSIGN(Value quotient, node.emit("div", {x, norm}));
  Value zero = node.scalar(0, node.dtype(x));
  KILN_ASSIGN(Value isZero, node.emit("equal", {norm, zero}));
  return node.setResult(node.emit("where", {isZero, zero, quotient}));
}

/// x over (bias + alpha * mean of the squares of the channels around, zeros beyond the ends) to the
/// power of beta.
Status localResponseNorm(NodeImport &node) {
  KILN_TRY(node.expectOperands(1, 1));
  KILN_TRY(node.requireAttribute("size"));
  KILN_TRY(expectSpatial(node));
  Value x = node.operand(0);
  Dims dims = node.dims(x);
  DType dtype = node.dtype(x);
  KILN_ASSIGN(int64_t size, node.intAttribute("size", 1));
  KILN_ASSIGN(double alpha, node.floatAttribute("alpha", double(0.0001f)));
  KILN_ASSIGN(double beta, node.floatAttribute("beta", 0.75));
  KILN_ASSIGN(double bias, node.floatAttribute("bias", 1.0));
  if (size < 1 || size > INT32_MAX)
    return makeError(ErrorCode::E0411, "size is ", size, "; expected at least 1");
  KILN_ASSIGN(Value squares, node.emit("mul", {x, x}));
  SizeExpr inner = SizeExpr::product(std::span<const SizeExpr>(dims.begin() + 2, dims.end()));
  // The channels are what the window moves along; so what lies behind them are its channels.
  KILN_ASSIGN(Value image, node.reshape(squares, {dims[0], dims[1], inner}));
  Attributes window;
  window.set("layout", "nhwc");
  window.set("kernel", Ints{size});
  window.set("strides", Ints{1});
  window.set("dilations", Ints{1});
  window.set("pads", Ints{(size - 1) / 2, size / 2});
  window.set("count_include_pad", 1);
  KILN_ASSIGN(Value means, node.emit("avg_pool", {image}, window));
  KILN_ASSIGN(means, node.reshape(means, dims));
  KILN_ASSIGN(Value scaled, node.emit("mul", {means, node.scalar(alpha, dtype)}));
  KILN_ASSIGN(Value base, node.emit("add", {scaled, node.scalar(bias, dtype)}));
  KILN_ASSIGN(Value divisor, node.emit("pow", {base, node.scalar(beta, dtype)}));
  return node.setResult(node.emit("div", {x, divisor}));
}

/// Identity unless it trains: opset 12 on says so by an operand; older models are taken as
/// inference. The mask is all true.
Status dropout(NodeImport &node) {
  KILN_TRY(node.expectOperands(1, node.opset() >= 12 ? 3 : 1));
  Value x = node.operand(0);
  if (node.has(2)) {
    std::optional<Ints> training = node.knownInts(node.operand(2));
    if (!training || training->size() != 1)
      return makeError(ErrorCode::E0205, "training_mode must be a constant");
    std::optional<double> ratio = node.has(1) ? node.knownScalar(node.operand(1)) : 0.5;
    if ((*training)[0] && !(ratio && *ratio == 0))
      return makeError(ErrorCode::E0205, "training mode is not supported");
  }
  node.setResult(0, x);
  if (node.wants(1)) {
    DType maskType = node.opset() >= 10 ? DType::Bool : node.dtype(x);
    KILN_ASSIGN(Value mask, node.expand(node.scalar(1, maskType), node.dims(x)));
    node.setResult(1, mask);
  }
  return Status();
}

constexpr OpEntry table[] = {
    {"LayerNormalization", 1, layerNorm}, // spelled so by exporters before opset 17 too
    {"RMSNormalization", 23, rmsNorm},
    {"BatchNormalization", 1, batchNorm},
    {"InstanceNormalization", 1, instanceNorm},
    {"GroupNormalization", 18, groupNorm},
    {"MeanVarianceNormalization", 1, meanVarianceNorm},
    {"LpNormalization", 1, lpNorm},
    {"LRN", 1, localResponseNorm},
    {"Dropout", 1, dropout},
};

} // namespace

std::span<const OpEntry> normOps() { return table; }

} // namespace kiln::onnx
