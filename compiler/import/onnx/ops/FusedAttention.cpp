// Attention as ONNX Runtime's optimizer writes it (domain com.microsoft): with the products before it, the cache, and
// masks that count what is valid.
#include "compiler/import/onnx/OpTable.h"
#include "compiler/import/onnx/ops/AttentionSteps.h"

namespace kiln::onnx {
namespace {

constexpr std::string_view contrib = "com.microsoft";

Status refuse(NodeImport &node, std::initializer_list<const char *> attributes) {
  for (const char *name : attributes) {
    KILN_ASSIGN(int64_t value, node.intAttribute(name, 0));
    if (value != 0)
      return makeError(ErrorCode::E0203, "attribute \"", name, "\" is not supported");
  }
  return Status();
}

/// A part of a tensor along an axis, which goes.
Result<Value> part(NodeImport &node, Value x, int64_t axis, int64_t index) {
  KILN_ASSIGN(Value one, node.slice(x, axis, index, index + 1));
  Dims dims = node.dims(one);
  dims.erase(dims.begin() + axis);
  return node.reshape(one, dims);
}

/// What a mask of integers lets through. Rank 1: [B] says how many positions count, [2 * B] where they end and then
/// where they start; rank 2 and 3, [B, T] and [B, S, T]: what is above 0.
Status addMask(AttentionSteps &a, Value mask) {
  NodeImport &node = a.node;
  Dims d = node.dims(mask);
  SizeExpr batch = node.dims(a.q)[0];
  if (d.size() == 1) {
    KILN_ASSIGN(Value ends, node.cast(mask, DType::I64));
    if (d[0] == batch * SizeExpr(2)) {
      KILN_ASSIGN(Value both, node.reshape(ends, {2, batch, 1, 1, 1}));
      KILN_ASSIGN(ends, part(node, both, 0, 0));
      KILN_ASSIGN(Value starts, part(node, both, 0, 1));
      KILN_TRY(a.addStarts(starts));
    } else {
      KILN_TRY(node.requireEqual(d[0], batch).withContext("lengths of the mask: "));
      KILN_ASSIGN(ends, node.reshape(ends, {batch, 1, 1, 1}));
    }
    return a.addLengths(ends);
  }
  if (d.size() == 2) {
    KILN_ASSIGN(mask, node.reshape(mask, {d[0], 1, 1, d[1]}));
  } else if (d.size() == 3) {
    KILN_ASSIGN(mask, node.reshape(mask, {d[0], 1, d[1], d[2]}));
  } else {
    return makeError(ErrorCode::E0203, "a mask of rank ", d.size(), " is not supported");
  }
  KILN_ASSIGN(mask, node.cast(mask, DType::I32));
  KILN_ASSIGN(Value allowed, node.emit("greater", {mask, node.scalar(0, DType::I32)}));
  return a.allow(allowed);
}

/// Masks, scale and product; [B, S, heads * D of v].
Result<Value> attend(AttentionSteps &a, size_t mask, size_t bias) {
  NodeImport &node = a.node;
  KILN_ASSIGN(double filter, node.floatAttribute("mask_filter_value", -10000.0));
  KILN_ASSIGN(int64_t causal, node.intAttribute("unidirectional", 0));
  if (node.has(bias)) {
    if (node.rank(node.operand(bias)) != 4)
      return makeError(ErrorCode::E0304, "the attention bias must have rank 4");
    KILN_TRY(a.addBias(node.operand(bias)));
  }
  if (causal) // without exception, other than what a mask of integers forbids
    KILN_TRY(a.addCausal({}));
  a.forbidding = filter;
  if (node.has(mask))
    KILN_TRY(addMask(a, node.operand(mask)));
  KILN_ASSIGN(double scale, attentionScale(node, a.q, true));
  KILN_ASSIGN(Value y, a.emit(scale));
  return joinHeads(node, y);
}

/// Operand 0 times weights of q, k and v side by side, plus bias.
Status attention(NodeImport &node) {
  KILN_TRY(node.expectOperands(2, 7));
  KILN_TRY(refuse(node, {"do_rotary", "rotary_embedding_dim", "past_present_share_buffer"}));
  if (node.has(6))
    return makeError(ErrorCode::E0203, "past_sequence_length is not supported");
  KILN_ASSIGN(int64_t heads, headsOf(node, "num_heads"));
  Value x = node.operand(0), weights = node.operand(1);
  if (node.rank(x) != 3 || node.rank(weights) != 2)
    return makeError(ErrorCode::E0304, "expected an input of rank 3 and weights of rank 2");
  KILN_ASSIGN(Ints sizes, node.intsAttribute("qkv_hidden_sizes"));
  if (sizes.empty()) {
    SizeExpr width = node.dims(weights)[1];
    if (!width.isConstant())
      return makeError(ErrorCode::E0208, "the width of the weights must be known when compiling");
    sizes.assign(3, width.constant() / 3);
  }
  if (sizes.size() != 3)
    return makeError(ErrorCode::E0411, "qkv_hidden_sizes has ", sizes.size(), " elements; expected 3");
  KILN_ASSIGN(Value all, node.emit("matmul", {x, weights}));
  if (node.has(2)) {
    KILN_ASSIGN(all, node.emit("add", {all, node.operand(2)}));
  }
  KILN_ASSIGN(std::vector<Value> parts, splitInto(node, all, 2, sizes));
  for (Value &part : parts) {
    KILN_ASSIGN(part, splitHeads(node, part, heads));
  }
  AttentionSteps a{node, parts[0], parts[1], parts[2]};
  if (Value past = node.operand(4)) {
    if (node.rank(past) != 5)
      return makeError(ErrorCode::E0304, "past must have rank 5, got ", node.rank(past));
    KILN_ASSIGN(Value pastKey, part(node, past, 0, 0));
    KILN_ASSIGN(Value pastValue, part(node, past, 0, 1));
    KILN_TRY(a.append(pastKey, pastValue));
  }
  if (node.wants(1)) {
    Dims d = node.dims(a.k);
    d.insert(d.begin(), SizeExpr(1));
    KILN_ASSIGN(Value key, node.reshape(a.k, d));
    KILN_ASSIGN(Value value, node.reshape(a.v, d));
    KILN_ASSIGN(Value present, node.emit("concat", {key, value}, axisOf(0)));
    node.setResult(1, present);
  }
  KILN_ASSIGN(Value y, attend(a, 3, 5));
  node.setResult(0, y);
  return Status();
}

/// The parts of x, [B, S, heads, parts, D], each as [B, heads, S, D].
Status unpack(NodeImport &node, Value x, std::initializer_list<Value *> parts) {
  int64_t index = 0;
  for (Value *one : parts) {
    KILN_ASSIGN(*one, part(node, x, 3, index++));
    KILN_ASSIGN(*one, node.transpose(*one, {0, 2, 1, 3}));
  }
  return Status();
}

/// Adds the parts of a bias, for q, k and v, to those of them that are not split into heads yet.
Status addBiases(NodeImport &node, Value bias, std::initializer_list<Value *> operands, Ints widths) {
  KILN_ASSIGN(std::vector<Value> parts, splitInto(node, bias, 0, widths));
  size_t index = 0;
  for (Value *one : operands) {
    KILN_ASSIGN(*one, node.emit("add", {*one, parts[index++]}));
  }
  return Status();
}

/// The width of x, [B, S, width] or [B, heads, S, width / heads].
Result<int64_t> widthOf(NodeImport &node, Value x) {
  Dims d = node.dims(x);
  SizeExpr width = d.size() == 4 ? d[1] * d[3] : d[2];
  if (!width.isConstant())
    return makeError(ErrorCode::E0208, "the widths of q, k and v must be known when compiling");
  return width.constant();
}

/// q, k and v of the node as [B, heads, S, D]: apart, with k and v split into heads, or as parts of operand 0 or 1.
Status takeOperands(NodeImport &node, int64_t heads, Value &q, Value &k, Value &v) {
  q = node.operand(0), k = node.operand(1), v = node.operand(2);
  Value bias = node.operand(3);
  bool allPacked = node.rank(q) == 5 && !k && !v, twoPacked = node.rank(q) == 3 && k && node.rank(k) == 5 && !v;
  if (bias && (allPacked || twoPacked))
    return makeError(ErrorCode::E0203, "a bias of packed operands is not supported");
  if (allPacked)
    return unpack(node, q, {&q, &k, &v});
  if (twoPacked) {
    KILN_ASSIGN(q, splitHeads(node, q, heads));
    return unpack(node, k, {&k, &v});
  }
  if (node.rank(q) != 3 || !k || !v || node.rank(k) != node.rank(v) || (node.rank(k) != 3 && node.rank(k) != 4))
    return makeError(ErrorCode::E0304, "expected q, k and v of rank 3, or parts of one operand of rank 5");
  bool split = node.rank(k) == 4;
  if (bias) {
    KILN_ASSIGN(int64_t width, widthOf(node, q));
    KILN_ASSIGN(int64_t keyWidth, widthOf(node, k));
    KILN_ASSIGN(int64_t valueWidth, widthOf(node, v));
    Ints widths{width, keyWidth, valueWidth};
    KILN_TRY(split ? addBiases(node, bias, {&q}, widths) : addBiases(node, bias, {&q, &k, &v}, widths));
  }
  KILN_ASSIGN(q, splitHeads(node, q, heads));
  if (!split) {
    KILN_ASSIGN(k, splitHeads(node, k, heads));
    KILN_ASSIGN(v, splitHeads(node, v, heads));
  }
  return Status();
}

/// Attention over those and a cache of other positions' k and v.
Status multiHeadAttention(NodeImport &node) {
  KILN_TRY(node.expectOperands(1, 10));
  if (node.has(8) || node.has(9) || node.wants(3))
    return makeError(ErrorCode::E0203, "operands from 8 on, and result 3, are not supported");
  KILN_ASSIGN(int64_t heads, headsOf(node, "num_heads"));
  AttentionSteps a{node};
  KILN_TRY(takeOperands(node, heads, a.q, a.k, a.v));
  if (node.has(6) && node.has(7))
    KILN_TRY(a.append(node.operand(6), node.operand(7)));
  node.setResult(1, a.k);
  node.setResult(2, a.v);
  KILN_ASSIGN(Value y, attend(a, 4, 5));
  node.setResult(0, y);
  return Status();
}

/// The standard's operator with other operands: positions first, and one position may be that of the first element.
Status rotaryEmbedding(NodeImport &node) {
  KILN_TRY(node.expectOperands(4, 4));
  KILN_TRY(refuse(node, {"is_packed_batching"}));
  Value x = node.operand(0), ids = node.operand(1), cosine = node.operand(2), sine = node.operand(3);
  KILN_ASSIGN(int64_t interleaved, node.intAttribute("interleaved", 0));
  KILN_ASSIGN(int64_t rotated, node.intAttribute("rotary_embedding_dim", 0));
  KILN_ASSIGN(int64_t heads, node.intAttribute("num_heads", 0));
  KILN_ASSIGN(double scale, node.floatAttribute("scale", 1.0));
  if (scale != 1.0)
    return makeError(ErrorCode::E0203, "attribute \"scale\" is not supported");
  if (node.rank(cosine) != 2 || node.rank(sine) != 2)
    return makeError(ErrorCode::E0304, "the caches must have rank 2");
  int64_t rank = node.rank(x);
  if (rank != 3 && rank != 4)
    return makeError(ErrorCode::E0304, "expected rank 3 or 4, got ", rank);
  if (rank == 3) {
    SizeExpr width = node.dims(x)[2], half = node.dims(cosine)[1];
    if (heads == 0 && rotated == 0 && width.isConstant() && half.isConstant() && half.constant() > 0)
      heads = width.constant() / (2 * half.constant());
    if (heads < 1)
      return makeError(ErrorCode::E0401, "attribute \"num_heads\" is missing");
    KILN_ASSIGN(x, splitHeads(node, x, heads));
  }
  if (node.rank(ids) < 2) {
    KILN_ASSIGN(Value length, node.sizeOf(x, 2));
    KILN_ASSIGN(Value steps, positions(node, length));
    KILN_ASSIGN(ids, node.reshape(ids, {1}));
    KILN_ASSIGN(ids, node.cast(ids, DType::I64));
    KILN_ASSIGN(ids, node.emit("add", {steps, ids}));
    KILN_ASSIGN(ids, node.reshape(ids, {1, node.dims(ids)[0]}));
  }
  for (Value *cache : {&cosine, &sine}) {
    KILN_ASSIGN(*cache, rotation(node, *cache, ids));
  }
  KILN_ASSIGN(Value y, rotatePairs(node, x, cosine, sine, interleaved != 0, rotated));
  if (rank == 3) {
    KILN_ASSIGN(y, joinHeads(node, y));
  }
  return node.setResult(y);
}

constexpr OpEntry table[] = {
    {"Attention", 1, attention, contrib},
    {"MultiHeadAttention", 1, multiHeadAttention, contrib},
    {"RotaryEmbedding", 1, rotaryEmbedding, contrib},
};

} // namespace

std::span<const OpEntry> fusedAttentionOps() { return table; }

} // namespace kiln::onnx
