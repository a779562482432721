#include "codegen/families/common/ScalarOps.h"

#include "codegen/families/common/ScalarBodies.h"

#include <algorithm>

namespace kiln {
namespace {

using Body = mlir::Value (*)(cpu::ScalarEmitter &, llvm::ArrayRef<mlir::Value>, const Attributes &);

// `needs` names the function of ScalarEmitter::supports that decides the element types; empty: any.
struct Row {
  std::string_view mnemonic;
  Body body;
  std::string_view needs;
  int cost;
};

constexpr Row rows[] = {
    {"abs", emitAbs, "", 1},
    {"neg", emitNeg, "", 1},
    {"sign", emitSign, "", 5},
    {"ceil", emitCeil, "ceil", 1},
    {"floor", emitFloor, "floor", 1},
    {"round", emitRound, "round", 1},
    {"exp", emitExp, "exp", 16},
    {"log", emitLog, "log", 26},
    {"sqrt", emitSqrt, "sqrt", 8},
    {"rsqrt", emitRsqrt, "sqrt", 14},
    {"reciprocal", emitReciprocal, "sqrt", 8},
    {"sin", emitSin, "sin", 40},
    {"cos", emitCos, "cos", 40},
    {"tan", emitTan, "tan", 80},
    {"tanh", emitTanh, "tanh", 25},
    {"atan", emitAtan, "atan", 25},
    {"erf", emitErf, "erf", 25},
    {"sigmoid", emitSigmoid, "sigmoid", 26},
    {"softplus", emitSoftplus, "log1p", 55},
    {"softsign", emitSoftsign, "sqrt", 9},
    {"relu", emitRelu, "", 1},
    {"hard_swish", emitHardSwish, "sqrt", 5},
    {"silu", emitSilu, "sigmoid", 27},
    {"not", emitNot, "", 1},
    {"isnan", emitIsNan, "isnan", 1},
    {"leaky_relu", emitLeakyRelu, "sqrt", 3},
    {"elu", emitElu, "expm1", 30},
    {"selu", emitSelu, "expm1", 30},
    {"celu", emitCelu, "expm1", 35},
    {"hard_sigmoid", emitHardSigmoid, "sqrt", 4},
    {"gelu", emitGelu, "normal_cdf", 40},
    {"thresholded_relu", emitThresholdedRelu, "sqrt", 2},
    {"cast", emitCast, "", 2},
    {"add", emitAdd, "", 1},
    {"sub", emitSub, "", 1},
    {"mul", emitMul, "", 1},
    {"div", emitDiv, "", 8},
    {"pow", emitPow, "pow", 120},
    {"mod", emitMod, "mod", 30},
    {"max", emitMax, "", 2},
    {"min", emitMin, "", 2},
    {"prelu", emitPrelu, "", 3},
    {"and", emitAnd, "", 1},
    {"or", emitOr, "", 1},
    {"xor", emitXor, "", 1},
    {"equal", emitEqual, "", 1},
    {"less", emitLess, "", 1},
    {"less_equal", emitLessEqual, "", 1},
    {"greater", emitGreater, "", 1},
    {"greater_equal", emitGreaterEqual, "", 1},
    {"bitwise_and", emitBitwiseAnd, "bitwise_and", 1},
    {"bitwise_or", emitBitwiseOr, "bitwise_or", 1},
    {"bitwise_xor", emitBitwiseXor, "bitwise_xor", 1},
    {"where", emitWhere, "", 1},
};

const Row *find(std::string_view mnemonic) {
  for (const Row &row : rows)
    if (row.mnemonic == mnemonic)
      return &row;
  return nullptr;
}

bool isRegisterType(DType dtype) { return !isUnsignedInt(dtype); }

} // namespace

bool isScalarOp(std::string_view mnemonic) { return find(mnemonic) != nullptr; }

bool supportsScalarOp(const Problem &problem, const Problem::Op &op) {
  const Row *row = find(op.mnemonic);
  if (!row || op.operands.empty())
    return false;
  for (Problem::ValueId id : op.operands)
    if (id == Problem::absent || !isRegisterType(problem.value(id).dtype))
      return false;
  if (!isRegisterType(problem.value(op.result).dtype))
    return false;
  DType first = problem.value(op.operands[0]).dtype;
  // Order, sums and the like of booleans are not what i1 arithmetic gives.
  static constexpr std::string_view onBool[] = {"not", "and", "or", "xor", "equal", "cast", "where"};
  if (first == DType::Bool && std::find(std::begin(onBool), std::end(onBool), op.mnemonic) == std::end(onBool))
    return false;
  if (op.mnemonic == "gelu" && op.attributes.getBool("tanh"))
    return cpu::ScalarEmitter::supports("sigmoid", first);
  return row->needs.empty() || cpu::ScalarEmitter::supports(row->needs, first);
}

int scalarOpCost(const Problem::Op &op) {
  const Row *row = find(op.mnemonic);
  return row ? row->cost : 1;
}

mlir::Value emitScalarOp(cpu::ScalarEmitter &e, const Problem &problem, const Problem::Op &op,
                         llvm::ArrayRef<mlir::Value> operands) {
  const Row *row = find(op.mnemonic);
  if (op.mnemonic == "pow" && operands[0].getType() != operands[1].getType()) {
    mlir::Value exponent = e.cast(operands[1], problem.value(op.operands[0]).dtype);
    return row->body(e, {operands[0], exponent}, op.attributes);
  }
  return row->body(e, operands, op.attributes);
}

} // namespace kiln
