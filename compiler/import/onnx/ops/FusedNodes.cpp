// Chains of standard operators that ONNX Runtime's optimizer writes as one (domain com.microsoft; those of older
// exporters are in the default domain): each is spelled out again, and fused here by what it computes.
#include "compiler/import/onnx/OpTable.h"
#include "compiler/import/onnx/ops/Shared.h"

#include <numeric>

namespace kiln::onnx {
namespace {

constexpr std::string_view contrib = "com.microsoft";

Result<Value> emitGelu(NodeImport &node, Value x, bool tanh) {
  Attributes attributes;
  attributes.set("tanh", tanh);
  return node.emit("gelu", {x}, attributes);
}

/// Operand 0 and, where it is there, a bias of its last dim.
Result<Value> biased(NodeImport &node) {
  Value x = node.operand(0), bias = node.operand(1);
  if (!bias)
    return x;
  if (node.rank(bias) != 1 || node.rank(x) < 1)
    return makeError(ErrorCode::E0304, "the bias must be a vector");
  KILN_TRY(node.requireEqual(node.dims(bias)[0], node.dims(x).back()).withContext("bias: "));
  return node.emit("add", {x, bias});
}

Status biasGelu(NodeImport &node) {
  KILN_TRY(node.expectOperands(2, 2));
  KILN_ASSIGN(Value x, biased(node));
  return node.setResult(emitGelu(node, x, false));
}

Status fastGelu(NodeImport &node) {
  KILN_TRY(node.expectOperands(1, 2));
  KILN_ASSIGN(Value x, biased(node));
  return node.setResult(emitGelu(node, x, true));
}

Status gelu(NodeImport &node) {
  KILN_TRY(node.expectOperands(1, 1));
  return node.setResult(emitGelu(node, node.operand(0), false));
}

Status quickGelu(NodeImport &node) {
  KILN_TRY(node.expectOperands(1, 1));
  KILN_ASSIGN(double alpha, node.floatAttribute("alpha", double(1.702f)));
  return node.setResult(emitSwish(node, node.operand(0), alpha));
}

/// The activation that the node names, with parameters in the order that the standard's operator lists them in.
Result<Value> activated(NodeImport &node, Value x, const std::vector<double> &parameters) {
  KILN_ASSIGN(std::string name, node.textAttribute("activation", ""));
  auto parameter = [&](size_t i, double fallback) { return i < parameters.size() ? parameters[i] : fallback; };
  Attributes attributes;
  if (name.empty())
    return x;
  if (name == "Relu")
    return node.emit("relu", {x});
  if (name == "Tanh")
    return node.emit("tanh", {x});
  if (name == "Sigmoid")
    return node.emit("sigmoid", {x});
  if (name == "LeakyRelu") {
    attributes.set("alpha", parameter(0, double(0.01f)));
    return node.emit("leaky_relu", {x}, attributes);
  }
  if (name == "HardSigmoid") {
    attributes.set("alpha", parameter(0, double(0.2f)));
    attributes.set("beta", parameter(1, 0.5));
    return node.emit("hard_sigmoid", {x}, attributes);
  }
  if (name == "Clip" && parameters.size() == 2) {
    KILN_ASSIGN(x, node.emit("max", {x, node.scalar(parameters[0], node.dtype(x))}));
    return node.emit("min", {x, node.scalar(parameters[1], node.dtype(x))});
  }
  return makeError(ErrorCode::E0203, "activation \"", name, "\" is not supported");
}

/// activation(conv(x, w) + bias + z)
Status fusedConv(NodeImport &node) {
  KILN_TRY(node.expectOperands(2, 4));
  KILN_ASSIGN(std::vector<double> parameters, node.floatsAttribute("activation_params"));
  KILN_ASSIGN(Value y, emitConv(node, node.operand(0), node.operand(1), node.operand(2)));
  if (Value z = node.operand(3)) {
    Dims dims = node.dims(y), given = node.dims(z);
    if (given.size() != dims.size())
      return makeError(ErrorCode::E0304, "what is added has rank ", given.size(), ", the convolution ", dims.size());
    for (size_t i = 0; i < dims.size(); ++i)
      KILN_TRY(node.requireEqual(given[i], dims[i]).withContext("what is added: "));
    KILN_ASSIGN(y, node.emit("add", {y, z}));
  }
  return node.setResult(activated(node, y, parameters));
}

Status fusedGemm(NodeImport &node) {
  KILN_TRY(node.expectOperands(2, 3));
  std::vector<double> parameters;
  for (const char *name : {"activation_alpha", "activation_beta", "activation_gamma"})
    if (node.hasAttribute(name)) {
      KILN_ASSIGN(double value, node.floatAttribute(name, 0));
      parameters.push_back(value);
    }
  KILN_ASSIGN(Value y, emitGemm(node));
  return node.setResult(activated(node, y, parameters));
}

/// An operand of FusedMatMul as matmul takes it. `batch`: its first dim is the row dim, and the batch dims follow.
Result<Value> matrix(NodeImport &node, Value x, bool batch) {
  int64_t rank = node.rank(x);
  if (!batch || rank < 3)
    return x;
  Ints perm(size_t(rank) - 2);
  std::iota(perm.begin(), perm.end(), 1);
  perm.push_back(0);
  perm.push_back(rank - 1);
  return node.transpose(x, perm);
}

/// alpha * A' * B'
Status fusedMatMul(NodeImport &node) {
  KILN_TRY(node.expectOperands(2, 2));
  KILN_ASSIGN(double alpha, node.floatAttribute("alpha", 1.0));
  KILN_ASSIGN(int64_t transposeA, node.intAttribute("transA", 0));
  KILN_ASSIGN(int64_t transposeB, node.intAttribute("transB", 0));
  KILN_ASSIGN(int64_t batchA, node.intAttribute("transBatchA", 0));
  KILN_ASSIGN(int64_t batchB, node.intAttribute("transBatchB", 0));
  KILN_ASSIGN(Value a, matrix(node, node.operand(0), batchA != 0));
  KILN_ASSIGN(Value b, matrix(node, node.operand(1), batchB != 0));
  Value y;
  if (node.rank(a) >= 2 && node.rank(b) >= 2) {
    Attributes attributes;
    attributes.set("transpose_a", transposeA != 0);
    attributes.set("transpose_b", transposeB != 0);
    KILN_ASSIGN(y, node.emit("matmul", {a, b}, attributes));
  } else if ((transposeA && node.rank(a) >= 2) || (transposeB && node.rank(b) >= 2)) {
    return makeError(ErrorCode::E0203, "a transposed matrix times a vector is not supported");
  } else {
    KILN_ASSIGN(y, emitMatMul(node, a, b));
  }
  if (alpha != 1.0) {
    KILN_ASSIGN(y, node.emit("mul", {y, node.scalar(alpha, node.dtype(y))}));
  }
  return node.setResult(y);
}

/// layer_norm, or rms_norm, over the last dim.
Result<Value> normalized(NodeImport &node, Value x, Value scale, Value bias, bool rms) {
  KILN_ASSIGN(double epsilon, node.floatAttribute("epsilon", double(1e-12f)));
  if (node.rank(x) < 1 || node.rank(scale) != 1 || (bias && node.rank(bias) != 1))
    return makeError(ErrorCode::E0304, "scale and bias must be vectors");
  Attributes attributes;
  attributes.set("axis", node.rank(x) - 1);
  attributes.set("epsilon", epsilon);
  return rms ? node.emit("rms_norm", {x, scale}, attributes) : node.emit("layer_norm", {x, scale, bias}, attributes);
}

Status refuseStatistics(NodeImport &node) {
  for (size_t i : {1, 2})
    if (node.wants(i))
      return makeError(ErrorCode::E0203, "results 1 and 2 (for training) are not supported");
  return Status();
}

/// x + skip + bias, which is result 3, normalised.
Status skipNorm(NodeImport &node, Value scale, Value shift, Value bias, bool rms) {
  KILN_TRY(refuseStatistics(node));
  Value x = node.operand(0);
  Dims dims = node.dims(x);
  KILN_ASSIGN(Value sum, node.emit("add", {x, node.operand(1)}));
  if (bias) {
    KILN_ASSIGN(sum, node.emit("add", {sum, bias}));
  }
  if (node.dims(sum).size() != dims.size())
    return makeError(ErrorCode::E0304, "what is added has a higher rank than the input");
  for (size_t i = 0; i < dims.size(); ++i) // skip and bias broadcast to the input
    KILN_TRY(node.requireEqual(node.dims(sum)[i], dims[i]).withContext("what is added: "));
  node.setResult(3, sum);
  return node.setResult(normalized(node, sum, scale, shift, rms));
}

Status skipLayerNorm(NodeImport &node) {
  KILN_TRY(node.expectOperands(3, 5));
  return skipNorm(node, node.operand(2), node.operand(3), node.operand(4), false);
}

Status skipRmsNorm(NodeImport &node) {
  KILN_TRY(node.expectOperands(3, 4));
  return skipNorm(node, node.operand(2), {}, node.operand(3), true);
}

/// rms_norm as exporters spelled it before the standard had it (opset 23).
Status simplifiedLayerNorm(NodeImport &node) {
  KILN_TRY(node.expectOperands(2, 2));
  KILN_TRY(refuseStatistics(node));
  Value x = node.operand(0);
  KILN_ASSIGN(int64_t axis, node.axisAttribute("axis", -1, x));
  KILN_ASSIGN(double epsilon, node.floatAttribute("epsilon", double(1e-5f)));
  Attributes attributes;
  attributes.set("axis", axis);
  attributes.set("epsilon", epsilon);
  return node.setResult(node.emit("rms_norm", {x, node.operand(1)}, attributes));
}

/// Sum of the embeddings of words, positions and segments, normalised; the sum is result 2, and result 1 the number of
/// positions of each row that a mask lets through.
Status embedLayerNorm(NodeImport &node) {
  KILN_TRY(node.expectOperands(1, 9));
  for (size_t i : {2, 3, 5, 6})
    if (!node.has(i))
      return makeError(ErrorCode::E0306, "input ", i, " is missing");
  Value ids = node.operand(0);
  if (node.rank(ids) != 2)
    return makeError(ErrorCode::E0304, "the ids must have rank 2, got ", node.rank(ids));
  KILN_ASSIGN(Value sum, node.emit("gather", {node.operand(2), ids}, axisOf(0)));
  Value positionIds = node.operand(8);
  if (!positionIds) {
    KILN_ASSIGN(Value length, node.sizeOf(ids, 1));
    KILN_ASSIGN(positionIds, positions(node, length));
  }
  KILN_ASSIGN(Value position, node.emit("gather", {node.operand(3), positionIds}, axisOf(0)));
  KILN_ASSIGN(sum, node.emit("add", {sum, position}));
  if (node.has(1) && node.has(4)) {
    KILN_ASSIGN(Value segment, node.emit("gather", {node.operand(4), node.operand(1)}, axisOf(0)));
    KILN_ASSIGN(sum, node.emit("add", {sum, segment}));
  }
  KILN_ASSIGN(Value y, normalized(node, sum, node.operand(5), node.operand(6), false));
  node.setResult(0, y);
  node.setResult(2, sum);
  if (!node.wants(1))
    return Status();
  if (!node.has(7)) {
    KILN_ASSIGN(Value none, node.cast(node.scalar(0, DType::I64), DType::I32));
    KILN_ASSIGN(none, node.expand(none, {node.dims(ids)[0]}));
    node.setResult(1, none);
    return Status();
  }
  Attributes rows;
  rows.set("kind", "sum");
  rows.set("axes", Ints{1});
  rows.set("keepdims", false);
  KILN_ASSIGN(Value count, node.emit("reduce", {node.operand(7)}, rows));
  KILN_ASSIGN(count, node.cast(count, DType::I32));
  node.setResult(1, count);
  return Status();
}

constexpr OpEntry table[] = {
    {"BiasGelu", 1, biasGelu, contrib},
    {"EmbedLayerNormalization", 1, embedLayerNorm, contrib},
    {"FastGelu", 1, fastGelu, contrib},
    {"FusedConv", 1, fusedConv, contrib},
    {"FusedGemm", 1, fusedGemm, contrib},
    {"FusedMatMul", 1, fusedMatMul, contrib},
    {"Gelu", 1, gelu, contrib},
    {"QuickGelu", 1, quickGelu, contrib},
    {"SimplifiedLayerNormalization", 1, simplifiedLayerNorm},
    {"SkipLayerNormalization", 1, skipLayerNorm, contrib},
    {"SkipSimplifiedLayerNormalization", 1, skipRmsNorm, contrib},
};

} // namespace

std::span<const OpEntry> fusedNodeOps() { return table; }

} // namespace kiln::onnx
