// What converters of several files emit.
#pragma once

#include "compiler/import/onnx/NodeImport.h"

namespace kiln::onnx {

/// The attribute `axis` alone.
Attributes axisOf(int64_t axis);

/// numpy's matmul: a vector on either side is a row or a column whose dim vanishes again.
Result<Value> emitMatMul(NodeImport &node, Value a, Value b);

/// alpha * A' * B' + beta * C, of the node's operands and with its attributes (Gemm's).
Result<Value> emitGemm(NodeImport &node);

/// A convolution with the node's attributes (Conv's); `bias` may be null.
Result<Value> emitConv(NodeImport &node, Value x, Value w, Value bias);

/// An average pool with the node's attributes (AveragePool's).
Result<Value> emitAveragePool(NodeImport &node, Value x);

/// [B, S, heads * D] to [B, heads, S, D].
Result<Value> splitHeads(NodeImport &node, Value x, int64_t heads);

/// The axis that the node says, or 0 of all elements in row-major order, which `x` becomes.
Result<int64_t> axisOrAll(NodeImport &node, Value &x);

/// Parts of x along an axis. An error where the sizes surely do not sum up to that of x, a check when sizes are bound
/// where they may not.
Result<std::vector<Value>> splitInto(const NodeImport &node, Value x, int64_t axis, const Ints &sizes);
/// The same of `count` sizes that only a run tells: functions of the sizes of inputs, or data.
Result<std::vector<Value>> splitInto(const NodeImport &node, Value x, int64_t axis, Value sizes, size_t count);

/// The number of axes that an operand lists: E0208 unless it is known.
Result<int64_t> axisCount(NodeImport &node, Value axes);

// Arithmetic on sizes, which is followed symbolically.
/// 0, 1, ... below `size` (an i64 scalar), with `after` dims of 1 behind.
Result<Value> positions(NodeImport &node, Value size, size_t after = 0);
/// One element of a vector of integers, as an i64 scalar.
Result<Value> elementOf(NodeImport &node, Value vector, int64_t index);
/// A vector of scalars.
Result<Value> vectorOf(NodeImport &node, const std::vector<Value> &scalars);

/// `cache` with `update`, of equal dims but for `axis`, written along that axis from starts[b] on for element b of the
/// batch, dim 0 (starts: i64, may be null: from 0). Circular: what reaches behind the end goes on at the front.
Result<Value> writeAt(NodeImport &node, Value cache, Value update, Value starts, int64_t axis, bool circular);

/// x * sigmoid(alpha * x)
Result<Value> emitSwish(NodeImport &node, Value x, double alpha);

} // namespace kiln::onnx
