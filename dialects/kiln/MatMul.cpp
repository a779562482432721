#include "dialects/kiln/MatMul.h"

#include "dialects/kiln/ShapeRules.h"
#include "mlir/IR/OpImplementation.h"

using namespace mlir;

namespace kiln {

Result<ResultShapes> MatMulOp::inferShapes(ShapeContext &context) {
  Dims a = getDims(getA()), b = getDims(getB());
  if (a.size() < 2 || b.size() < 2)
    return makeError(ErrorCode::E0304, "operands must have rank 2 or more");
  if (elementTypeOf(getA()) != elementTypeOf(getB()))
    return makeError(ErrorCode::E0305, "operands have different element types");
  size_t ra = a.size(), rb = b.size();
  SizeExpr m = a[ra - 2], ka = a[ra - 1], kb = b[rb - 2], n = b[rb - 1];
  if (getTransposeA())
    std::swap(m, ka);
  if (getTransposeB())
    std::swap(kb, n);
  KILN_TRY(context.requireEqual(ka, kb).withContext("operands " + printDims(a) + " and " + printDims(b) +
                                                    " do not multiply: "));
  KILN_ASSIGN(Dims dims, context.broadcast(ArrayRef(a).drop_back(2), ArrayRef(b).drop_back(2)));
  dims.push_back(m);
  dims.push_back(n);
  return one(dims, elementTypeOf(getA()));
}

Result<ResultShapes> DetOp::inferShapes(ShapeContext &context) {
  Dims dims = getDims(getX());
  if (dims.size() < 2)
    return makeError(ErrorCode::E0304, "the operand must have rank 2 or more");
  if (!isa<FloatType>(elementTypeOf(getX())))
    return makeError(ErrorCode::E0305, "the operand must be of a floating-point type");
  KILN_TRY(context.requireEqual(dims[dims.size() - 2], dims.back()).withContext("matrices must be square: "));
  dims.pop_back_n(2);
  return one(dims, elementTypeOf(getX()));
}

// --- dft

Result<ResultShapes> DftOp::inferShapes(ShapeContext &context) {
  Dims dims = getDims(getX());
  if (!isa<FloatType>(elementTypeOf(getX())))
    return makeError(ErrorCode::E0305, "the operand must be of a floating-point type");
  if (dims.size() < 2)
    return makeError(ErrorCode::E0304, "the operand must have rank 2 or more");
  const int64_t rank = dims.size();
  if (dims.back().isConstant() && !dims.back().isConstant(1) && !dims.back().isConstant(2))
    return makeError(ErrorCode::E0304, "the last dim must be 1 or 2, not ", dims.back().print());
  SizeExpr axis{int64_t(getAxis())}, length{int64_t(getLength())};
  if (getAlong()) {
    KILN_ASSIGN(axis, oneInteger(context, getAlong(), "the axis"));
  }
  if (getCount()) {
    KILN_ASSIGN(length, oneInteger(context, getCount(), "the length"));
  } else if (int64_t(getLength()) < 0) {
    return makeError(ErrorCode::E0411, "length is ", int64_t(getLength()), ", expected 0 or more");
  }
  dims.back() = getInverse() && getOnesided() ? 1 : 2;
  const bool sameSize = !getOnesided() && !getCount() && getLength() == 0;
  if (!axis.isConstant()) {
    for (SizeExpr &dim : llvm::drop_end(dims))
      dim = sameSize ? dim : SizeExpr::invalid();
    return one(dims, elementTypeOf(getX()));
  }
  KILN_ASSIGN(int64_t at, normalizeAxis(axis.constant(), rank));
  if (at == rank - 1)
    return makeError(ErrorCode::E0412, "axis ", at, " holds real and imaginary parts");
  const SizeExpr signal = dims[at];
  if (getCount() ? length.isInvalid() : signal.isInvalid() && length.isConstant(0)) {
    dims[at] = SizeExpr::invalid();
    return one(dims, elementTypeOf(getX()));
  }
  if (!getCount() && length.isConstant(0))
    length = getInverse() && getOnesided() ? (signal - 1) * 2 : signal;
  if (length.isConstant() && length.constant() < 1)
    return makeError(ErrorCode::E0304, "the length of the transform is ", length.print(), ", expected 1 or more");
  KILN_TRY(context.requireNotNegative(length - 1));
  dims[at] = getOnesided() && !getInverse() ? SizeExpr::floorDiv(length, SizeExpr(2)) + 1 : length;
  return one(dims, elementTypeOf(getX()));
}

} // namespace kiln

#define GET_OP_CLASSES
#include "dialects/kiln/MatMul.cpp.inc"
