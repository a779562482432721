// Operators that move, repeat or regroup elements, and those that compute shapes.
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
  // The i-th dim that is not new is dim i of x: how many of them come before it. An axis given twice leaves one too
  // many.
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
