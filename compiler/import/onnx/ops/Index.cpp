// Operators that compare positions or write at them, and losses that pick by class.
#include "compiler/import/onnx/OpTable.h"
#include "compiler/import/onnx/ops/Shared.h"

#include <cmath>
#include <limits>

namespace kiln::onnx {
namespace {

/// Where the column is at least (upper) or at most (lower) the row plus k.
Status trilu(NodeImport &node) {
  KILN_TRY(node.expectOperands(1, 2));
  Value x = node.operand(0);
  int64_t rank = node.rank(x);
  if (rank < 2)
    return makeError(ErrorCode::E0304, "expected rank 2 or more, got ", rank);
  KILN_ASSIGN(int64_t upper, node.intAttribute("upper", 1));
  KILN_ASSIGN(Value height, node.sizeOf(x, rank - 2));
  KILN_ASSIGN(Value width, node.sizeOf(x, rank - 1));
  KILN_ASSIGN(Value rows, positions(node, height, 1));
  KILN_ASSIGN(Value columns, positions(node, width));
  if (node.has(1)) {
    KILN_ASSIGN(Value diagonal, node.reshape(node.operand(1), {}));
    // Diagonals further out are all alike; within these ends the sum cannot wrap.
    KILN_ASSIGN(Value lowest, node.emit("neg", {height}));
    KILN_ASSIGN(diagonal, node.emit("max", {diagonal, lowest}));
    KILN_ASSIGN(diagonal, node.emit("min", {diagonal, width}));
    KILN_ASSIGN(rows, node.emit("add", {rows, diagonal}));
  }
  KILN_ASSIGN(Value kept, node.emit(upper ? "greater_equal" : "less_equal", {columns, rows}));
  return node.setResult(node.emit("where", {kept, x, node.scalar(0, node.dtype(x))}));
}

/// Ones on the k-th diagonal.
Status eyeLike(NodeImport &node) {
  KILN_TRY(node.expectOperands(1, 1));
  Value x = node.operand(0);
  if (node.rank(x) != 2)
    return makeError(ErrorCode::E0304, "expected rank 2, got ", node.rank(x));
  KILN_ASSIGN(int64_t k, node.intAttribute("k", 0));
  KILN_ASSIGN(int64_t type, node.intAttribute("dtype", dtypeOnnxId(node.dtype(x))));
  std::optional<DType> dtype = dtypeFromOnnxId(type);
  if (!dtype)
    return makeError(ErrorCode::E0203, "dtype ", onnxTypeName(int32_t(type)), " is not supported");
  KILN_ASSIGN(Value height, node.sizeOf(x, 0));
  KILN_ASSIGN(Value width, node.sizeOf(x, 1));
  KILN_ASSIGN(Value rows, positions(node, height, 1));
  KILN_ASSIGN(Value columns, positions(node, width));
  KILN_ASSIGN(rows, node.emit("add", {rows, node.intsConstant({k})}));
  KILN_ASSIGN(Value hit, node.emit("equal", {columns, rows}));
  return node.setResult(node.cast(hit, *dtype));
}

/// values[1] at each index along a new axis of size `depth`, values[0] elsewhere; indices out of
/// range hit nothing.
Status oneHot(NodeImport &node) {
  KILN_TRY(node.expectOperands(3, 3));
  Value indices = node.operand(0), values = node.operand(2);
  int64_t rank = node.rank(indices);
  KILN_ASSIGN(int64_t axis, node.intAttribute("axis", -1));
  KILN_ASSIGN(axis, node.normalizeAxis(axis, rank + 1));
  KILN_ASSIGN(indices, node.cast(indices, DType::I64));
  KILN_ASSIGN(Value depth, node.reshape(node.operand(1), {}));
  KILN_ASSIGN(depth, node.cast(depth, DType::I64));
  if (std::optional<double> known = node.knownScalar(node.operand(1)); known && std::abs(*known) <= 0x1p31)
    depth = node.scalar(std::trunc(*known), DType::I64); // of any type of numbers: a size all the same
  KILN_ASSIGN(Value negative, node.emit("less", {indices, node.scalar(0, DType::I64)}));
  KILN_ASSIGN(Value shifted, node.emit("add", {indices, depth}));
  KILN_ASSIGN(indices, node.emit("where", {negative, shifted, indices}));
  Dims dims = node.dims(indices);
  dims.insert(dims.begin() + axis, SizeExpr(1));
  KILN_ASSIGN(indices, node.reshape(indices, dims));
  KILN_ASSIGN(Value classes, positions(node, depth, size_t(rank - axis)));
  KILN_ASSIGN(Value hit, node.emit("equal", {classes, indices}));
  KILN_ASSIGN(Value off, node.slice(values, 0, 0, 1));
  KILN_ASSIGN(Value on, node.slice(values, 0, 1, 2));
  KILN_ASSIGN(off, node.reshape(off, {}));
  KILN_ASSIGN(on, node.reshape(on, {}));
  return node.setResult(node.emit("where", {hit, on, off}));
}

Result<Value> reduceAll(NodeImport &node, Value x, const char *kind) {
  Ints axes;
  for (int64_t axis = 0; axis < node.rank(x); ++axis)
    axes.push_back(axis);
  Attributes attributes;
  attributes.set("kind", kind);
  attributes.set("axes", axes);
  attributes.set("keepdims", 0);
  return node.emit("reduce", {x}, attributes);
}

/// The negated log probability of the target class (dim 1), weighted by class; targets of
/// `ignore_index` count nothing.
Status classLoss(NodeImport &node, Value logProbabilities) {
  KILN_TRY(node.expectOperands(2, 3));
  Value target = node.operand(1);
  DType dtype = node.dtype(logProbabilities);
  if (node.rank(logProbabilities) < 2 || node.rank(target) != node.rank(logProbabilities) - 1)
    return makeError(ErrorCode::E0304, "scores of rank ", node.rank(logProbabilities),
                     " need targets of one rank less, got ", node.rank(target));
  KILN_ASSIGN(std::string reduction, node.textAttribute("reduction", "mean"));
  if (reduction != "mean" && reduction != "sum" && reduction != "none")
    return makeError(ErrorCode::E0411, "reduction is \"", reduction, "\"; expected \"mean\", \"sum\" or \"none\"");
  Value zero = node.scalar(0, dtype), ignored;
  if (node.hasAttribute("ignore_index")) {
    KILN_ASSIGN(int64_t index, node.intAttribute("ignore_index", 0));
    DType targetType = node.dtype(target);
    KILN_ASSIGN(ignored, node.emit("equal", {target, node.scalar(double(index), targetType)}));
    KILN_ASSIGN(target, node.emit("where", {ignored, node.scalar(0, targetType), target})); // any class in range
  }
  Dims dims = node.dims(target), column = dims;
  column.insert(column.begin() + 1, SizeExpr(1));
  KILN_ASSIGN(Value indices, node.reshape(target, column));
  KILN_ASSIGN(Value picked, node.emit("gather_elements", {logProbabilities, indices}, axisOf(1)));
  KILN_ASSIGN(picked, node.reshape(picked, dims));
  KILN_ASSIGN(Value loss, node.emit("neg", {picked}));
  Value weight;
  if (node.has(2)) {
    KILN_ASSIGN(weight, node.emit("gather", {node.operand(2), target}, axisOf(0)));
  } else if (ignored) {
    weight = node.scalar(1, dtype);
  }
  if (ignored) {
    KILN_ASSIGN(weight, node.emit("where", {ignored, zero, weight}));
  }
  if (weight) {
    KILN_ASSIGN(loss, node.emit("mul", {loss, weight}));
  }
  if (reduction == "none")
    return node.setResult(loss);
  if (reduction == "sum" || !weight)
    return node.setResult(reduceAll(node, loss, reduction.c_str()));
  KILN_ASSIGN(Value total, reduceAll(node, loss, "sum"));
  KILN_ASSIGN(Value weights, reduceAll(node, weight, "sum"));
  return node.setResult(node.emit("div", {total, weights}));
}

Status negativeLogLikelihoodLoss(NodeImport &node) {
  KILN_TRY(node.expectOperands(2, 3));
  return classLoss(node, node.operand(0));
}

Status softmaxCrossEntropyLoss(NodeImport &node) {
  KILN_TRY(node.expectOperands(2, 3));
  if (node.rank(node.operand(0)) < 2)
    return makeError(ErrorCode::E0304, "scores must have rank 2 or more");
  KILN_ASSIGN(Value logProbabilities, node.emit("log_softmax", {node.operand(0)}, axisOf(1)));
  node.setResult(1, logProbabilities);
  return classLoss(node, logProbabilities);
}

/// How an update joins what is there; opset 16 adds the attribute, opset 18 its values min and max.
Result<Attributes> reductionOf(NodeImport &node) {
  KILN_ASSIGN(std::string reduction, node.textAttribute("reduction", "none"));
  if (reduction != "none" && reduction != "add" && reduction != "mul" && reduction != "min" && reduction != "max")
    return makeError(ErrorCode::E0411, "reduction is \"", reduction,
                     "\"; expected \"none\", \"add\", \"mul\", \"min\" or \"max\"");
  Attributes attributes;
  attributes.set("reduction", reduction.c_str());
  return attributes;
}

Status scatterElements(NodeImport &node) {
  KILN_TRY(node.expectOperands(3, 3));
  KILN_ASSIGN(Attributes attributes, reductionOf(node));
  KILN_ASSIGN(int64_t axis, node.axisAttribute("axis", 0, node.operand(0)));
  attributes.set("axis", axis);
  return node.setResult(node.emit("scatter_elements", {node.operand(0), node.operand(1), node.operand(2)}, attributes));
}

Status scatterNd(NodeImport &node) {
  KILN_TRY(node.expectOperands(3, 3));
  KILN_ASSIGN(Attributes attributes, reductionOf(node));
  return node.setResult(node.emit("scatter_nd", {node.operand(0), node.operand(1), node.operand(2)}, attributes));
}

Status reverseSequence(NodeImport &node) {
  KILN_TRY(node.expectOperands(2, 2));
  Value x = node.operand(0);
  KILN_ASSIGN(int64_t batch, node.axisAttribute("batch_axis", 1, x));
  KILN_ASSIGN(int64_t time, node.axisAttribute("time_axis", 0, x));
  Attributes attributes;
  attributes.set("batch_axis", batch);
  attributes.set("time_axis", time);
  return node.setResult(node.emit("reverse_sequence", {x, node.operand(1)}, attributes));
}

Status compress(NodeImport &node) {
  KILN_TRY(node.expectOperands(2, 2));
  Value x = node.operand(0);
  KILN_ASSIGN(int64_t axis, axisOrAll(node, x));
  return node.setResult(node.emit("compress", {x, node.operand(1)}, axisOf(axis)));
}

/// Limits are optional: no box at all, any overlap, any score.
Status nonMaxSuppression(NodeImport &node) {
  KILN_TRY(node.expectOperands(2, 5));
  KILN_ASSIGN(int64_t center, node.intAttribute("center_point_box", 0));
  Attributes attributes;
  attributes.set("center", center != 0);
  std::vector<Value> operands{node.operand(0), node.operand(1),
                              node.has(2) ? node.operand(2) : node.scalar(0, DType::I64),
                              node.has(3) ? node.operand(3) : node.scalar(0, DType::F32)};
  if (node.has(4))
    operands.push_back(node.operand(4));
  for (size_t i = 2; i < operands.size(); ++i) { // vectors of one element too
    for (const SizeExpr &dim : node.dims(operands[i]))
      KILN_TRY(node.requireEqual(dim, 1).withContext("input " + std::to_string(i) + ": "));
    KILN_ASSIGN(operands[i], node.reshape(operands[i], {}));
  }
  return node.setResult(node.emit("non_max_suppression", operands, attributes));
}

Status unique(NodeImport &node) {
  KILN_TRY(node.expectOperands(1, 1));
  Value x = node.operand(0);
  KILN_ASSIGN(int64_t axis, axisOrAll(node, x));
  KILN_ASSIGN(int64_t sorted, node.intAttribute("sorted", 1));
  Attributes attributes = axisOf(axis);
  attributes.set("sorted", sorted != 0);
  KILN_ASSIGN(std::vector<Value> results, node.emitAll("unique", {x}, attributes));
  node.setResults(results);
  return Status();
}

constexpr OpEntry table[] = {
    {"Unique", 11, unique},
    {"Compress", 9, compress},
    {"NonMaxSuppression", 10, nonMaxSuppression},
    {"Trilu", 14, trilu},
    {"EyeLike", 9, eyeLike},
    {"OneHot", 9, oneHot},
    {"ScatterElements", 11, scatterElements},
    {"Scatter", 9, scatterElements}, // became ScatterElements 11
    {"ScatterND", 11, scatterNd},
    {"ReverseSequence", 10, reverseSequence},
    {"NegativeLogLikelihoodLoss", 12, negativeLogLikelihoodLoss},
    {"SoftmaxCrossEntropyLoss", 12, softmaxCrossEntropyLoss},
};

} // namespace

std::span<const OpEntry> indexOps() { return table; }

} // namespace kiln::onnx
