// Attention and rotary embedding, operators of the default domain since opset 23.
#include "compiler/import/onnx/OpTable.h"
#include "compiler/import/onnx/ops/AttentionSteps.h"

#include <cmath>

namespace kiln::onnx {
namespace {

Status attention(NodeImport &node) {
  KILN_TRY(node.expectOperands(3, 7));
  AttentionSteps a{node, node.operand(0), node.operand(1), node.operand(2)};
  int64_t rank = node.rank(a.q);
  if ((rank != 3 && rank != 4) || node.rank(a.k) != rank || node.rank(a.v) != rank)
    return makeError(ErrorCode::E0304, "Q, K and V must all have rank 3 or all have rank 4");
  if (rank == 3) {
    KILN_TRY(node.requireAttribute("q_num_heads"));
    KILN_TRY(node.requireAttribute("kv_num_heads"));
    KILN_ASSIGN(int64_t heads, node.intAttribute("q_num_heads", 1));
    KILN_ASSIGN(int64_t kvHeads, node.intAttribute("kv_num_heads", 1));
    if (heads < 1 || kvHeads < 1)
      return makeError(ErrorCode::E0411, "q_num_heads and kv_num_heads must be at least 1");
    KILN_ASSIGN(a.q, splitHeads(node, a.q, heads));
    KILN_ASSIGN(a.k, splitHeads(node, a.k, kvHeads));
    KILN_ASSIGN(a.v, splitHeads(node, a.v, kvHeads));
  }
  if (node.has(6) && node.rank(node.operand(6)) != 1)
    return makeError(ErrorCode::E0304, "nonpad_kv_seqlen must be a vector");
  if (node.has(4) && node.has(5))
    KILN_TRY(a.append(node.operand(4), node.operand(5)));
  node.setResult(1, a.k);
  node.setResult(2, a.v);
  SizeExpr heads = node.dims(a.q)[1], kvHeads = node.dims(a.k)[1];
  if (!(heads == kvHeads)) {
    if (kvHeads.isConstant(0))
      return makeError(ErrorCode::E0304, "K and V have no heads");
    KILN_ASSIGN(a.k, repeatHeads(node, a.k, heads));
    KILN_ASSIGN(a.v, repeatHeads(node, a.v, heads));
  }
  KILN_ASSIGN(int64_t causal, node.intAttribute("is_causal", 0));
  if (node.has(3))
    KILN_TRY(a.addMaskOperand(node.operand(3)));
  Value lengths;
  if (node.has(6)) {
    KILN_ASSIGN(lengths, node.cast(node.operand(6), DType::I64));
    KILN_ASSIGN(lengths, node.reshape(lengths, {node.dims(lengths)[0], 1, 1, 1}));
    a.mayForbidAll = true;
  }
  if (causal)
    KILN_TRY(a.addCausal(lengths));
  if (lengths)
    KILN_TRY(a.addLengths(lengths));

  KILN_ASSIGN(double scale, attentionScale(node, a.q));
  KILN_ASSIGN(double softcap, node.floatAttribute("softcap", 0));
  KILN_ASSIGN(int64_t mode, node.intAttribute("qk_matmul_output_mode", 0));
  KILN_ASSIGN(int64_t precision, node.intAttribute("softmax_precision", dtypeOnnxId(node.dtype(a.q))));
  Value y;
  if (softcap > 0 || node.wants(3)) {
    KILN_ASSIGN(y, a.spellOut(scale, softcap, mode, dtypeFromOnnxId(precision).value_or(node.dtype(a.q))));
  } else {
    KILN_ASSIGN(y, a.emit(scale));
  }
  if (rank == 3) {
    KILN_ASSIGN(y, joinHeads(node, y));
  }
  node.setResult(0, y);
  return Status();
}

/// The element type that a softmax is computed in.
Result<DType> softmaxPrecision(NodeImport &node, DType fallback) {
  KILN_ASSIGN(int64_t given, node.intAttribute("softmax_precision", dtypeOnnxId(fallback)));
  std::optional<DType> dtype = dtypeFromOnnxId(given);
  if (!dtype || !isFloat(*dtype))
    return makeError(ErrorCode::E0203, "softmax_precision ", onnxTypeName(int32_t(given)), " is not supported");
  return *dtype;
}

/// A graph of the node that changes a tensor and keeps its type.
Result<Value> changed(NodeImport &node, const char *attribute, Value x) {
  if (!node.hasAttribute(attribute))
    return x;
  KILN_ASSIGN(std::vector<Value> results, node.applyGraph(attribute, {x}));
  if (results.size() != 1 || node.rank(results[0]) != node.rank(x) || node.dtype(results[0]) != node.dtype(x))
    return makeError(ErrorCode::E0305, "graph '", attribute, "' does not keep the type of what it changes");
  for (int64_t i = 0; i < node.rank(x); ++i)
    KILN_TRY(node.requireEqual(node.dims(results[0])[size_t(i)], node.dims(x)[size_t(i)])
                 .withContext(std::string("graph '") + attribute + "': "));
  return results[0];
}

/// Attention whose scores and probabilities graphs may change.
Status flexAttention(NodeImport &node) {
  KILN_TRY(node.expectOperands(3, 3));
  Value q = node.operand(0), k = node.operand(1), v = node.operand(2);
  if (node.rank(q) != 4 || node.rank(k) != 4 || node.rank(v) != 4)
    return makeError(ErrorCode::E0304, "Q, K and V must have rank 4");
  const SizeExpr heads = node.dims(q)[1], width = node.dims(q)[3];
  if (!(heads == node.dims(k)[1])) {
    if (node.dims(k)[1].isConstant(0))
      return makeError(ErrorCode::E0304, "K and V have no heads");
    KILN_ASSIGN(k, repeatHeads(node, k, heads));
    KILN_ASSIGN(v, repeatHeads(node, v, heads));
  }
  const DType dtype = node.dtype(q);
  KILN_ASSIGN(DType precision, softmaxPrecision(node, dtype == DType::F64 ? DType::F64 : DType::F32));
  if (!width.isConstant() && !node.hasAttribute("scale"))
    return makeError(ErrorCode::E0208, "the head size must be known when compiling, for there is no scale");
  KILN_ASSIGN(double scale,
              node.floatAttribute("scale", width.isConstant() ? 1 / std::sqrt(double(width.constant())) : 1));
  const DType wide = dtype == DType::F64 ? DType::F64 : DType::F32;
  KILN_ASSIGN(q, node.cast(q, wide));
  KILN_ASSIGN(k, node.cast(k, wide));
  KILN_ASSIGN(v, node.cast(v, precision));
  Attributes transposed;
  transposed.set("transpose_b", 1);
  KILN_ASSIGN(Value scores, node.emit("matmul", {q, k}, transposed));
  KILN_ASSIGN(scores, node.emit("mul", {scores, node.scalar(scale, wide)}));
  KILN_ASSIGN(scores, node.cast(scores, precision));
  KILN_ASSIGN(scores, changed(node, "score_mod", scores));
  KILN_ASSIGN(Value weights, node.emit("softmax", {scores}, axisOf(3)));
  KILN_ASSIGN(weights, changed(node, "prob_mod", weights));
  KILN_ASSIGN(Value y, node.emit("matmul", {weights, v}));
  return node.setResult(node.cast(y, dtype));
}

/// Pairs of elements, neighbours or half a head apart, turned by the angle of their position.
Status rotaryEmbedding(NodeImport &node) {
  KILN_TRY(node.expectOperands(3, 4));
  Value x = node.operand(0);
  int64_t rank = node.rank(x);
  KILN_ASSIGN(int64_t interleaved, node.intAttribute("interleaved", 0));
  KILN_ASSIGN(int64_t rotated, node.intAttribute("rotary_embedding_dim", 0));
  KILN_ASSIGN(int64_t heads, node.intAttribute("num_heads", 0));
  if (rank == 3) {
    if (heads < 1)
      return makeError(ErrorCode::E0401, "attribute \"num_heads\" is missing");
    KILN_ASSIGN(x, splitHeads(node, x, heads));
  } else if (rank != 4) {
    return makeError(ErrorCode::E0304, "expected rank 3 or 4, got ", rank);
  }
  KILN_ASSIGN(Value cosine, rotation(node, node.operand(1), node.operand(3)));
  KILN_ASSIGN(Value sine, rotation(node, node.operand(2), node.operand(3)));
  KILN_ASSIGN(Value result, rotatePairs(node, x, cosine, sine, interleaved != 0, rotated));
  if (rank == 3) {
    KILN_ASSIGN(result, node.transpose(result, {0, 2, 1, 3}));
    KILN_ASSIGN(result, node.reshape(result, node.dims(node.operand(0))));
  }
  return node.setResult(result);
}

constexpr OpEntry table[] = {
    {"Attention", 23, attention},
    {"RotaryEmbedding", 23, rotaryEmbedding},
    {"FlexAttention", 1, flexAttention, "ai.onnx.preview"},
};

} // namespace

std::span<const OpEntry> attentionOps() { return table; }

} // namespace kiln::onnx
