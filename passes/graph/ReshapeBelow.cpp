#include "passes/graph/ReshapeBelow.h"

#include "dialects/kiln/Build.h"
#include "passes/graph/Match.h"
#include "passes/graph/Quantization.h"

using namespace mlir;

namespace kiln {

/// Number of dims without the leading ones of size 1.
static size_t significant(ArrayRef<SizeExpr> dims) {
  size_t leading = 0;
  while (leading < dims.size() && dims[leading].isConstant(1))
    ++leading;
  return dims.size() - leading;
}

static size_t commonSuffix(ArrayRef<SizeExpr> a, ArrayRef<SizeExpr> b) {
  size_t n = 0;
  while (n < a.size() && n < b.size() && !a[a.size() - 1 - n].isInvalid() && a[a.size() - 1 - n] == b[b.size() - 1 - n])
    ++n;
  return n;
}

bool mayMoveBelow(Operation *op, Value reshaped, llvm::function_ref<bool(Value)> mayReshape) {
  Dims outer = getDims(op->getResult(0)), inner = getDims(reshaped.getDefiningOp()->getOperand(0));
  // Bytes are reshaped before they are widened.
  if (getDims(reshaped) != outer || widensBytes(op) ||
      widensBytes(reshaped.getDefiningOp()->getOperand(0).getDefiningOp()))
    return false;
  size_t shared = commonSuffix(outer, inner);
  return llvm::all_of(op->getOperands(), [&](Value other) {
    Dims dims = getDims(other);
    size_t varying = significant(dims);
    return other == reshaped || varying == 0 || (dims == outer ? mayReshape(other) : varying <= shared);
  });
}

/// `other` as an operand beside values of dims `inner`.
static Value adapt(OpBuilder &builder, Value other, ArrayRef<SizeExpr> outer, ArrayRef<SizeExpr> inner) {
  Dims dims = getDims(other);
  if (ArrayRef<SizeExpr>(dims) == outer && significant(dims)) {
    Operation *reshape = other.getDefiningOp();
    if (reshape && isView(reshape) && ArrayRef<SizeExpr>(getDims(reshape->getOperand(0))) == inner)
      return reshape->getOperand(0);
    return buildReshape(builder, other.getLoc(), other, makeTensorType(inner, elementOf(other)));
  }
  if (dims.size() <= inner.size())
    return other;
  return buildReshape(builder, other.getLoc(), other,
                      makeTensorType(ArrayRef<SizeExpr>(dims).take_back(inner.size()), elementOf(other)));
}

Value moveBelow(OpBuilder &builder, Operation *op, Value reshaped) {
  Value x = reshaped.getDefiningOp()->getOperand(0), result = op->getResult(0);
  Dims outer = getDims(result), inner = getDims(x);
  SmallVector<Value> operands;
  for (Value other : op->getOperands())
    operands.push_back(other == reshaped ? x : adapt(builder, other, outer, inner));
  OperationState state(op->getLoc(), op->getName(), operands, {makeTensorType(inner, elementOf(result))},
                       op->getAttrs());
  return buildReshape(builder, reshaped.getLoc(), builder.create(state)->getResult(0), result.getType());
}

} // namespace kiln
