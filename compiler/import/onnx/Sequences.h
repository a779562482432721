// Sequences and optionals as values, and what operators make of them; they are gone after import. One of known length
// is a list of values, and costs nothing later: exporters write them where a framework splits and joins. One whose
// length only a run tells (parts of an unknown size, what a loop appends, an input) is a tensor that has its items
// along the first dim, and they must have equal dims. An optional that only a run knows is such a sequence of one item
// or none.
#pragma once

#include "compiler/import/onnx/ModelImport.h"

namespace kiln::onnx {

/// Loops of no more iterations are unrolled.
constexpr int64_t mostUnrolled = 1000;
/// A split into equal parts makes no longer list.
constexpr int64_t mostItems = 100'000;

// --- tensors that have items along a dim

/// Two neighbouring dims as one.
Result<Value> mergeDims(const NodeImport &view, Value x, size_t first);
/// Rows of stacked sequences, or parts of them, beside each other along an axis; their items must be alike.
Result<Value> joinAlike(const NodeImport &view, const std::vector<Value> &parts, int64_t axis);
/// A sequence as one tensor; `refusal` of one whose items differ in their dims.
Result<Value> stackAlike(const NodeImport &view, const NonTensor &sequence, std::string_view refusal);

// --- operators

/// Whether a tensor has the type of the items that are there.
Status checkItem(const NodeImport &view, const NonTensor &sequence, Value item);
/// The position that an operand gives, from 0 on; `ends` is how many there are.
Result<size_t> position(const NodeImport &view, Value operand, int64_t ends);
/// What needs the items one by one.
Status requireList(const NonTensor &sequence);
/// `sizes`: absent for parts of size 1, a scalar for equal parts (the last one may be smaller), or one size a part.
Result<NonTensor> splitToSequence(const NodeImport &view, Value x, Value sizes);
Result<Value> concatFromSequence(const NodeImport &view, const NonTensor &sequence);
/// The item at a position that only a run tells.
Result<Value> itemAt(const NodeImport &view, const NonTensor &sequence, Value at);
/// With one more item at its end.
Result<NonTensor> appended(const NodeImport &view, NonTensor sequence, Value item);
/// The value of an optional that must have one; a sequence is stacked.
Result<Value> valueOf(const NodeImport &view, const NonTensor &optional);

} // namespace kiln::onnx
