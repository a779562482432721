// Matrix products.
#include "compiler/import/onnx/OpTable.h"
#include "compiler/import/onnx/ops/Shared.h"

namespace kiln::onnx {
namespace {

Status matmul(NodeImport &node) {
  KILN_TRY(node.expectOperands(2, 2));
  return node.setResult(emitMatMul(node, node.operand(0), node.operand(1)));
}

Status gemm(NodeImport &node) { return node.setResult(emitGemm(node)); }

constexpr OpEntry table[] = {
    {"MatMul", 1, matmul},
    {"Gemm", 1, gemm},
};

} // namespace

std::span<const OpEntry> matmulOps() { return table; }

Result<Value> emitMatMul(NodeImport &node, Value a, Value b) {
  bool row = node.rank(a) == 1, column = node.rank(b) == 1;
  if (node.rank(a) == 0 || node.rank(b) == 0)
    return makeError(ErrorCode::E0304, "operands must have rank 1 or more");
  if (row) {
    KILN_ASSIGN(a, node.reshape(a, {SizeExpr(1), node.dims(a)[0]}));
  }
  if (column) {
    KILN_ASSIGN(b, node.reshape(b, {node.dims(b)[0], SizeExpr(1)}));
  }
  KILN_ASSIGN(Value product, node.emit("matmul", {a, b}));
  if (!row && !column)
    return product;
  Dims dims = node.dims(product);
  if (column)
    dims.pop_back();
  if (row)
    dims.erase(dims.end() - (column ? 1 : 2));
  return node.reshape(product, dims);
}

Result<Value> emitGemm(NodeImport &node) {
  KILN_TRY(node.expectOperands(2, 3));
  Value a = node.operand(0), b = node.operand(1), c = node.operand(2);
  for (Value matrix : {a, b})
    if (node.rank(matrix) != 2)
      return makeError(ErrorCode::E0304, "operands A and B must have rank 2, got ", node.rank(a), " and ",
                       node.rank(b));
  KILN_ASSIGN(int64_t transposeA, node.intAttribute("transA", 0));
  KILN_ASSIGN(int64_t transposeB, node.intAttribute("transB", 0));
  KILN_ASSIGN(double alpha, node.floatAttribute("alpha", 1.0));
  KILN_ASSIGN(double beta, node.floatAttribute("beta", 1.0));
  Attributes attributes;
  attributes.set("transpose_a", transposeA != 0);
  attributes.set("transpose_b", transposeB != 0);
  KILN_ASSIGN(Value result, node.emit("matmul", {a, b}, attributes));
  if (alpha != 1.0) {
    KILN_ASSIGN(result, node.emit("mul", {result, node.scalar(alpha, node.dtype(result))}));
  }
  if (c && beta != 0.0) {
    if (beta != 1.0) {
      KILN_ASSIGN(c, node.emit("mul", {c, node.scalar(beta, node.dtype(c))}));
    }
    Dims dims = node.dims(result);
    KILN_ASSIGN(result, node.emit("add", {result, c}));
    if (node.dims(result).size() != dims.size())
      return makeError(ErrorCode::E0304, "operand C has rank ", node.rank(c), "; expected at most 2");
    for (size_t i = 0; i < dims.size(); ++i) // C broadcasts to the product, not the product to C
      KILN_TRY(node.requireEqual(node.dims(result)[i], dims[i])
                   .withContext("operand C does not broadcast to the product: "));
  }
  return result;
}

} // namespace kiln::onnx
