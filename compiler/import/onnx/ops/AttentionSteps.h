// The steps of attention, which operators of several domains combine in ways of their own.
#pragma once

#include "compiler/import/onnx/ops/Shared.h"

#include <limits>

namespace kiln::onnx {

/// Each head of k or v, [B, heads, S, D], serves as many heads of q: `heads` in all.
Result<Value> repeatHeads(NodeImport &node, Value x, const SizeExpr &heads);

/// [B, heads, S, D] to [B, S, heads * D].
Result<Value> joinHeads(NodeImport &node, Value x);

/// Rows of a cache of sines or cosines at the positions in `ids`, as [B, 1, S, D / 2]; without ids the cache itself,
/// which has one row per position.
Result<Value> rotation(NodeImport &node, Value cache, Value ids);

/// Pairs of elements of x, [B, heads, S, D], neighbours (`interleaved`) or half of the first `rotated` elements apart,
/// turned by the angle of their position. Cosine and sine: [1 or B, 1, S, rotated / 2]. E0208 unless D is known, E0411
/// unless `rotated` (0: D) fits it.
Result<Value> rotatePairs(NodeImport &node, Value x, Value cosine, Value sine, bool interleaved, int64_t rotated);

struct AttentionSteps {
  NodeImport &node;
  Value q = {}, k = {}, v = {}; // [B, heads, length, D]
  Value mask = {};              // what is added to the scores
  Value pastLength = {};        // i64 scalar
  bool mayForbidAll = false;
  double forbidding = -std::numeric_limits<double>::infinity(); // what is added where a position may not be looked at

  /// Puts a cache of other positions before k and v; E0304 unless it has rank 4.
  Status append(Value pastKey, Value pastValue);

  /// Adds to the mask: 0 where `allowed`, `forbidding` elsewhere.
  Status allow(Value allowed);
  Status addBias(Value bias);
  /// A mask of rank 2 to 4 that broadcasts to the scores: of booleans, or what is added. Where it is shorter than k it
  /// forbids the rest.
  Status addMaskOperand(Value given);
  /// Position i may look at positions up to past + i. Where k and v are a cache of which `lengths` say how much is
  /// valid, the queries are the last of the valid positions.
  Status addCausal(Value lengths);
  /// Only the first `lengths[b]` positions of k and v count; lengths: i64, [B, 1, 1, 1].
  Status addLengths(Value lengths);
  /// Only positions from `starts[b]` on count.
  Status addStarts(Value starts);

  /// softmax(q * k^T * scale + mask) * v, [B, heads, S, D of v].
  Result<Value> emit(double scale);
  /// The same step by step, for what the composite op cannot say: softcap, and the scores as result 3 (of `mode`, as
  /// qk_matmul_output_mode counts).
  Result<Value> spellOut(double scale, double softcap, int64_t mode, DType precision);

private:
  Result<Value> padMask(Value given, const SizeExpr &have, const SizeExpr &want, bool isBool);
  Result<Value> withoutNan(Value x);
};

/// A number of heads that the node has to tell: E0401, E0411.
Result<int64_t> headsOf(NodeImport &node, const char *name);

/// The node's scale, or 1 / sqrt(D) where it has none; q is divided by sqrt(D) where only a run tells D. `zeroIsNone`:
/// so ONNX Runtime's own operators say it.
Result<double> attentionScale(NodeImport &node, Value &q, bool zeroIsNone = false);

} // namespace kiln::onnx
