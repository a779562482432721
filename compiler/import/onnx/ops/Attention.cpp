// Attention and rotary embedding, operators of the default domain since opset 23.
#include "compiler/import/onnx/OpTable.h"
#include "compiler/import/onnx/ops/Shared.h"

#include <cmath>
#include <limits>

namespace kiln::onnx {
namespace {

/// Each head of k or v serves as many heads of q: `heads` in all.
Result<Value> repeatHeads(NodeImport &node, Value x, const SizeExpr &heads) {
  Dims d = node.dims(x);
  SizeExpr times = SizeExpr::floorDiv(heads, d[1]);
  KILN_TRY(node.requireEqual(d[1] * times, heads).withContext("heads of Q that share those of K and V: "));
  KILN_ASSIGN(Value apart, node.reshape(x, {d[0], d[1], 1, d[2], d[3]}));
  KILN_ASSIGN(Value repeated, node.expand(apart, {d[0], d[1], times, d[2], d[3]}));
  return node.reshape(repeated, {d[0], heads, d[2], d[3]});
}

/// 0 .. size of that dim of x, in i64, as a vector or as a column.
Result<Value> positionsAlong(NodeImport &node, Value x, int64_t axis, bool column) {
  KILN_ASSIGN(Value size, node.sizeOf(x, axis));
  return positions(node, size, column ? 1 : 0);
}

struct AttentionImport {
  NodeImport &node;
  Value q, k, v;         // [B, heads, length, D]
  Value mask = {};       // what is added to the scores
  Value pastLength = {}; // i64 scalar
  bool mayForbidAll = false;

  /// Adds to the mask: 0 where `allowed`, minus infinity elsewhere.
  Status allow(Value allowed) {
    DType dtype = node.dtype(q);
    Value nothing = node.scalar(0, dtype), never = node.scalar(-std::numeric_limits<double>::infinity(), dtype);
    KILN_ASSIGN(Value bias, node.emit("where", {allowed, nothing, never}));
    return addBias(bias);
  }
  Status addBias(Value bias) {
    if (mask) {
      KILN_ASSIGN(bias, node.emit("add", {mask, bias}));
    }
    mask = bias;
    return Status();
  }

  /// A mask that is shorter than k forbids what it does not reach.
  Result<Value> padMask(Value given, const SizeExpr &have, const SizeExpr &want, bool isBool) {
    double filler = isBool ? 0.0 : -std::numeric_limits<double>::infinity();
    size_t rank = size_t(node.rank(given));
    if (have.isConstant() && want.isConstant()) {
      if (have.constant() > want.constant())
        return makeError(ErrorCode::E0304, "the mask reaches over ", have.print(), " positions of ", want.print());
      Attributes attributes;
      Ints pads(2 * rank, 0);
      pads.back() = want.constant() - have.constant();
      attributes.set("pads", pads);
      attributes.set("value", filler);
      return node.emit("pad", {given}, attributes);
    }
    KILN_ASSIGN(Value length, node.sizeOf(k, 2));
    KILN_ASSIGN(Value reached, node.sizeOf(given, int64_t(rank) - 1));
    KILN_ASSIGN(Value missing, node.emit("sub", {length, reached}));
    KILN_ASSIGN(missing, node.reshape(missing, {1}));
    KILN_ASSIGN(Value pads, node.emit("concat", {node.intsConstant(Ints(2 * rank - 1, 0)), missing}, axisOf(0)));
    return node.emit("pad", {given, pads, node.scalar(filler, node.dtype(given))});
  }

  Status addMaskOperand(Value given) {
    Dims dims = node.dims(given);
    SizeExpr have = dims.empty() ? SizeExpr(1) : dims.back(), want = node.dims(k)[2];
    bool isBool = node.dtype(given) == DType::Bool;
    if (!dims.empty() && !(have == want)) {
      KILN_ASSIGN(given, padMask(given, have, want, isBool));
    }
    if (isBool) {
      mayForbidAll = true;
      return allow(given);
    }
    KILN_ASSIGN(given, node.cast(given, node.dtype(q)));
    return addBias(given);
  }

  /// Position i may look at positions up to past + i. Where k and v are a cache of which `lengths`
  /// say how much is valid, the queries are the last of the valid positions.
  Status addCausal(Value lengths) {
    KILN_ASSIGN(Value rows, positionsAlong(node, q, 2, true));
    KILN_ASSIGN(Value columns, positionsAlong(node, k, 2, false));
    if (pastLength) {
      KILN_ASSIGN(rows, node.emit("add", {rows, pastLength}));
    }
    if (lengths) {
      KILN_ASSIGN(Value own, node.sizeOf(q, 2));
      KILN_ASSIGN(Value offset, node.emit("sub", {lengths, own}));
      KILN_ASSIGN(rows, node.emit("add", {rows, offset}));
    }
    KILN_ASSIGN(Value allowed, node.emit("less_equal", {columns, rows}));
    return allow(allowed);
  }

  /// Only the first `lengths[b]` positions of k and v count.
  Status addLengths(Value lengths) {
    KILN_ASSIGN(Value columns, positionsAlong(node, k, 2, false));
    KILN_ASSIGN(Value allowed, node.emit("less", {columns, lengths}));
    return allow(allowed);
  }

  /// A row that may look at nothing gives 0, not NaN.
  Result<Value> withoutNan(Value x) {
    if (!mayForbidAll)
      return x;
    KILN_ASSIGN(Value nan, node.emit("isnan", {x}));
    return node.emit("where", {nan, node.scalar(0, node.dtype(x)), x});
  }

  /// The steps one by one, for what the composite op cannot say: softcap, and the scores as a
  /// result.
  Result<Value> spellOut(double scale, double softcap, int64_t mode, DType precision) {
    DType dtype = node.dtype(q);
    KILN_ASSIGN(Value scaled, node.emit("mul", {q, node.scalar(scale, dtype)}));
    Attributes attributes;
    attributes.set("transpose_b", 1);
    KILN_ASSIGN(Value scores, node.emit("matmul", {scaled, k}, attributes));
    Value shown = scores;
    if (softcap > 0) {
      KILN_ASSIGN(scores, node.emit("div", {scores, node.scalar(softcap, dtype)}));
      KILN_ASSIGN(scores, node.emit("tanh", {scores}));
      KILN_ASSIGN(scores, node.emit("mul", {scores, node.scalar(softcap, dtype)}));
    }
    if (mode == 1)
      shown = scores;
    if (mask) {
      KILN_ASSIGN(scores, node.emit("add", {scores, mask}));
    }
    if (mode == 2)
      shown = scores;
    KILN_ASSIGN(scores, node.cast(scores, precision));
    KILN_ASSIGN(Value weights, node.emit("softmax", {scores}, axisOf(3)));
    KILN_ASSIGN(weights, withoutNan(weights));
    KILN_ASSIGN(weights, node.cast(weights, dtype));
    node.setResult(3, mode == 3 ? weights : shown);
    return node.emit("matmul", {weights, v});
  }
};

Status attention(NodeImport &node) {
  KILN_TRY(node.expectOperands(3, 7));
  AttentionImport a{node, node.operand(0), node.operand(1), node.operand(2)};
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
  if (node.has(4) && node.has(5)) {
    if (node.rank(node.operand(4)) != 4 || node.rank(node.operand(5)) != 4)
      return makeError(ErrorCode::E0304, "past_key and past_value must have rank 4");
    KILN_ASSIGN(a.pastLength, node.sizeOf(node.operand(4), 2));
    KILN_ASSIGN(a.k, node.emit("concat", {node.operand(4), a.k}, axisOf(2)));
    KILN_ASSIGN(a.v, node.emit("concat", {node.operand(5), a.v}, axisOf(2)));
  }
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

  SizeExpr width = node.dims(a.q)[3];
  double standard = width.isConstant() ? 1 / std::sqrt(double(width.constant())) : 1;
  KILN_ASSIGN(double scale, node.floatAttribute("scale", standard));
  if (!node.hasAttribute("scale") && !width.isConstant()) { // the standard scale as a value
    KILN_ASSIGN(Value size, node.sizeOf(a.q, 3));
    KILN_ASSIGN(size, node.cast(size, node.dtype(a.q)));
    KILN_ASSIGN(Value root, node.emit("sqrt", {size}));
    KILN_ASSIGN(a.q, node.emit("div", {a.q, root}));
  }
  KILN_ASSIGN(double softcap, node.floatAttribute("softcap", 0));
  KILN_ASSIGN(int64_t mode, node.intAttribute("qk_matmul_output_mode", 0));
  KILN_ASSIGN(int64_t precision, node.intAttribute("softmax_precision", dtypeOnnxId(node.dtype(a.q))));
  Value y;
  if (softcap > 0 || node.wants(3)) {
    KILN_ASSIGN(y, a.spellOut(scale, softcap, mode, dtypeFromOnnxId(precision).value_or(node.dtype(a.q))));
  } else {
    Attributes attributes;
    attributes.set("scale", scale);
    KILN_ASSIGN(y, node.emit("attention", {a.q, a.k, a.v, a.mask}, attributes));
    KILN_ASSIGN(y, a.withoutNan(y));
  }
  if (rank == 3) {
    KILN_ASSIGN(y, node.transpose(y, {0, 2, 1, 3}));
    Dims d = node.dims(y);
    KILN_ASSIGN(y, node.reshape(y, {d[0], d[1], d[2] * d[3]}));
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

/// Rows of a cache at the positions in `ids`, [B, 1, S, D / 2]; or the cache itself, already one
/// row per position.
Result<Value> rotation(NodeImport &node, Value cache, Value ids) {
  if (ids) {
    KILN_ASSIGN(cache, node.emit("gather", {cache, ids}, axisOf(0)));
  }
  Dims d = node.dims(cache);
  if (d.size() != 3)
    return makeError(ErrorCode::E0304, "the caches must have rank ", ids ? 2 : 3);
  return node.reshape(cache, {d[0], 1, d[1], d[2]});
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
  Dims d = node.dims(x); // [B, heads, S, D]
  if (!d[3].isConstant())
    return makeError(ErrorCode::E0208, "the head size must be known when compiling");
  int64_t width = d[3].constant();
  if (rotated == 0)
    rotated = width;
  if (rotated < 0 || rotated > width || rotated % 2 != 0)
    return makeError(ErrorCode::E0411, "rotary_embedding_dim is ", rotated, " for a head size of ", width);
  KILN_ASSIGN(Value cosine, rotation(node, node.operand(1), node.operand(3)));
  KILN_ASSIGN(Value sine, rotation(node, node.operand(2), node.operand(3)));
  KILN_ASSIGN(Value turning, rotated == width ? Result<Value>(x) : node.slice(x, 3, 0, rotated));
  int64_t half = rotated / 2;
  Value first, second;
  if (interleaved) {
    KILN_ASSIGN(Value pairs, node.reshape(turning, {d[0], d[1], d[2], half, 2}));
    KILN_ASSIGN(first, node.slice(pairs, 4, 0, 1));
    KILN_ASSIGN(second, node.slice(pairs, 4, 1, 2));
    KILN_ASSIGN(first, node.reshape(first, {d[0], d[1], d[2], half}));
    KILN_ASSIGN(second, node.reshape(second, {d[0], d[1], d[2], half}));
  } else {
    KILN_ASSIGN(first, node.slice(turning, 3, 0, half));
    KILN_ASSIGN(second, node.slice(turning, 3, half, rotated));
  }
  KILN_ASSIGN(Value cosFirst, node.emit("mul", {cosine, first}));
  KILN_ASSIGN(Value sinSecond, node.emit("mul", {sine, second}));
  KILN_ASSIGN(Value sinFirst, node.emit("mul", {sine, first}));
  KILN_ASSIGN(Value cosSecond, node.emit("mul", {cosine, second}));
  KILN_ASSIGN(Value real, node.emit("sub", {cosFirst, sinSecond}));
  KILN_ASSIGN(Value imaginary, node.emit("add", {sinFirst, cosSecond}));
  Value result;
  if (interleaved) {
    KILN_ASSIGN(real, node.reshape(real, {d[0], d[1], d[2], half, 1}));
    KILN_ASSIGN(imaginary, node.reshape(imaginary, {d[0], d[1], d[2], half, 1}));
    KILN_ASSIGN(result, node.emit("concat", {real, imaginary}, axisOf(4)));
    KILN_ASSIGN(result, node.reshape(result, {d[0], d[1], d[2], rotated}));
  } else {
    KILN_ASSIGN(result, node.emit("concat", {real, imaginary}, axisOf(3)));
  }
  if (rotated != width) {
    KILN_ASSIGN(Value rest, node.slice(x, 3, rotated, width));
    KILN_ASSIGN(result, node.emit("concat", {result, rest}, axisOf(3)));
  }
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
