#include "codegen/families/common/Pricing.h"

#include "codegen/families/common/Expression.h"
#include "codegen/families/common/ScalarOps.h"

#include <cmath>

namespace kiln {

double PricedProblem::value(const SizeExpr &size) const {
  if (size.isConstant())
    return double(size.constant());
  Result<int64_t> known = size.evaluate(sizes);
  return known.ok() ? double(*known) : 0;
}

double PricedProblem::product(std::span<const SizeExpr> dims) const {
  double all = 1;
  for (const SizeExpr &dim : dims)
    all *= value(dim);
  return all;
}

double PricedProblem::rowVectors(std::span<const SizeExpr> dims, double lanes) const {
  if (dims.empty())
    return 1;
  return product(dims.first(dims.size() - 1)) * std::ceil(value(dims.back()) / lanes);
}

double PricedProblem::lanes() const { return target.lanes(int(widestElement(problem))); }

double PricedProblem::elementwiseCycles() const {
  double instructions = 0;
  for (const Problem::Op &op : problem.ops)
    if (isScalarOp(op.mnemonic))
      instructions += scalarOpCost(op) * elements(op.result());
  return instructions / lanes() * vectorCycles;
}

} // namespace kiln
