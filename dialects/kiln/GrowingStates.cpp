#include "dialects/kiln/GrowingStates.h"

#include "dialects/kiln/Movement.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;

namespace kiln {

/// Whether a value is a concat along the axis, of others with `part` or with such a concat of it.
static bool holdsAlong(Value value, Value part, unsigned axis) {
  auto concat = value.getDefiningOp<ConcatOp>();
  if (!concat)
    return false;
  auto along = int64_t(concat.getAxis());
  return (along < 0 ? along + getRank(value.getType()) : along) == int64_t(axis) &&
         llvm::any_of(concat.getXs(), [&](Value x) { return x == part || holdsAlong(x, part, axis); });
}

std::optional<unsigned> growingAxis(Value before, Value after, const SizeTable &sizes) {
  Dims from = getDims(before), to = getDims(after);
  std::optional<unsigned> axis;
  if (from.size() != to.size())
    return axis;
  for (unsigned d = 0; d < from.size(); ++d) {
    if (sizes.equal(from[d], to[d]))
      continue;
    if (axis || from[d].isInvalid() || to[d].isInvalid())
      return std::nullopt;
    axis = d;
  }
  if (!axis)
    return axis;
  SizeExpr old = sizes.expand(from[*axis]), added = sizes.expand(to[*axis]) - old;
  bool grows = sizes.lowerBound(added).value_or(-1) >= 0 || after.getDefiningOp<SliceOp>() ||
               holdsAlong(after, before, *axis); // sizes that the model makes equal may hide it
  return old.isConstant() || !grows ? std::nullopt : axis;
}

SmallVector<int64_t> toStoredOrder(size_t axis, size_t rank) {
  SmallVector<int64_t> order{int64_t(axis)};
  for (size_t d = 0; d < rank; ++d)
    if (d != axis)
      order.push_back(int64_t(d));
  return order;
}

SmallVector<int64_t> toModelOrder(size_t axis, size_t rank) {
  SmallVector<int64_t> order;
  for (size_t d = 1; d < rank; ++d)
    order.push_back(int64_t(d));
  order.insert(order.begin() + ptrdiff_t(axis), 0);
  return order;
}

static bool joinsFirstAxis(Operation *op) {
  auto concat = dyn_cast_or_null<ConcatOp>(op);
  return concat && concat.getAxis() == 0;
}

/// Whether a value is what is returned as the state, or becomes it by adding to it.
static bool becomes(Value value, func::FuncOp function, StringAttr state) {
  return llvm::any_of(value.getUses(), [&](OpOperand &use) {
    if (isa<func::ReturnOp>(use.getOwner()))
      return function.getResultAttr(use.getOperandNumber(), stateAttrName) == state;
    return joinsFirstAxis(use.getOwner()) && use.getOperandNumber() == 0 &&
           becomes(use.getOwner()->getResult(0), function, state);
  });
}

bool isAppend(Operation *op) {
  if (!joinsFirstAxis(op))
    return false;
  Value first = op->getOperand(0);
  while (joinsFirstAxis(first.getDefiningOp()))
    first = first.getDefiningOp()->getOperand(0);
  auto argument = dyn_cast<BlockArgument>(first);
  auto function = argument ? dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp()) : func::FuncOp();
  if (!function || !function.getArgAttr(argument.getArgNumber(), growingAttrName))
    return false;
  auto state = function.getArgAttrOfType<StringAttr>(argument.getArgNumber(), stateAttrName);
  return becomes(op->getResult(0), function, state);
}

} // namespace kiln
