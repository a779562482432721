#include "compiler/import/onnx/ops/AttentionSteps.h"

#include <cmath>
#include <limits>

namespace kiln::onnx {

Result<Value> repeatHeads(NodeImport &node, Value x, const SizeExpr &heads) {
  Dims d = node.dims(x);
  SizeExpr times = SizeExpr::floorDiv(heads, d[1]);
  KILN_TRY(node.requireEqual(d[1] * times, heads).withContext("heads of Q that share those of K and V: "));
  KILN_ASSIGN(Value apart, node.reshape(x, {d[0], d[1], 1, d[2], d[3]}));
  KILN_ASSIGN(Value repeated, node.expand(apart, {d[0], d[1], times, d[2], d[3]}));
  return node.reshape(repeated, {d[0], heads, d[2], d[3]});
}

Result<Value> joinHeads(NodeImport &node, Value x) {
  KILN_ASSIGN(Value y, node.transpose(x, {0, 2, 1, 3}));
  Dims d = node.dims(y);
  return node.reshape(y, {d[0], d[1], d[2] * d[3]});
}

Result<Value> rotation(NodeImport &node, Value cache, Value ids) {
  if (ids) {
    KILN_ASSIGN(cache, node.emit("gather", {cache, ids}, axisOf(0)));
  }
  Dims d = node.dims(cache);
  if (d.size() != 3)
    return makeError(ErrorCode::E0304, "the caches must have rank ", ids ? 2 : 3);
  return node.reshape(cache, {d[0], 1, d[1], d[2]});
}

Result<Value> rotatePairs(NodeImport &node, Value x, Value cosine, Value sine, bool interleaved, int64_t rotated) {
  Dims d = node.dims(x); // [B, heads, S, D]
  if (!d[3].isConstant())
    return makeError(ErrorCode::E0208, "the head size must be known when compiling");
  int64_t width = d[3].constant();
  if (rotated == 0)
    rotated = width;
  if (rotated < 0 || rotated > width || rotated % 2 != 0)
    return makeError(ErrorCode::E0411, "rotary_embedding_dim is ", rotated, " for a head size of ", width);
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
  return result;
}

/// 0 .. size of that dim of x, in i64, as a vector or as a column.
static Result<Value> positionsAlong(NodeImport &node, Value x, int64_t axis, bool column) {
  KILN_ASSIGN(Value size, node.sizeOf(x, axis));
  return positions(node, size, column ? 1 : 0);
}

Status AttentionSteps::append(Value pastKey, Value pastValue) {
  if (node.rank(pastKey) != 4 || node.rank(pastValue) != 4)
    return makeError(ErrorCode::E0304, "past_key and past_value must have rank 4");
  KILN_ASSIGN(pastLength, node.sizeOf(pastKey, 2));
  KILN_ASSIGN(k, node.emit("concat", {pastKey, k}, axisOf(2)));
  KILN_ASSIGN(v, node.emit("concat", {pastValue, v}, axisOf(2)));
  return Status();
}

Status AttentionSteps::allow(Value allowed) {
  DType dtype = node.dtype(q);
  Value nothing = node.scalar(0, dtype), never = node.scalar(forbidding, dtype);
  KILN_ASSIGN(Value bias, node.emit("where", {allowed, nothing, never}));
  return addBias(bias);
}
Status AttentionSteps::addBias(Value bias) {
  if (mask) {
    KILN_ASSIGN(bias, node.emit("add", {mask, bias}));
  }
  mask = bias;
  return Status();
}

/// A mask that is shorter than k forbids what it does not reach.
Result<Value> AttentionSteps::padMask(Value given, const SizeExpr &have, const SizeExpr &want, bool isBool) {
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

Status AttentionSteps::addMaskOperand(Value given) {
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
Status AttentionSteps::addCausal(Value lengths) {
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
Status AttentionSteps::addLengths(Value lengths) {
  KILN_ASSIGN(Value columns, positionsAlong(node, k, 2, false));
  KILN_ASSIGN(Value allowed, node.emit("less", {columns, lengths}));
  return allow(allowed);
}

Status AttentionSteps::addStarts(Value starts) {
  KILN_ASSIGN(Value columns, positionsAlong(node, k, 2, false));
  KILN_ASSIGN(Value allowed, node.emit("greater_equal", {columns, starts}));
  return allow(allowed);
}

/// A row that may look at nothing gives 0, not NaN.
Result<Value> AttentionSteps::withoutNan(Value x) {
  if (!mayForbidAll)
    return x;
  KILN_ASSIGN(Value nan, node.emit("isnan", {x}));
  return node.emit("where", {nan, node.scalar(0, node.dtype(x)), x});
}

/// The steps one by one, for what the composite op cannot say: softcap, and the scores as a
/// result.
Result<Value> AttentionSteps::spellOut(double scale, double softcap, int64_t mode, DType precision) {
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

Result<Value> AttentionSteps::emit(double scale) {
  Attributes attributes;
  attributes.set("scale", scale);
  KILN_ASSIGN(Value y, node.emit("attention", {q, k, v, mask}, attributes));
  return withoutNan(y);
}

Result<int64_t> headsOf(NodeImport &node, const char *name) {
  KILN_TRY(node.requireAttribute(name));
  KILN_ASSIGN(int64_t heads, node.intAttribute(name, 1));
  if (heads < 1)
    return makeError(ErrorCode::E0411, name, " is ", heads, "; expected at least 1");
  return heads;
}

Result<double> attentionScale(NodeImport &node, Value &q, bool zeroIsNone) {
  KILN_ASSIGN(double given, node.floatAttribute("scale", 0));
  if (node.hasAttribute("scale") && !(zeroIsNone && given == 0))
    return given;
  if (SizeExpr width = node.dims(q)[3]; width.isConstant())
    return 1 / std::sqrt(double(width.constant()));
  KILN_ASSIGN(Value size, node.sizeOf(q, 3));
  KILN_ASSIGN(size, node.cast(size, node.dtype(q)));
  KILN_ASSIGN(Value root, node.emit("sqrt", {size}));
  KILN_ASSIGN(q, node.emit("div", {q, root}));
  return 1.0;
}

} // namespace kiln::onnx
