// Operators that move, select, repeat or regroup elements, and those that compute shapes.
#include "compiler/import/onnx/OpTable.h"
#include "compiler/import/onnx/ops/Shared.h"
#include "runtime/base/Tensor.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace kiln::onnx {
namespace {

constexpr int64_t kToTheEnd = std::numeric_limits<int64_t>::max();

SizeExpr productOf(const Dims &dims, size_t from, size_t to) {
  return SizeExpr::product(std::span<const SizeExpr>(dims.begin() + from, to - from));
}

Status identity(NodeImport &node) {
  KILN_TRY(node.expectOperands(1, 1));
  return node.setResult(node.operand(0));
}

/// The shape is an attribute up to opset 4, then an operand.
Status reshape(NodeImport &node) {
  KILN_TRY(node.expectOperands(1, 2));
  Value shape = node.operand(1);
  if (!shape) {
    KILN_TRY(node.requireAttribute("shape"));
    KILN_ASSIGN(Ints dims, node.intsAttribute("shape"));
    shape = node.intsConstant(dims);
  }
  if (std::optional<int64_t> rank = node.declaredRank(0)) {
    KILN_ASSIGN(shape, node.withLength(shape, *rank));
  }
  KILN_ASSIGN(int64_t allowZero, node.intAttribute("allowzero", 0));
  Attributes attributes;
  attributes.set("allow_zero", allowZero != 0);
  return node.setResult(node.emit("reshape", {node.operand(0), shape}, attributes));
}

/// Axes are an attribute up to opset 12, then an operand. Nothing where neither is given.
Result<std::optional<Ints>> axesOf(NodeImport &node) {
  if (node.hasAttribute("axes")) {
    KILN_ASSIGN(Ints axes, node.intsAttribute("axes"));
    return std::optional<Ints>(axes);
  }
  if (!node.has(1))
    return std::optional<Ints>();
  KILN_ASSIGN(Ints axes, node.constantInts(1, "axes"));
  return std::optional<Ints>(axes);
}

Status squeeze(NodeImport &node) {
  KILN_TRY(node.expectOperands(1, 2));
  Value x = node.operand(0);
  Dims dims = node.dims(x);
  KILN_ASSIGN(std::optional<Ints> given, axesOf(node));
  Ints axes;
  if (given) {
    KILN_ASSIGN(axes, node.normalizeAxes(*given, node.rank(x)));
  } else {
    for (size_t axis = 0; axis < dims.size(); ++axis) {
      if (!dims[axis].isConstant())
        return makeError(ErrorCode::E0208, "without axes, which dims are 1 must be known when compiling; dim ", axis,
                         " is not");
      if (dims[axis].isConstant(1))
        axes.push_back(int64_t(axis));
    }
  }
  Dims kept;
  for (size_t axis = 0; axis < dims.size(); ++axis) {
    if (!std::binary_search(axes.begin(), axes.end(), int64_t(axis)))
      kept.push_back(dims[axis]);
    else
      KILN_TRY(node.requireEqual(dims[axis], SizeExpr(1))
                   .withContext("only a dim of 1 can be squeezed; dim " + std::to_string(axis) + ": "));
  }
  return node.setResult(node.reshape(x, kept));
}

/// Axes that only a run tells: with a 1 at each, the dims of x are the shape.
Status unsqueezeAtRunTime(NodeImport &node) {
  Value x = node.operand(0), axes = node.operand(1);
  if (std::optional<int64_t> rank = node.declaredRank(0)) {
    KILN_ASSIGN(axes, node.withLength(axes, *rank - node.rank(x)));
  }
  KILN_ASSIGN(int64_t count, axisCount(node, axes));
  size_t rank = size_t(node.rank(x) + count);
  if (rank > 64)
    return makeError(ErrorCode::E0207, "the result has rank ", rank, "; ranks above 64 are not supported");
  KILN_ASSIGN(axes, node.cast(axes, DType::I64));
  KILN_ASSIGN(Value isNew, node.emit("scatter_elements", {node.intsConstant(Ints(rank, 0)), axes,
                                                          node.intsConstant(Ints(size_t(count), 1))}));
  // The i-th dim that is not new is dim i of x: how many of them come before it. An axis given twice leaves one too many.
  KILN_ASSIGN(Value isOld, node.emit("sub", {node.intsConstant(Ints(rank, 1)), isNew}));
  Attributes before;
  before.set("exclusive", true);
  KILN_ASSIGN(Value source, node.emit("cumsum", {isOld}, before));
  KILN_ASSIGN(Value dims, node.emit("shape", {x}));
  KILN_ASSIGN(Value padded, node.emit("concat", {dims, node.intsConstant({-1})}, axisOf(0)));
  KILN_ASSIGN(Value chosen, node.emit("gather", {padded, source}));
  KILN_ASSIGN(Value isOne, node.cast(isNew, DType::Bool));
  KILN_ASSIGN(Value shape, node.emit("where", {isOne, node.intsConstant(Ints(rank, 1)), chosen}));
  Attributes literal;
  literal.set("allow_zero", true);
  return node.setResult(node.emit("reshape", {x, shape}, literal));
}

Status unsqueeze(NodeImport &node) {
  KILN_TRY(node.expectOperands(1, 2));
  Value x = node.operand(0);
  if (node.has(1) && !node.hasAttribute("axes") && !node.knownInts(node.operand(1)))
    return unsqueezeAtRunTime(node);
  KILN_ASSIGN(std::optional<Ints> given, axesOf(node));
  if (!given)
    return node.requireAttribute("axes");
  Dims dims = node.dims(x), result;
  KILN_ASSIGN(Ints axes, node.normalizeAxes(*given, int64_t(dims.size() + given->size())));
  size_t next = 0;
  for (size_t axis = 0; axis < dims.size() + axes.size(); ++axis)
    result.push_back(std::binary_search(axes.begin(), axes.end(), int64_t(axis)) ? SizeExpr(1) : dims[next++]);
  return node.setResult(node.reshape(x, result));
}

/// Two dims: the product before `axis` (which may equal the rank) and the product from it on.
Status flatten(NodeImport &node) {
  KILN_TRY(node.expectOperands(1, 1));
  Value x = node.operand(0);
  Dims dims = node.dims(x);
  KILN_ASSIGN(int64_t axis, node.intAttribute("axis", 1));
  int64_t rank = node.rank(x);
  if (axis != rank) {
    KILN_ASSIGN(axis, node.normalizeAxis(axis, rank));
  }
  return node.setResult(
      node.reshape(x, {productOf(dims, 0, size_t(axis)), productOf(dims, size_t(axis), dims.size())}));
}

Status transpose(NodeImport &node) {
  KILN_TRY(node.expectOperands(1, 1));
  Value x = node.operand(0);
  Ints reversed(size_t(node.rank(x)));
  std::iota(reversed.rbegin(), reversed.rend(), 0);
  KILN_ASSIGN(Ints perm, node.intsAttribute("perm", reversed));
  Ints sorted = perm;
  std::sort(sorted.begin(), sorted.end());
  if (!std::equal(sorted.begin(), sorted.end(), reversed.rbegin(), reversed.rend()))
    return makeError(ErrorCode::E0411, "perm is no permutation of 0..", node.rank(x) - 1);
  return node.setResult(node.transpose(x, perm));
}

Status concat(NodeImport &node) {
  KILN_ASSIGN(std::vector<Value> values, node.allOperands());
  if (node.opset() >= 4)
    KILN_TRY(node.requireAttribute("axis"));
  KILN_ASSIGN(int64_t axis, node.axisAttribute("axis", 1, values[0]));
  Attributes attributes;
  attributes.set("axis", axis);
  return node.setResult(node.emit("concat", values, attributes));
}

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
Result<Value> sliceBetween(NodeImport &node, Value x, int64_t axis, Value start, Value end) {
  return node.emit("slice", {x, start, end, node.intsConstant({axis})});
}

/// A slice does not mind what it is asked for: where only data tells `size`, a reshape refuses a part of another one.
Result<Value> checkedPart(NodeImport &node, Value part, int64_t axis, Value size) {
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

/// Parts of sizes that only run time knows: as functions of the sizes of inputs, or from data.
Status splitDynamic(NodeImport &node, Value x, int64_t axis, Value sizes) {
  size_t parts = node.resultCount();
  KILN_ASSIGN(sizes, node.withLength(sizes, int64_t(parts)));
  std::optional<std::vector<SizeExpr>> known = node.knownSizes(sizes);
  if (known) {
    SizeExpr total(0);
    for (const SizeExpr &size : *known) {
      KILN_TRY(node.requireNotNegative(size).withContext("split: "));
      total = total + size;
    }
    KILN_TRY(node.requireEqual(total, node.dims(x)[size_t(axis)]).withContext("split: "));
  }
  Value start = node.intsConstant({0});
  for (size_t i = 0; i < parts; ++i) {
    KILN_ASSIGN(Value size, node.slice(sizes, 0, int64_t(i), int64_t(i) + 1));
    KILN_ASSIGN(Value end, node.emit("add", {start, size}));
    if (known && node.wants(i)) {
      KILN_ASSIGN(Value part, sliceBetween(node, x, axis, start, end));
      node.setResult(i, part);
    } else if (!known) {
      // The last part is what is left, so it is of its size only if all sizes sum up to that of x.
      Value last = node.intsConstant({std::numeric_limits<int64_t>::max()});
      KILN_ASSIGN(Value part, sliceBetween(node, x, axis, start, i + 1 < parts ? end : last));
      KILN_ASSIGN(part, checkedPart(node, part, axis, size));
      node.setResult(i, part);
    }
    start = end;
  }
  return Status();
}

/// Equal parts of a size that only run time knows; the last one is smaller from opset 18 on, must
/// not be before.
Status splitEqually(NodeImport &node, Value x, int64_t axis) {
  int64_t parts = int64_t(node.resultCount());
  SizeExpr size = node.dims(x)[size_t(axis)];
  if (node.opset() < 18)
    KILN_TRY(node.requireEqual(SizeExpr::floorDiv(size, parts) * parts, size));
  KILN_ASSIGN(Value whole, node.sizeOf(x, axis));
  KILN_ASSIGN(whole, node.reshape(whole, {1}));
  KILN_ASSIGN(Value rounded, node.emit("add", {whole, node.intsConstant({parts - 1})}));
  KILN_ASSIGN(Value chunk, node.emit("div", {rounded, node.intsConstant({parts})}));
  for (int64_t i = 0; i < parts; ++i) {
    if (!node.wants(size_t(i)))
      continue;
    KILN_ASSIGN(Value start, node.emit("mul", {chunk, node.intsConstant({i})}));
    KILN_ASSIGN(Value end, node.emit("mul", {chunk, node.intsConstant({i + 1})}));
    KILN_ASSIGN(Value part, sliceBetween(node, x, axis, start, end));
    node.setResult(size_t(i), part);
  }
  return Status();
}

/// Sizes are an attribute up to opset 12, then an operand; without them equal parts, the last one
/// smaller (opset 18).
Status split(NodeImport &node) {
  KILN_TRY(node.expectOperands(1, 2));
  Value x = node.operand(0);
  KILN_ASSIGN(int64_t axis, node.axisAttribute("axis", 0, x));
  SizeExpr size = node.dims(x)[size_t(axis)];
  size_t parts = node.resultCount();
  std::optional<Ints> sizes;
  if (node.hasAttribute("split")) {
    KILN_ASSIGN(sizes, node.intsAttribute("split"));
  } else if (node.has(1)) {
    sizes = node.knownInts(node.operand(1));
    if (!sizes)
      return splitDynamic(node, x, axis, node.operand(1));
  }
  if (node.hasAttribute("num_outputs")) {
    KILN_ASSIGN(int64_t wanted, node.intAttribute("num_outputs", 0));
    if (wanted != int64_t(parts))
      return makeError(ErrorCode::E0306, "num_outputs is ", wanted, ", but the node has ", parts, " outputs");
  }
  if (!sizes) {
    if (!size.isConstant())
      return splitEqually(node, x, axis);
    if (parts == 0)
      return Status();
    int64_t chunk = size.constant() / int64_t(parts) + (size.constant() % int64_t(parts) != 0);
    if (node.opset() < 18 && chunk * int64_t(parts) != size.constant())
      return makeError(ErrorCode::E0304, "dim ", axis, " is ", size.print(), ", which does not split into ", parts,
                       " equal parts");
    sizes.emplace();
    for (size_t i = 0; i < parts; ++i)
      sizes->push_back(std::clamp<int64_t>(size.constant() - int64_t(i) * chunk, 0, chunk));
  }
  if (sizes->size() != parts)
    return makeError(ErrorCode::E0306, "split has ", sizes->size(), " entries, but the node has ", parts, " outputs");
  int64_t total = 0;
  for (int64_t part : *sizes) {
    if (part < 0 || !checkedAdd(total, part))
      return makeError(ErrorCode::E0311, "split holds ", part);
    total += part;
  }
  KILN_TRY(node.requireEqual(total, size).withContext("split: "));
  int64_t start = 0;
  for (size_t i = 0; i < parts; ++i) {
    int64_t end = start + (*sizes)[i];
    if (node.wants(i)) {
      KILN_ASSIGN(Value part, node.slice(x, axis, start, end));
      node.setResult(i, part);
    }
    start = end;
  }
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

/// Amounts that only run time knows, for some of the axes: laid out for all of them.
Status padAxesDynamic(NodeImport &node, const Ints &axes, const Attributes &attributes) {
  Value x = node.operand(0), pads = node.operand(1);
  size_t rank = size_t(node.rank(x)), count = axes.size();
  KILN_ASSIGN(pads, node.withLength(pads, int64_t(2 * count)));
  std::vector<Value> pieces(2 * rank, node.intsConstant({0}));
  for (size_t i = 0; i < count; ++i) {
    KILN_ASSIGN(int64_t axis, node.normalizeAxis(axes[i], int64_t(rank)));
    KILN_ASSIGN(pieces[size_t(axis)], node.slice(pads, 0, int64_t(i), int64_t(i) + 1));
    KILN_ASSIGN(pieces[rank + size_t(axis)], node.slice(pads, 0, int64_t(count + i), int64_t(count + i) + 1));
  }
  KILN_ASSIGN(Value full, node.emit("concat", pieces, axisOf(0)));
  std::vector<Value> operands{x, full};
  if (node.has(2) && attributes.getString("mode") == "constant")
    operands.push_back(node.operand(2));
  return node.setResult(node.emit("pad", operands, attributes));
}

/// Axes that only a run tells: amounts are laid out for all of them.
Status padAtRunTime(NodeImport &node, const Attributes &attributes) {
  Value x = node.operand(0), pads = node.operand(1), axes = node.operand(3);
  KILN_ASSIGN(int64_t count, axisCount(node, axes));
  KILN_ASSIGN(pads, node.withLength(pads, 2 * count));
  std::vector<Value> halves;
  for (int64_t half : {0, 1}) {
    KILN_ASSIGN(Value amounts, node.slice(pads, 0, half * count, (half + 1) * count));
    KILN_ASSIGN(halves.emplace_back(),
                node.emit("scatter_elements", {node.intsConstant(Ints(size_t(node.rank(x)), 0)), axes, amounts}));
  }
  KILN_ASSIGN(Value full, node.emit("concat", halves, axisOf(0)));
  std::vector<Value> operands{x, full};
  if (node.has(2) && attributes.getString("mode") == "constant")
    operands.push_back(node.operand(2));
  return node.setResult(node.emit("pad", operands, attributes));
}

/// Amounts and value are attributes up to opset 10, then operands; opset 18 adds axes.
Status pad(NodeImport &node) {
  KILN_TRY(node.expectOperands(1, 4));
  Value x = node.operand(0);
  size_t rank = size_t(node.rank(x));
  KILN_ASSIGN(std::string mode, node.textAttribute("mode", "constant"));
  if (mode != "constant" && mode != "reflect" && mode != "edge" && mode != "wrap")
    return makeError(ErrorCode::E0411, "mode is \"", mode,
                     "\"; expected \"constant\", \"reflect\", \"edge\" or \"wrap\"");
  Attributes attributes;
  attributes.set("mode", mode.c_str());
  std::optional<Ints> pads;
  std::optional<double> value = 0.0;
  if (const char *name = node.opset() < 2 ? "paddings" : "pads"; node.hasAttribute(name)) {
    KILN_ASSIGN(pads, node.intsAttribute(name));
    KILN_ASSIGN(value, node.floatAttribute("value", 0.0));
  } else {
    KILN_TRY(node.expectOperands(2, 4));
    pads = node.knownInts(node.operand(1));
    if (node.has(2) && mode == "constant")
      value = node.knownScalar(node.operand(2));
    if (node.has(3)) {
      std::optional<Ints> known = node.knownInts(node.operand(3));
      if (!known)
        return padAtRunTime(node, attributes);
      const Ints &axes = *known;
      if (!pads)
        return padAxesDynamic(node, axes, attributes);
      if (pads->size() != 2 * axes.size())
        return makeError(ErrorCode::E0404, "pads has ", pads->size(), " entries for ", axes.size(), " axes");
      Ints full(2 * rank, 0);
      for (size_t i = 0; i < axes.size(); ++i) {
        KILN_ASSIGN(int64_t axis, node.normalizeAxis(axes[i], int64_t(rank)));
        full[size_t(axis)] = (*pads)[i];
        full[rank + size_t(axis)] = (*pads)[axes.size() + i];
      }
      pads = full;
    }
  }
  if (pads && pads->size() != 2 * rank)
    return makeError(ErrorCode::E0404, "pads has ", pads->size(), " entries; rank ", rank, " needs ", 2 * rank);
  if (pads && value) {
    attributes.set("pads", *pads);
    attributes.set("value", *value);
    return node.setResult(node.emit("pad", {x}, attributes));
  }
  std::vector<Value> operands{x, pads ? node.intsConstant(*pads) : node.operand(1)};
  if (node.has(2) && mode == "constant")
    operands.push_back(node.operand(2));
  return node.setResult(node.emit("pad", operands, attributes));
}

/// The last `rank` entries of ones before `shape`: a shape of unknown length for an operand of at
/// least its rank.
Result<Value> shapeOfRank(NodeImport &node, Value shape, int64_t rank) {
  KILN_ASSIGN(Value padded, node.emit("concat", {node.intsConstant(Ints(size_t(rank), 1)), shape}, axisOf(0)));
  KILN_ASSIGN(Value last, node.slice(padded, 0, -rank, kToTheEnd));
  return node.reshape(last, {SizeExpr(rank)});
}

/// A shape of unknown length broadcasts all the same where the declared rank tells the result's.
Status expand(NodeImport &node) {
  KILN_TRY(node.expectOperands(2, 2));
  Value x = node.operand(0), shape = node.operand(1);
  std::optional<int64_t> rank = node.declaredRank(0);
  if (rank && node.rank(shape) == 1 && !node.dims(shape)[0].isConstant()) {
    if (*rank > node.rank(x)) {
      KILN_ASSIGN(shape, node.withLength(shape, *rank));
    } else if (*rank == node.rank(x) && *rank > 0) {
      KILN_ASSIGN(shape, shapeOfRank(node, shape, *rank));
    }
  }
  return node.setResult(node.emit("expand", {x, shape}));
}

/// Opset 1..5: one repeat count and one axis.
Status tile(NodeImport &node) {
  if (node.opset() >= 6) {
    KILN_TRY(node.expectOperands(2, 2));
    KILN_ASSIGN(Value repeats, node.withLength(node.operand(1), node.rank(node.operand(0))));
    return node.setResult(node.emit("tile", {node.operand(0), repeats}));
  }
  KILN_TRY(node.expectOperands(3, 3));
  KILN_ASSIGN(Ints count, node.constantInts(1, "tiles"));
  KILN_ASSIGN(Ints axis, node.constantInts(2, "axis"));
  if (count.size() != 1 || axis.size() != 1)
    return makeError(ErrorCode::E0404, "tiles and axis must be single integers");
  KILN_ASSIGN(int64_t at, node.normalizeAxis(axis[0], node.rank(node.operand(0))));
  Ints repeats(size_t(node.rank(node.operand(0))), 1);
  repeats[size_t(at)] = count[0];
  return node.setResult(node.emit("tile", {node.operand(0), node.intsConstant(repeats)}));
}

/// Opset 15 adds start and end.
Status shape(NodeImport &node) {
  KILN_TRY(node.expectOperands(1, 1));
  int64_t rank = node.rank(node.operand(0));
  KILN_ASSIGN(int64_t start, node.intAttribute("start", 0));
  KILN_ASSIGN(int64_t end, node.intAttribute("end", kToTheEnd));
  auto clampAxis = [&](int64_t axis) { return std::clamp<int64_t>(axis < 0 ? axis + rank : axis, 0, rank); };
  Attributes attributes;
  attributes.set("start", clampAxis(start));
  if (node.hasAttribute("end") && clampAxis(end) != rank)
    attributes.set("end", std::max(clampAxis(start), clampAxis(end)));
  return node.setResult(node.emit("shape", {node.operand(0)}, attributes));
}

Status size(NodeImport &node) {
  KILN_TRY(node.expectOperands(1, 1));
  KILN_ASSIGN(Value dims, node.emit("shape", {node.operand(0)}));
  Attributes attributes;
  attributes.set("kind", "prod");
  attributes.set("axes", Ints{0});
  attributes.set("keepdims", 0);
  return node.setResult(node.emit("reduce", {dims}, attributes));
}

Status range(NodeImport &node) {
  KILN_TRY(node.expectOperands(3, 3));
  std::vector<Value> operands;
  for (size_t i = 0; i < 3; ++i) { // exporters also write one-element vectors
    KILN_ASSIGN(Value scalar, node.reshape(node.operand(i), {}));
    operands.push_back(scalar);
  }
  return node.setResult(node.emit("range", operands));
}

/// [N, C, H, W] with blocks of channels and blocks of space exchanged.
Status depthToSpace(NodeImport &node) {
  KILN_TRY(node.expectOperands(1, 1));
  KILN_TRY(node.requireAttribute("blocksize"));
  Value x = node.operand(0);
  Dims d = node.dims(x);
  KILN_ASSIGN(int64_t block, node.intAttribute("blocksize", 1));
  KILN_ASSIGN(std::string mode, node.textAttribute("mode", "DCR"));
  if (d.size() != 4)
    return makeError(ErrorCode::E0207, "expected rank 4, got ", d.size());
  if (mode != "DCR" && mode != "CRD")
    return makeError(ErrorCode::E0411, "mode is \"", mode, "\"; expected \"DCR\" or \"CRD\"");
  if (block < 1 || block > 65536 || (d[1].isConstant() && d[1].constant() % (block * block) != 0))
    return makeError(ErrorCode::E0304, d[1].print(), " channels do not split into blocks of ", block, " x ", block);
  SizeExpr channels = SizeExpr::floorDiv(d[1], block * block);
  KILN_TRY(node.requireEqual(channels * (block * block), d[1]));
  bool depthFirst = mode == "DCR";
  Dims blocks =
      depthFirst ? Dims{d[0], block, block, channels, d[2], d[3]} : Dims{d[0], channels, block, block, d[2], d[3]};
  KILN_ASSIGN(Value split, node.reshape(x, blocks));
  KILN_ASSIGN(Value moved, node.transpose(split, depthFirst ? Ints{0, 3, 4, 1, 5, 2} : Ints{0, 1, 4, 2, 5, 3}));
  return node.setResult(node.reshape(moved, {d[0], channels, d[2] * block, d[3] * block}));
}
Status spaceToDepth(NodeImport &node) {
  KILN_TRY(node.expectOperands(1, 1));
  KILN_TRY(node.requireAttribute("blocksize"));
  Value x = node.operand(0);
  Dims d = node.dims(x);
  KILN_ASSIGN(int64_t block, node.intAttribute("blocksize", 1));
  if (d.size() != 4)
    return makeError(ErrorCode::E0207, "expected rank 4, got ", d.size());
  if (block < 1 || block > 65536)
    return makeError(ErrorCode::E0411, "blocksize is ", block);
  for (int axis : {2, 3})
    if (d[axis].isConstant() && d[axis].constant() % block != 0)
      return makeError(ErrorCode::E0304, "dim ", axis, " is ", d[axis].print(), ", which is no multiple of blocksize ",
                       block);
  SizeExpr h = SizeExpr::floorDiv(d[2], block), w = SizeExpr::floorDiv(d[3], block);
  KILN_TRY(node.requireEqual(h * block, d[2]));
  KILN_TRY(node.requireEqual(w * block, d[3]));
  KILN_ASSIGN(Value split, node.reshape(x, {d[0], d[1], h, block, w, block}));
  KILN_ASSIGN(Value moved, node.transpose(split, {0, 3, 5, 1, 2, 4}));
  return node.setResult(node.reshape(moved, {d[0], d[1] * (block * block), h, w}));
}

constexpr OpEntry table[] = {
    {"Identity", 1, identity},
    {"Reshape", 1, reshape},
    {"Squeeze", 1, squeeze},
    {"Unsqueeze", 1, unsqueeze},
    {"Flatten", 1, flatten},
    {"Transpose", 1, transpose},
    {"Concat", 1, concat},
    {"Slice", 1, slice},
    {"DynamicSlice", 1, slice}, // experimental; became Slice 10
    {"Split", 1, split},
    {"Gather", 1, gatherSlices},
    {"GatherElements", 11, gatherElements},
    {"GatherND", 11, gatherNd},
    {"Pad", 1, pad},
    {"Expand", 8, expand},
    {"Tile", 1, tile},
    {"Shape", 1, shape},
    {"Size", 1, size},
    {"Range", 11, range},
    {"DepthToSpace", 1, depthToSpace},
    {"SpaceToDepth", 1, spaceToDepth},
};

} // namespace

std::span<const OpEntry> movementOps() { return table; }

} // namespace kiln::onnx
