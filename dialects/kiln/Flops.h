// The floating-point operations of an op, as an expression over sizes: 2 for a multiply-add, 1 for every other
// elementwise step; what only moves elements does none. Needs no MLIR.
#pragma once

#include "dialects/kiln/OpTable.h"
#include "runtime/base/SizeExpr.h"

#include <optional>
#include <span>
#include <vector>

namespace kiln {

/// What an op's work depends on.
struct OpSizes {
  const Attributes &attributes;
  std::vector<std::optional<std::span<const SizeExpr>>> operands; ///< dims; nothing where absent
  std::span<const SizeExpr> result;                               ///< dims of the first result, which stands for all

  bool has(size_t operand) const { return operand < operands.size() && operands[operand]; }
  /// Whether the operand is there, with at least that many dims.
  bool hasRank(size_t operand, size_t rank) const { return has(operand) && operands[operand]->size() >= rank; }
  std::span<const SizeExpr> dims(size_t operand) const { return *operands[operand]; }
  SizeExpr elements(size_t operand) const { return SizeExpr::product(dims(operand)); }
  SizeExpr results() const { return SizeExpr::product(result); }
};

// The formulas of ops whose definition states no number per element: 0 where operands are not what the op takes.
#define KILN_FLOP_FORMULA(name) SizeExpr flops_##name(const OpSizes &op);
#include "dialects/kiln/FlopFormulas.inc"
#undef KILN_FLOP_FORMULA

/// Of an op on floating-point numbers.
SizeExpr flopsOf(const OpInfo &info, const OpSizes &op);

} // namespace kiln
