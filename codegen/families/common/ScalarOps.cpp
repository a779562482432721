#include "codegen/families/common/ScalarOps.h"

#include <algorithm>

namespace kiln {
#include "codegen/ScalarBodies.inc"

namespace {

using Body = mlir::Value (*)(cpu::ScalarEmitter &, std::span<const mlir::Value>, const Attributes &);

struct BodyRow {
  std::string_view mnemonic;
  Body body;
};
constexpr BodyRow bodies[] = {
#define KILN_X(mnemonic, function) {mnemonic, function<cpu::ScalarEmitter>},
    KILN_SCALAR_BODIES(KILN_X)
#undef KILN_X
};

// What the definitions do not say: the function of ScalarEmitter::supports that decides the element types, and the cost
// in instructions per vector. Ops that are not listed take any type and cost 1.
struct Trait {
  std::string_view mnemonic, needs;
  int cost;
};
constexpr Trait traits[] = {
    {"sign", "", 5},
    {"ceil", "ceil", 1},
    {"floor", "floor", 1},
    {"round", "round", 1},
    {"exp", "exp", 16},
    {"log", "log", 26},
    {"sqrt", "sqrt", 8},
    {"rsqrt", "sqrt", 14},
    {"reciprocal", "sqrt", 8},
    {"sin", "sin", 40},
    {"cos", "cos", 40},
    {"tan", "tan", 80},
    {"tanh", "tanh", 25},
    {"atan", "atan", 25},
    {"erf", "erf", 25},
    {"sigmoid", "sigmoid", 26},
    {"softplus", "log1p", 55},
    {"softsign", "sqrt", 9},
    {"hard_swish", "sqrt", 5},
    {"silu", "sigmoid", 27},
    {"isnan", "isnan", 1},
    {"leaky_relu", "sqrt", 3},
    {"elu", "expm1", 30},
    {"selu", "expm1", 30},
    {"celu", "expm1", 35},
    {"hard_sigmoid", "sqrt", 4},
    {"gelu", "normal_cdf", 40},
    {"thresholded_relu", "sqrt", 2},
    {"cast", "", 2},
    {"div", "", 8},
    {"pow", "pow", 120},
    {"mod", "mod", 30},
    {"max", "", 2},
    {"min", "", 2},
    {"prelu", "", 3},
    {"bitwise_and", "bitwise_and", 1},
    {"bitwise_or", "bitwise_or", 1},
    {"bitwise_xor", "bitwise_xor", 1},
};

Body findBody(std::string_view mnemonic) {
  for (const BodyRow &row : bodies)
    if (row.mnemonic == mnemonic)
      return row.body;
  return nullptr;
}

Trait traitOf(std::string_view mnemonic) {
  for (const Trait &trait : traits)
    if (trait.mnemonic == mnemonic)
      return trait;
  return {mnemonic, "", 1};
}

bool isRegisterType(DType dtype) { return !isUnsignedInt(dtype); }

} // namespace

bool isScalarOp(std::string_view mnemonic) { return findBody(mnemonic) != nullptr; }

bool supportsScalarOp(const Problem &problem, const Problem::Op &op) {
  if (!isScalarOp(op.mnemonic) || op.operands.empty())
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
  std::string_view needs = traitOf(op.mnemonic).needs;
  return needs.empty() || cpu::ScalarEmitter::supports(needs, first);
}

int scalarOpCost(const Problem::Op &op) { return traitOf(op.mnemonic).cost; }

mlir::Value emitScalarOp(cpu::ScalarEmitter &e, const Problem &problem, const Problem::Op &op,
                         llvm::ArrayRef<mlir::Value> operands) {
  llvm::SmallVector<mlir::Value, 4> x(operands);
  if (op.mnemonic == "pow" && x[0].getType() != x[1].getType())
    x[1] = e.cast(x[1], problem.value(op.operands[0]).dtype);
  // Literals of a body have the type of the first operand that is not boolean.
  e.setConstantType(x[0].getType());
  for (mlir::Value v : x)
    if (cpu::Emitter::bitsOf(v.getType()) != 1) {
      e.setConstantType(v.getType());
      break;
    }
  return findBody(op.mnemonic)(e, std::span<const mlir::Value>(x.data(), x.size()), op.attributes);
}

} // namespace kiln
