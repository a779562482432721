#include "codegen/families/common/ScalarOps.h"

#include "dialects/kiln/OpTable.h"
#include "runtime/base/PlantedBug.h"

#include <algorithm>

namespace kiln {
#include "codegen/ScalarBodies.inc"

namespace {

using Body = mlir::Value (*)(emit::ScalarEmitter &, std::span<const mlir::Value>, const Attributes &);

struct BodyRow {
  std::string_view mnemonic;
  Body body;
};
constexpr BodyRow bodies[] = {
#define KILN_X(mnemonic, function) {mnemonic, function<emit::ScalarEmitter>},
    KILN_SCALAR_BODIES(KILN_X)
#undef KILN_X
};

Body findBody(std::string_view mnemonic) {
  for (const BodyRow &row : bodies)
    if (row.mnemonic == mnemonic)
      return row.body;
  return nullptr;
}

bool isRegisterType(DType dtype) { return dtype != DType::U64; }

} // namespace

bool isScalarOp(std::string_view mnemonic) { return findBody(mnemonic) != nullptr; }

bool supportsScalarOp(const Problem &problem, const Problem::Op &op) {
  const OpInfo *info = findOp(op.mnemonic);
  if (!info || !info->elementwise || op.operands.empty())
    return false;
  for (Problem::ValueId id : op.operands)
    if (id == Problem::absent || !isRegisterType(problem.value(id).dtype))
      return false;
  if (!isRegisterType(problem.value(op.result()).dtype))
    return false;
  DType first = problem.value(op.operands[0]).dtype;
  auto emits = [&](std::string_view function) { return emit::ScalarEmitter::supports(function, first); };
  std::span<const std::string_view> functions = info->body.calls(op.attributes);
  return info->body.takes(first) && std::all_of(functions.begin(), functions.end(), emits);
}

int scalarOpCost(const Problem::Op &op) {
  const OpInfo *info = findOp(op.mnemonic);
  return info ? info->body.cost : 0;
}

mlir::Value emitScalarOp(emit::ScalarEmitter &e, const Problem &problem, const Problem::Op &op,
                         llvm::ArrayRef<mlir::Value> operands) {
  llvm::SmallVector<mlir::Value, 4> x(operands);
  if (op.mnemonic == "pow" && x[0].getType() != x[1].getType())
    x[1] = e.cast(x[1], problem.value(op.operands[0]).dtype);
  const std::vector<SizeExpr> &dims = problem.value(op.result()).dims;
  std::optional<int64_t> inner = dims.empty() ? std::nullopt : dims.back().asConstant();
  if (op.mnemonic == "sub" && dims.size() == 3 && plantedBug("sub-operands", inner, 16, 3))
    std::swap(x[0], x[1]);
  if (op.mnemonic == "cast" && isFloat(problem.value(op.operands[0]).dtype) &&
      !isFloat(problem.value(op.result()).dtype) && plantedBug("cast-rounding", inner, 4, 3))
    x[0] = e.round(x[0]);
  // Literals of a body have the type of the first operand that is not boolean.
  e.setConstantType(x[0].getType());
  for (mlir::Value v : x)
    if (emit::Emitter::bitsOf(v.getType()) != 1) {
      e.setConstantType(v.getType());
      break;
    }
  mlir::Value result = findBody(op.mnemonic)(e, std::span<const mlir::Value>(x.data(), x.size()), op.attributes);
  DType dtype = problem.value(op.result()).dtype;
  return isUnsignedInt(dtype) ? e.wrap(result, dtype) : result;
}

} // namespace kiln
