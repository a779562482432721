#include "compiler/import/onnx/Sequences.h"

#include "compiler/import/onnx/ops/Shared.h"
#include "dialects/kiln/Build.h"

namespace kiln::onnx {

Status onlyAppends() {
  return makeError(ErrorCode::E0204,
                   "a loop may only append to a sequence that it carries, unless it is unrolled: its "
                   "trip count, at most ",
                   mostUnrolled, ", and its condition are known when compiling");
}

Result<Value> withUnitDim(const NodeImport &view, Value x, size_t axis) {
  Dims dims = view.dims(x);
  dims.insert(dims.begin() + axis, SizeExpr(1));
  return view.reshape(x, dims);
}

/// `parts` beside each other along an axis.
static Result<Value> join(const NodeImport &view, const std::vector<Value> &parts, int64_t axis) {
  if (parts.size() == 1)
    return parts[0];
  Attributes attributes;
  attributes.set("axis", axis);
  return view.emit("concat", parts, attributes);
}

Result<Value> joinAlike(const NodeImport &view, const std::vector<Value> &parts, int64_t axis) {
  Dims first = view.dims(parts[0]);
  for (Value part : parts) {
    Dims dims = view.dims(part);
    bool fits = dims.size() == first.size();
    for (size_t d = 0; fits && d < dims.size(); ++d)
      fits = int64_t(d) == axis || !first[d].isConstant() || !dims[d].isConstant() || first[d] == dims[d];
    if (!fits)
      return makeError(ErrorCode::E0204,
                       "tensors of different dims in a sequence whose length only a run tells are not "
                       "supported");
  }
  return join(view, parts, axis);
}

Result<Value> stack(const NodeImport &view, const std::vector<Value> &items) {
  std::vector<Value> rows;
  for (Value item : items) {
    KILN_ASSIGN(rows.emplace_back(), withUnitDim(view, item, 0));
  }
  return joinAlike(view, rows, 0);
}

Status checkItem(const NodeImport &view, const NonTensor &sequence, Value item) {
  if (!sequence.items.empty() && view.dtype(sequence.items[0]) != view.dtype(item))
    return makeError(ErrorCode::E0305, "the tensors of a sequence must be of one type, not ",
                     dtypeName(view.dtype(sequence.items[0])), " and ", dtypeName(view.dtype(item)));
  return Status();
}

Result<size_t> position(const NodeImport &view, Value operand, int64_t ends) {
  std::optional<Ints> known = view.knownInts(operand);
  if (!known || known->size() != 1)
    return makeError(ErrorCode::E0208, "the position in a sequence must be known when compiling");
  int64_t at = (*known)[0] + ((*known)[0] < 0 ? ends : 0);
  if (at < 0 || at >= ends)
    return makeError(ErrorCode::E0412, "position ", (*known)[0], " is not in the sequence");
  return size_t(at);
}

Status requireList(const NonTensor &sequence) {
  if (sequence.carried)
    return onlyAppends();
  return sequence.stacked ? makeError(ErrorCode::E0208, "the length of the sequence must be known when compiling")
                          : Status();
}

Result<Value> mergeDims(const NodeImport &view, Value x, size_t first) {
  Dims dims = view.dims(x);
  dims[first] = dims[first] * dims[first + 1];
  dims.erase(dims.begin() + first + 1);
  return view.reshape(x, dims);
}

/// Parts of size 1 of an unknown number.
static Result<NonTensor> splitToRows(const NodeImport &view, Value x, int64_t axis, bool keepDims) {
  Ints perm{axis};
  for (int64_t i = 0; i < view.rank(x); ++i)
    if (i != axis)
      perm.push_back(i);
  NonTensor result;
  KILN_ASSIGN(result.stacked, view.transpose(x, perm));
  if (keepDims) {
    KILN_ASSIGN(result.stacked, withUnitDim(view, result.stacked, size_t(axis) + 1));
  }
  return result;
}

/// x without a dim of size 1.
static Result<Value> withoutUnitDim(const NodeImport &view, Value x, int64_t axis) {
  Dims dims = view.dims(x);
  dims.erase(dims.begin() + axis);
  return view.reshape(x, dims);
}

Result<NonTensor> splitToSequence(const NodeImport &view, Value x, Value sizes) {
  KILN_ASSIGN(int64_t axis, view.axisAttribute("axis", 0, x));
  KILN_ASSIGN(int64_t keepDims, view.intAttribute("keepdims", 1));
  SizeExpr size = view.dims(x)[size_t(axis)];
  std::optional<Ints> known = sizes ? view.knownInts(sizes) : Ints{1};
  NonTensor result;
  if (sizes && view.rank(sizes) != 0) {
    if (known) {
      KILN_ASSIGN(result.items, splitInto(view, x, axis, *known));
      return result;
    }
    SizeExpr count = view.dims(sizes)[0];
    if (!count.isConstant())
      return makeError(ErrorCode::E0208, "the number of parts must be known when compiling");
    KILN_ASSIGN(result.items, splitInto(view, x, axis, sizes, size_t(count.constant())));
    return result;
  }
  if (!known)
    return makeError(ErrorCode::E0208, "the size of the parts must be known when compiling");
  int64_t part = (*known)[0];
  if (part < 1)
    return makeError(ErrorCode::E0411, "split is ", part);
  bool isShort = size.isConstant() && size.constant() / part < mostItems;
  if (!isShort && part == 1)
    return splitToRows(view, x, axis, sizes || keepDims);
  if (!size.isConstant())
    return makeError(ErrorCode::E0208, "the size of what is split must be known when compiling");
  if (!isShort)
    return makeError(ErrorCode::E0205, "a split into ", size.constant() / part, " parts; at most ", mostItems,
                     " are supported");
  Ints parts(size_t(size.constant() / part), part);
  if (size.constant() % part)
    parts.push_back(size.constant() % part);
  KILN_ASSIGN(result.items, splitInto(view, x, axis, parts));
  if (!sizes && !keepDims)
    for (Value &item : result.items) {
      KILN_ASSIGN(item, withoutUnitDim(view, item, axis));
    }
  return result;
}

static Result<Value> joinStacked(const NodeImport &view, Value stacked, int64_t axis, bool isNew) {
  KILN_TRY(view.requireNotNegative(view.dims(stacked)[0] - SizeExpr(1))); // an empty sequence has no type to join in
  int64_t rank = view.rank(stacked);
  KILN_ASSIGN(axis, view.normalizeAxis(axis, isNew ? rank : rank - 1));
  KILN_ASSIGN(Value joined, firstDimTo(view, stacked, axis));
  return isNew ? Result<Value>(joined) : mergeDims(view, joined, size_t(axis));
}

Result<Value> concatFromSequence(const NodeImport &view, const NonTensor &sequence) {
  KILN_TRY(view.requireAttribute("axis"));
  KILN_ASSIGN(int64_t axis, view.intAttribute("axis", 0));
  KILN_ASSIGN(int64_t isNew, view.intAttribute("new_axis", 0));
  if (sequence.stacked)
    return joinStacked(view, sequence.stacked, axis, isNew != 0);
  if (sequence.items.empty())
    return makeError(ErrorCode::E0306, "joins an empty sequence");
  std::vector<Value> parts = sequence.items;
  KILN_ASSIGN(axis, view.normalizeAxis(axis, view.rank(parts[0]) + (isNew ? 1 : 0)));
  if (isNew)
    for (Value &part : parts) {
      KILN_ASSIGN(part, withUnitDim(view, part, size_t(axis)));
    }
  return join(view, parts, axis);
}

Result<Value> stackAlike(const NodeImport &view, const NonTensor &sequence, std::string_view refusal) {
  if (sequence.stacked)
    return sequence.stacked;
  auto alike = [&](Value item) { return view.dims(item) == view.dims(sequence.items[0]); };
  if (sequence.items.empty() || !llvm::all_of(sequence.items, alike))
    return makeError(ErrorCode::E0208, refusal);
  return stack(view, sequence.items);
}

Result<Value> itemAt(const NodeImport &view, const NonTensor &sequence, Value at) {
  KILN_ASSIGN(
      Value stacked,
      stackAlike(view, sequence, "the position in a sequence of different tensors must be known when compiling"));
  KILN_ASSIGN(at, view.reshape(at, {}));
  Attributes attributes;
  attributes.set("axis", int64_t(0));
  return view.emit("gather", {stacked, at}, attributes);
}

Result<Value> valueOf(const NodeImport &view, const NonTensor &optional) {
  KILN_TRY(view.requireEqual(view.dims(optional.stacked)[0], SizeExpr(1)));
  return withoutUnitDim(view, optional.stacked, 0);
}

Result<NonTensor> appended(const NodeImport &view, NonTensor sequence, Value item) {
  if (!sequence.stacked) {
    sequence.items.push_back(item);
    return sequence;
  }
  KILN_ASSIGN(Value row, withUnitDim(view, item, 0));
  KILN_ASSIGN(sequence.stacked, joinAlike(view, {sequence.stacked, row}, 0));
  return sequence;
}

} // namespace kiln::onnx
