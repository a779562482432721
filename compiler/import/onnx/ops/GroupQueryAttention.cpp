// Attention of language models as ONNX Runtime's exporters write it (domain com.microsoft): heads that share k and v, a
// cache of which each element of the batch has filled a part, rotation.
#include "compiler/import/onnx/OpTable.h"
#include "compiler/import/onnx/ops/AttentionSteps.h"

namespace kiln::onnx {
namespace {

struct GroupQueryAttention {
  NodeImport &node;
  AttentionSteps steps{node};
  Value filled = {}; // [B], i64: positions of the cache that count before this run
  Value total = {};  // scalar, i64: the length of the longest sequence, with what is new
  int64_t heads = 0, kvHeads = 0;

  /// q, k and v as [B, heads, S, D].
  Status takeOperands() {
    Value q = node.operand(0), k = node.operand(1), v = node.operand(2);
    if (node.rank(q) != 3 || (k && node.rank(k) != 3) || (v && node.rank(v) != 3) || !k != !v)
      return makeError(ErrorCode::E0304, "expected q, k and v of rank 3, or one operand that holds all");
    if (!k) {
      SizeExpr width = node.dims(q)[2];
      if (!width.isConstant())
        return makeError(ErrorCode::E0208, "the width of the operand must be known when compiling");
      int64_t size = width.constant() / (heads + 2 * kvHeads);
      KILN_ASSIGN(std::vector<Value> parts, splitInto(node, q, 2, {heads * size, kvHeads * size, kvHeads * size}));
      q = parts[0], k = parts[1], v = parts[2];
    }
    KILN_ASSIGN(steps.q, splitHeads(node, q, heads));
    KILN_ASSIGN(steps.k, splitHeads(node, k, kvHeads));
    KILN_ASSIGN(steps.v, splitHeads(node, v, kvHeads));
    return Status();
  }

  /// What is filled: nothing where all positions are new, else the last position less those that are new.
  Status takeLengths() {
    Value last = node.operand(5);
    Dims batch{node.dims(steps.q)[0]};
    KILN_ASSIGN(last, node.cast(last, DType::I64));
    KILN_ASSIGN(last, node.reshape(last, batch));
    KILN_ASSIGN(total, node.cast(node.operand(6), DType::I64));
    KILN_ASSIGN(total, node.reshape(total, {}));
    KILN_ASSIGN(Value own, node.sizeOf(steps.q, 2));
    KILN_ASSIGN(Value length, node.emit("add", {last, node.scalar(1, DType::I64)}));
    KILN_ASSIGN(filled, node.emit("sub", {length, own}));
    KILN_ASSIGN(Value isFirst, node.emit("equal", {own, total}));
    KILN_ASSIGN(filled, node.emit("where", {isFirst, node.scalar(0, DType::I64), filled}));
    return Status();
  }

  /// Where the new positions are: [B, S], or [B, 1, S, 1] for `column`.
  Result<Value> newPositions(bool column) {
    KILN_ASSIGN(Value own, node.sizeOf(steps.q, 2));
    KILN_ASSIGN(Value places, positions(node, own, column ? 1 : 0));
    Dims first{node.dims(filled)[0], SizeExpr(1)};
    if (column)
      first.append({SizeExpr(1), SizeExpr(1)});
    KILN_ASSIGN(Value start, node.reshape(filled, first));
    return node.emit("add", {places, start});
  }

  Status rotate() {
    Value ids = node.operand(9);
    if (!ids) {
      KILN_ASSIGN(ids, newPositions(false));
    }
    Value caches[] = {node.operand(7), node.operand(8)};
    int64_t rotated = 0;
    for (Value &cache : caches) {
      if (!cache || node.rank(cache) != 2)
        return makeError(ErrorCode::E0304, "rotation wants caches of rank 2");
      if (SizeExpr half = node.dims(cache)[1]; half.isConstant())
        rotated = 2 * half.constant();
      KILN_ASSIGN(cache, rotation(node, cache, ids));
    }
    KILN_ASSIGN(int64_t interleaved, node.intAttribute("rotary_interleaved", 0));
    for (Value *x : {&steps.q, &steps.k}) {
      KILN_ASSIGN(*x, rotatePairs(node, *x, caches[0], caches[1], interleaved != 0, rotated));
    }
    return Status();
  }

  /// The cache, as long as it is or as what is in it needs, with the new positions written.
  Result<Value> grown(Value past, Value fresh) {
    KILN_ASSIGN(Value have, node.sizeOf(past, 2));
    KILN_ASSIGN(Value want, node.emit("max", {have, total}));
    KILN_ASSIGN(Value missing, node.emit("sub", {want, have}));
    KILN_ASSIGN(missing, node.reshape(missing, {1}));
    KILN_ASSIGN(Value pads, node.emit("concat", {node.intsConstant(Ints(6, 0)), missing, node.intsConstant(Ints(1, 0))},
                                      axisOf(0)));
    KILN_ASSIGN(Value room, node.emit("pad", {past, pads, node.scalar(0, node.dtype(past))}));
    return writeAt(node, room, fresh, filled, 2, false);
  }

  /// A position may look at those before it and at itself, of the last `window` (0: all).
  Status forbid(int64_t window) {
    KILN_ASSIGN(Value length, node.sizeOf(steps.k, 2));
    KILN_ASSIGN(Value columns, positions(node, length));
    KILN_ASSIGN(Value rows, newPositions(true));
    KILN_ASSIGN(Value allowed, node.emit("less_equal", {columns, rows}));
    KILN_TRY(steps.allow(allowed));
    if (window <= 0)
      return Status();
    KILN_ASSIGN(Value before, node.emit("sub", {rows, node.scalar(double(window), DType::I64)}));
    KILN_ASSIGN(allowed, node.emit("greater", {columns, before}));
    return steps.allow(allowed);
  }
};

Status groupQueryAttention(NodeImport &node) {
  KILN_TRY(node.expectOperands(1, 14));
  for (size_t i : {5, 6})
    if (!node.has(i))
      return makeError(ErrorCode::E0306, "input ", i, " is missing");
  for (size_t i = 11; i < node.operandCount(); ++i)
    if (node.has(i))
      return makeError(ErrorCode::E0203, "input ", i, " is not supported");
  for (const char *name : {"smooth_softmax", "qk_output", "kv_cache_bit_width"}) {
    KILN_ASSIGN(int64_t value, node.intAttribute(name, 0));
    if (value > 0)
      return makeError(ErrorCode::E0203, "attribute \"", name, "\" is not supported");
  }
  GroupQueryAttention a{node};
  KILN_ASSIGN(a.heads, headsOf(node, "num_heads"));
  KILN_ASSIGN(a.kvHeads, headsOf(node, "kv_num_heads"));
  KILN_TRY(a.takeOperands());
  KILN_TRY(a.takeLengths());
  KILN_ASSIGN(int64_t rotary, node.intAttribute("do_rotary", 0));
  if (rotary)
    KILN_TRY(a.rotate());
  AttentionSteps &steps = a.steps;
  if (node.has(3) && node.has(4)) {
    if (node.rank(node.operand(3)) != 4 || node.rank(node.operand(4)) != 4)
      return makeError(ErrorCode::E0304, "past_key and past_value must have rank 4");
    KILN_ASSIGN(steps.k, a.grown(node.operand(3), steps.k));
    KILN_ASSIGN(steps.v, a.grown(node.operand(4), steps.v));
  }
  node.setResult(1, steps.k);
  node.setResult(2, steps.v);
  if (a.heads != a.kvHeads) {
    KILN_ASSIGN(steps.k, repeatHeads(node, steps.k, a.heads));
    KILN_ASSIGN(steps.v, repeatHeads(node, steps.v, a.heads));
  }
  KILN_ASSIGN(int64_t window, node.intAttribute("local_window_size", -1));
  KILN_TRY(a.forbid(window));
  if (node.has(10)) {
    if (node.rank(node.operand(10)) != 4)
      return makeError(ErrorCode::E0304, "the attention bias must have rank 4");
    KILN_TRY(steps.addMaskOperand(node.operand(10)));
  }
  KILN_ASSIGN(double softcap, node.floatAttribute("softcap", 0));
  KILN_ASSIGN(double scale, attentionScale(node, steps.q, true));
  Value y;
  if (softcap > 0) {
    KILN_ASSIGN(y, steps.spellOut(scale, softcap, 0, node.dtype(steps.q)));
  } else {
    KILN_ASSIGN(y, steps.emit(scale));
  }
  return node.setResult(joinHeads(node, y));
}

constexpr OpEntry table[] = {{"GroupQueryAttention", 1, groupQueryAttention, "com.microsoft"}};

} // namespace

std::span<const OpEntry> groupQueryAttentionOps() { return table; }

} // namespace kiln::onnx
