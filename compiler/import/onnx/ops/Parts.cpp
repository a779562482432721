// Operators that take parts of a tensor: slices, splits, and what indices select.
#include "compiler/import/onnx/OpTable.h"
#include "compiler/import/onnx/ops/Shared.h"
#include "runtime/base/Tensor.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace kiln::onnx {
namespace {

/// Bounds are attributes up to opset 9, then operands; static where all of them are known.
Status slice(NodeImport &node) {
  Value x = node.operand(0);
  bool spelled = node.hasAttribute("starts");
  KILN_TRY(node.expectOperands(spelled ? 1 : 3, 5));
  Attributes attributes;
  Ints all(size_t(node.rank(x)));
  std::iota(all.begin(), all.end(), 0);
  std::optional<Ints> starts, ends, axes, steps;
  Value axesOperand; // where only a run tells
  if (spelled) {
    KILN_TRY(node.requireAttribute("ends"));
    KILN_ASSIGN(starts, node.intsAttribute("starts"));
    KILN_ASSIGN(ends, node.intsAttribute("ends"));
    if (node.hasAttribute("axes")) {
      KILN_ASSIGN(axes, node.intsAttribute("axes"));
    }
  } else {
    starts = node.knownInts(node.operand(1));
    ends = node.knownInts(node.operand(2));
    if (node.has(3)) {
      axes = node.knownInts(node.operand(3));
      if (!axes)
        axesOperand = node.operand(3);
    }
    if (node.has(4))
      steps = node.knownInts(node.operand(4));
  }
  size_t count = axes ? axes->size() : starts ? starts->size() : ends ? ends->size() : 0;
  if (axes) {
    for (int64_t &axis : *axes) {
      KILN_ASSIGN(axis, node.normalizeAxis(axis, node.rank(x)));
    }
  }
  if (starts && ends && !axesOperand && (!node.has(4) || steps)) {
    if (!axes) {
      count = starts->size();
      if (count > all.size())
        return makeError(ErrorCode::E0404, "starts has ", count, " entries for an operand of rank ", all.size());
      axes = Ints(all.begin(), all.begin() + count);
    }
    if (!steps)
      steps = Ints(count, 1);
    if (starts->size() != count || ends->size() != count || steps->size() != count)
      return makeError(ErrorCode::E0404, "starts, ends, axes and steps have ", starts->size(), ", ", ends->size(), ", ",
                       count, " and ", steps->size(), " entries; they must be as many");
    for (int64_t step : *steps)
      if (step == 0)
        return makeError(ErrorCode::E0311, "a step is 0");
    attributes.set("starts", *starts);
    attributes.set("ends", *ends);
    attributes.set("axes", *axes);
    attributes.set("steps", *steps);
    return node.setResult(node.emit("slice", {x}, attributes));
  }
  std::vector<Value> operands{x, node.operand(1), node.operand(2)};
  if (axesOperand) {
    operands.push_back(axesOperand);
  } else if (axes || node.has(4)) {
    if (!axes) {
      Dims lengths = node.dims(node.operand(1));
      if (lengths.size() != 1 || !lengths[0].isConstant() || uint64_t(lengths[0].constant()) > all.size())
        return makeError(ErrorCode::E0208, "the number of sliced dims must be known when compiling");
      axes = Ints(all.begin(), all.begin() + lengths[0].constant());
    }
    operands.push_back(node.intsConstant(*axes));
  }
  if (node.has(4))
    operands.push_back(node.operand(4));
  return node.setResult(node.emit("slice", operands, attributes));
}

/// x from `start` to `end`, one-element vectors.
Result<Value> sliceBetween(const NodeImport &node, Value x, int64_t axis, Value start, Value end) {
  return node.emit("slice", {x, start, end, node.intsConstant({axis})});
}

/// A slice does not mind what it is asked for: where only data tells `size`, a reshape refuses a part of another one.
Result<Value> checkedPart(const NodeImport &node, Value part, int64_t axis, Value size) {
  KILN_ASSIGN(Value isNegative, node.emit("less", {size, node.intsConstant({0})}));
  Value none = node.intsConstant({std::numeric_limits<int64_t>::max()}); // in a shape -1 has a meaning
  KILN_ASSIGN(Value asked, node.emit("where", {isNegative, none, size}));
  KILN_ASSIGN(Value dims, node.emit("shape", {part}));
  KILN_ASSIGN(Value before, node.slice(dims, 0, 0, axis));
  KILN_ASSIGN(Value after, node.slice(dims, 0, axis + 1, node.rank(part)));
  Attributes literal;
  literal.set("allow_zero", true);
  KILN_ASSIGN(Value shape, node.emit("concat", {before, asked, after}, axisOf(0)));
  return node.emit("reshape", {part, shape}, literal);
}

/// Equal parts of a size that only run time knows; the last one is smaller from opset 18 on, must
/// not be before.
Result<std::vector<Value>> splitEqually(const NodeImport &node, Value x, int64_t axis, int64_t parts) {
  SizeExpr size = node.dims(x)[size_t(axis)];
  if (node.opset() < 18)
    KILN_TRY(node.requireEqual(SizeExpr::floorDiv(size, parts) * parts, size));
  KILN_ASSIGN(Value whole, node.sizeOf(x, axis));
  KILN_ASSIGN(whole, node.reshape(whole, {1}));
  KILN_ASSIGN(Value rounded, node.emit("add", {whole, node.intsConstant({parts - 1})}));
  KILN_ASSIGN(Value chunk, node.emit("div", {rounded, node.intsConstant({parts})}));
  std::vector<Value> results;
  for (int64_t i = 0; i < parts; ++i) {
    KILN_ASSIGN(Value start, node.emit("mul", {chunk, node.intsConstant({i})}));
    KILN_ASSIGN(Value end, node.emit("mul", {chunk, node.intsConstant({i + 1})}));
    KILN_ASSIGN(results.emplace_back(), sliceBetween(node, x, axis, start, end));
  }
  return results;
}

/// Sizes are an attribute up to opset 12, then an operand; without them equal parts, the last one
/// smaller (opset 18).
Status split(NodeImport &node) {
  KILN_TRY(node.expectOperands(1, 2));
  Value x = node.operand(0);
  KILN_ASSIGN(int64_t axis, node.axisAttribute("axis", 0, x));
  SizeExpr size = node.dims(x)[size_t(axis)];
  size_t parts = node.resultCount();
  KILN_ASSIGN(int64_t wanted, node.intAttribute("num_outputs", int64_t(parts)));
  if (wanted != int64_t(parts))
    return makeError(ErrorCode::E0306, "num_outputs is ", wanted, ", but the node has ", parts, " outputs");
  std::vector<Value> results;
  Ints sizes;
  if (node.hasAttribute("split")) {
    KILN_ASSIGN(sizes, node.intsAttribute("split"));
  } else if (node.has(1)) {
    std::optional<Ints> known = node.knownInts(node.operand(1));
    if (!known) {
      KILN_ASSIGN(results, splitInto(node, x, axis, node.operand(1), parts));
      node.setResults(results);
      return Status();
    }
    sizes = *known;
  } else {
    if (parts == 0)
      return Status();
    if (!size.isConstant()) {
      KILN_ASSIGN(results, splitEqually(node, x, axis, int64_t(parts)));
      node.setResults(results);
      return Status();
    }
    int64_t chunk = size.constant() / int64_t(parts) + (size.constant() % int64_t(parts) != 0);
    if (node.opset() < 18 && chunk * int64_t(parts) != size.constant())
      return makeError(ErrorCode::E0304, "dim ", axis, " is ", size.print(), ", which does not split into ", parts,
                       " equal parts");
    for (size_t i = 0; i < parts; ++i)
      sizes.push_back(std::clamp<int64_t>(size.constant() - int64_t(i) * chunk, 0, chunk));
  }
  if (sizes.size() != parts)
    return makeError(ErrorCode::E0306, "split has ", sizes.size(), " entries, but the node has ", parts, " outputs");
  KILN_ASSIGN(results, splitInto(node, x, axis, sizes));
  node.setResults(results);
  return Status();
}

Status gather(NodeImport &node, std::string_view mnemonic) {
  KILN_TRY(node.expectOperands(2, 2));
  KILN_ASSIGN(int64_t axis, node.axisAttribute("axis", 0, node.operand(0)));
  Attributes attributes;
  attributes.set("axis", axis);
  return node.setResult(node.emit(mnemonic, {node.operand(0), node.operand(1)}, attributes));
}
Status gatherSlices(NodeImport &node) { return gather(node, "gather"); }
Status gatherElements(NodeImport &node) { return gather(node, "gather_elements"); }

/// The last dim of the indices says how many dims of x they select; the declared rank may tell
/// where it is unknown.
Status gatherNd(NodeImport &node) {
  KILN_TRY(node.expectOperands(2, 2));
  Value x = node.operand(0), indices = node.operand(1);
  KILN_ASSIGN(int64_t batch, node.intAttribute("batch_dims", 0));
  Dims dims = node.dims(indices);
  std::optional<int64_t> rank = node.declaredRank(0);
  if (!dims.empty() && !dims.back().isConstant() && rank) {
    int64_t selected = node.rank(indices) - 1 + node.rank(x) - batch - *rank;
    if (selected < 1 || selected > node.rank(x))
      return makeError(ErrorCode::E0310, "the declared rank ", *rank, " does not follow from the operands");
    KILN_TRY(node.requireEqual(dims.back(), selected));
    dims.back() = selected;
    KILN_ASSIGN(indices, node.reshape(indices, dims));
  }
  Attributes attributes;
  attributes.set("batch_dims", batch);
  return node.setResult(node.emit("gather_nd", {x, indices}, attributes));
}

constexpr OpEntry table[] = {
    {"Slice", 1, slice},        {"DynamicSlice", 1, slice}, // experimental; became Slice 10
    {"Split", 1, split},        {"Gather", 1, gatherSlices}, {"GatherElements", 11, gatherElements},
    {"GatherND", 11, gatherNd},
};

} // namespace

Result<std::vector<Value>> splitInto(const NodeImport &node, Value x, int64_t axis, const Ints &sizes) {
  int64_t total = 0;
  for (int64_t size : sizes) {
    if (size < 0 || !checkedAdd(total, size))
      return makeError(ErrorCode::E0311, "split holds ", size);
    total += size;
  }
  KILN_TRY(node.requireEqual(total, node.dims(x)[size_t(axis)]).withContext("split: "));
  std::vector<Value> parts;
  int64_t start = 0;
  for (int64_t size : sizes) {
    KILN_ASSIGN(parts.emplace_back(), node.slice(x, axis, start, start + size));
    start += size;
  }
  return parts;
}

Result<std::vector<Value>> splitInto(const NodeImport &node, Value x, int64_t axis, Value sizes, size_t count) {
  KILN_ASSIGN(sizes, node.withLength(sizes, int64_t(count)));
  std::optional<std::vector<SizeExpr>> known = node.knownSizes(sizes);
  if (known) {
    SizeExpr total(0);
    for (const SizeExpr &size : *known) {
      KILN_TRY(node.requireNotNegative(size).withContext("split: "));
      total = total + size;
    }
    KILN_TRY(node.requireEqual(total, node.dims(x)[size_t(axis)]).withContext("split: "));
  }
  std::vector<Value> parts;
  Value start = node.intsConstant({0});
  for (size_t i = 0; i < count; ++i) {
    KILN_ASSIGN(Value size, node.slice(sizes, 0, int64_t(i), int64_t(i) + 1));
    KILN_ASSIGN(Value end, node.emit("add", {start, size}));
    // Where only data tells: the last part is what is left, so it is of its size only if all sizes sum up to that of x.
    bool isRest = !known && i + 1 == count;
    Value last = node.intsConstant({std::numeric_limits<int64_t>::max()});
    KILN_ASSIGN(Value part, sliceBetween(node, x, axis, start, isRest ? last : end));
    if (!known) {
      KILN_ASSIGN(part, checkedPart(node, part, axis, size));
    }
    parts.push_back(part);
    start = end;
  }
  return parts;
}

std::span<const OpEntry> partOps() { return table; }

} // namespace kiln::onnx
