// Reductions, softmax and its relatives.
#include "compiler/import/onnx/OpTable.h"
#include "compiler/import/onnx/ops/Shared.h"

#include <cmath>
#include <numeric>

namespace kiln::onnx {
namespace {

Result<Value> emitReduce(NodeImport &node, Value x, const char *kind, const Ints &axes, bool keepDims) {
  Attributes attributes;
  attributes.set("kind", kind);
  attributes.set("axes", axes);
  attributes.set("keepdims", keepDims);
  return node.emit("reduce", {x}, attributes);
}

/// Axes that only a run tells.
Status reduceAlong(NodeImport &node, const char *kind, bool keepDims) {
  Value x = node.operand(0), axes = node.operand(1);
  if (std::optional<int64_t> rank = node.declaredRank(0); rank && !keepDims) {
    KILN_ASSIGN(axes, node.withLength(axes, node.rank(x) - *rank));
  }
  KILN_TRY(axisCount(node, axes).status());
  Attributes attributes;
  attributes.set("kind", kind);
  attributes.set("keepdims", keepDims);
  return node.setResult(node.emit("reduce_along", {x, axes}, attributes));
}

/// Axes are an attribute up to opset 17 (ReduceSum: 12), then an operand; none means all, unless
/// noop_with_empty_axes.
Status reduce(NodeImport &node, const char *kind) {
  KILN_TRY(node.expectOperands(1, 2));
  Value x = node.operand(0);
  KILN_ASSIGN(int64_t keepDims, node.intAttribute("keepdims", 1));
  KILN_ASSIGN(int64_t noop, node.intAttribute("noop_with_empty_axes", 0));
  Ints axes;
  if (node.hasAttribute("axes")) {
    KILN_ASSIGN(axes, node.intsAttribute("axes"));
  } else if (node.has(1)) {
    std::optional<Ints> known = node.knownInts(node.operand(1));
    Dims length = node.dims(node.operand(1));
    bool none = length.size() == 1 && length[0].isConstant(0);
    if (!known && !none)
      return reduceAlong(node, kind, keepDims != 0);
    axes = known.value_or(Ints());
  }
  KILN_ASSIGN(axes, node.normalizeAxes(axes, node.rank(x)));
  if (axes.empty() && !noop) {
    axes.resize(size_t(node.rank(x)));
    std::iota(axes.begin(), axes.end(), 0);
  }
  // noop: nothing is reduced, but what the reduction does to an element (its magnitude, square, logarithm) is done.
  return node.setResult(emitReduce(node, x, kind, axes, keepDims != 0));
}
Status reduceSum(NodeImport &node) { return reduce(node, "sum"); }
Status reduceMean(NodeImport &node) { return reduce(node, "mean"); }
Status reduceMax(NodeImport &node) { return reduce(node, "max"); }
Status reduceMin(NodeImport &node) { return reduce(node, "min"); }
Status reduceProd(NodeImport &node) { return reduce(node, "prod"); }
Status reduceL1(NodeImport &node) { return reduce(node, "l1"); }
Status reduceL2(NodeImport &node) { return reduce(node, "l2"); }
Status reduceSumSquare(NodeImport &node) { return reduce(node, "sum_square"); }
Status reduceLogSum(NodeImport &node) { return reduce(node, "log_sum"); }
Status reduceLogSumExp(NodeImport &node) { return reduce(node, "log_sum_exp"); }

Status argReduce(NodeImport &node, const char *mnemonic) {
  KILN_TRY(node.expectOperands(1, 1));
  Value x = node.operand(0);
  KILN_ASSIGN(int64_t axis, node.axisAttribute("axis", 0, x));
  KILN_ASSIGN(int64_t keepDims, node.intAttribute("keepdims", 1));
  KILN_ASSIGN(int64_t last, node.intAttribute("select_last_index", 0));
  Attributes attributes;
  attributes.set("axis", axis);
  attributes.set("keepdims", keepDims != 0);
  attributes.set("select_last", last != 0);
  return node.setResult(node.emit(mnemonic, {x}, attributes));
}
Status argMax(NodeImport &node) { return argReduce(node, "argmax"); }
Status argMin(NodeImport &node) { return argReduce(node, "argmin"); }

/// 1 at the first maximum along `axis`, else 0.
Result<Value> hardmaxAlong(NodeImport &node, Value x, int64_t axis) {
  Attributes attributes;
  attributes.set("axis", axis);
  KILN_ASSIGN(Value best, node.emit("argmax", {x}, attributes));
  KILN_ASSIGN(Value size, node.sizeOf(x, axis));
  KILN_ASSIGN(Value positions, node.emit("range", {node.scalar(0, DType::I64), size, node.scalar(1, DType::I64)}));
  Dims dims(size_t(node.rank(x)), SizeExpr(1));
  dims[size_t(axis)] = node.dims(positions)[0];
  KILN_ASSIGN(positions, node.reshape(positions, dims));
  KILN_ASSIGN(Value hit, node.emit("equal", {positions, best}));
  return node.cast(hit, node.dtype(x));
}

Result<Value> along(NodeImport &node, const char *mnemonic, Value x, int64_t axis) {
  if (std::string_view(mnemonic) == "hardmax")
    return hardmaxAlong(node, x, axis);
  Attributes attributes;
  attributes.set("axis", axis);
  return node.emit(mnemonic, {x}, attributes);
}

/// Up to opset 12 over all dims from `axis` on (default 1), taken as one; then along `axis` alone
/// (default -1).
Status softmaxLike(NodeImport &node, const char *mnemonic) {
  KILN_TRY(node.expectOperands(1, 1));
  Value x = node.operand(0);
  int64_t rank = node.rank(x);
  KILN_ASSIGN(int64_t axis, node.intAttribute("axis", node.opset() < 13 ? 1 : -1));
  if (node.opset() >= 13) {
    KILN_ASSIGN(axis, node.normalizeAxis(axis, rank));
    return node.setResult(along(node, mnemonic, x, axis));
  }
  if (axis != rank) { // the rank itself is allowed: every element is a row of its own
    KILN_ASSIGN(axis, node.normalizeAxis(axis, rank));
  }
  if (axis == rank - 1)
    return node.setResult(along(node, mnemonic, x, axis));
  Dims dims = node.dims(x);
  Dims rows(dims.begin(), dims.begin() + axis);
  rows.push_back(SizeExpr::product(std::span<const SizeExpr>(dims.begin() + axis, dims.end())));
  KILN_ASSIGN(Value flat, node.reshape(x, rows));
  KILN_ASSIGN(Value result, along(node, mnemonic, flat, axis));
  return node.setResult(node.reshape(result, dims));
}
Status softmax(NodeImport &node) { return softmaxLike(node, "softmax"); }
Status logSoftmax(NodeImport &node) { return softmaxLike(node, "log_softmax"); }
Status hardmax(NodeImport &node) { return softmaxLike(node, "hardmax"); }

Status globalPool(NodeImport &node, const char *kind) {
  KILN_TRY(node.expectOperands(1, 1));
  Value x = node.operand(0);
  if (node.rank(x) < 3)
    return makeError(ErrorCode::E0207, "expected at least one spatial dim, got rank ", node.rank(x));
  Ints axes(size_t(node.rank(x) - 2));
  std::iota(axes.begin(), axes.end(), 2);
  return node.setResult(emitReduce(node, x, kind, axes, true));
}
Status globalAveragePool(NodeImport &node) { return globalPool(node, "mean"); }
Status globalMaxPool(NodeImport &node) { return globalPool(node, "max"); }

/// The p-norm of each channel; p is a float in opset 1, then an integer.
Status globalLpPool(NodeImport &node) {
  KILN_TRY(node.expectOperands(1, 1));
  double p = 2;
  if (node.opset() < 2) {
    KILN_ASSIGN(p, node.floatAttribute("p", 2.0));
  } else {
    KILN_ASSIGN(int64_t whole, node.intAttribute("p", 2));
    p = double(whole);
  }
  if (!(p > 0 && std::isfinite(p)))
    return makeError(ErrorCode::E0411, "p is ", p, "; expected a positive number");
  if (p == 1 || p == 2)
    return globalPool(node, p == 1 ? "l1" : "l2");
  Value x = node.operand(0);
  if (node.rank(x) < 3)
    return makeError(ErrorCode::E0207, "expected at least one spatial dim, got rank ", node.rank(x));
  Ints axes(size_t(node.rank(x) - 2));
  std::iota(axes.begin(), axes.end(), 2);
  DType dtype = node.dtype(x);
  KILN_ASSIGN(Value magnitude, node.emit("abs", {x}));
  KILN_ASSIGN(Value power, node.emit("pow", {magnitude, node.scalar(p, dtype)}));
  KILN_ASSIGN(Value sum, emitReduce(node, power, "sum", axes, true));
  return node.setResult(node.emit("pow", {sum, node.scalar(1 / p, dtype)}));
}

/// The axis is an operand, which may be computed.
Status cumulative(NodeImport &node, const char *mnemonic) {
  KILN_TRY(node.expectOperands(2, 2));
  Value x = node.operand(0);
  KILN_ASSIGN(int64_t exclusive, node.intAttribute("exclusive", 0));
  KILN_ASSIGN(int64_t reverse, node.intAttribute("reverse", 0));
  Attributes attributes;
  attributes.set("exclusive", exclusive != 0);
  attributes.set("reverse", reverse != 0);
  std::optional<Ints> axis = node.knownInts(node.operand(1));
  if (!axis)
    return node.setResult(node.emit(mnemonic, {x, node.operand(1)}, attributes));
  if (axis->size() != 1)
    return makeError(ErrorCode::E0404, "axis has ", axis->size(), " entries; expected one");
  KILN_ASSIGN(int64_t at, node.normalizeAxis(axis->front(), node.rank(x)));
  attributes.set("axis", at);
  return node.setResult(node.emit(mnemonic, {x}, attributes));
}
Status cumSum(NodeImport &node) { return cumulative(node, "cumsum"); }
Status cumProd(NodeImport &node) { return cumulative(node, "cumprod"); }

/// k is an attribute, from opset 10 on an operand, which may be computed. What is not to be sorted may be.
Status topK(NodeImport &node) {
  const bool isOperand = node.opset() >= 10;
  KILN_TRY(node.expectOperands(isOperand ? 2 : 1, isOperand ? 2 : 1));
  Value x = node.operand(0);
  std::vector<Value> operands{x};
  Attributes attributes;
  KILN_ASSIGN(int64_t axis, node.axisAttribute("axis", -1, x));
  attributes.set("axis", axis);
  KILN_ASSIGN(int64_t largest, node.intAttribute("largest", 1));
  attributes.set("largest", largest != 0);
  std::optional<Ints> k;
  if (!isOperand) {
    KILN_TRY(node.requireAttribute("k"));
    KILN_ASSIGN(int64_t given, node.intAttribute("k", 0));
    k = {given};
  } else {
    k = node.knownInts(node.operand(1));
  }
  if (k) {
    if (k->size() != 1)
      return makeError(ErrorCode::E0404, "k has ", k->size(), " entries; expected one");
    attributes.set("k", k->front());
  } else {
    operands.push_back(node.operand(1));
  }
  KILN_ASSIGN(std::vector<Value> results, node.emitAll("topk", operands, attributes));
  node.setResults(results);
  return Status();
}

constexpr OpEntry table[] = {
    {"ReduceSum", 1, reduceSum},
    {"ReduceMean", 1, reduceMean},
    {"ReduceMax", 1, reduceMax},
    {"ReduceMin", 1, reduceMin},
    {"ReduceProd", 1, reduceProd},
    {"ReduceL1", 1, reduceL1},
    {"ReduceL2", 1, reduceL2},
    {"ReduceSumSquare", 1, reduceSumSquare},
    {"ReduceLogSum", 1, reduceLogSum},
    {"ReduceLogSumExp", 1, reduceLogSumExp},
    {"ArgMax", 1, argMax},
    {"ArgMin", 1, argMin},
    {"Softmax", 1, softmax},
    {"LogSoftmax", 1, logSoftmax},
    {"Hardmax", 1, hardmax},
    {"GlobalAveragePool", 1, globalAveragePool},
    {"GlobalMaxPool", 1, globalMaxPool},
    {"GlobalLpPool", 1, globalLpPool},
    {"CumSum", 11, cumSum},
    {"CumProd", 26, cumProd},
    {"TopK", 1, topK},
};

} // namespace

std::span<const OpEntry> reduceOps() { return table; }

} // namespace kiln::onnx
