#include "codegen/families/common/Access.h"

namespace kiln {

using emit::Emitter;
using mlir::Value;

std::vector<DimUse> dimUses(std::span<const SizeExpr> dims, std::span<const SizeExpr> space) {
  std::vector<DimUse> uses(space.size(), DimUse::Broadcast);
  for (size_t i = 0; i < dims.size() && i < space.size(); ++i) {
    const SizeExpr &dim = dims[dims.size() - 1 - i];
    DimUse &use = uses[uses.size() - 1 - i];
    if (dim == space[space.size() - 1 - i])
      use = DimUse::Full;
    else if (!dim.isConstant(1))
      use = dim.isConstant() ? DimUse::Full : DimUse::Unknown;
  }
  return uses;
}

BufferAccess::BufferAccess(Emitter &e, Value base, DType dtype, std::span<const SizeExpr> dims,
                           std::span<const SizeExpr> space)
    : e_(&e), base_(base), dtype_(dtype), uses_(dimUses(dims, space)), strides_(space.size()) {
  SizeExpr stride = 1;
  for (size_t i = 0; i < dims.size() && i < space.size(); ++i) {
    size_t at = space.size() - 1 - i;
    const SizeExpr &dim = dims[dims.size() - 1 - i];
    if (uses_[at] == DimUse::Full)
      strides_[at] = e.size(stride);
    else if (uses_[at] == DimUse::Unknown)
      strides_[at] = e.select(e.cmp(emit::Cmp::eq, e.size(dim), e.index(1)), e.index(0), e.size(stride));
    stride = stride * dim;
  }
}

Value BufferAccess::rowAddress(mlir::ValueRange outer) const {
  Value elements = e_->index(0);
  for (size_t i = 0; i < outer.size(); ++i)
    if (strides_[i])
      elements = e_->add(elements, e_->mul(outer[i], strides_[i]));
  return e_->offset(base_, elements, Emitter::bytesOf(dtype_));
}

Value BufferAccess::step(Value row, Value inner) const {
  if (strides_.empty() || !strides_.back())
    return row;
  return e_->offset(row, e_->mul(inner, strides_.back()), Emitter::bytesOf(dtype_));
}

Value BufferAccess::address(mlir::ValueRange indices) const {
  if (indices.empty())
    return base_;
  return step(rowAddress(indices.drop_back()), indices.back());
}

Value BufferAccess::load(Value pointer, int64_t lanes, Value mask) const {
  Emitter &e = *e_;
  if (lanes == 0)
    return e.loadAs(dtype_, 0, pointer);
  auto broadcast = [&] { return e.splat(e.loadAs(dtype_, 0, pointer), lanes); };
  switch (inner()) {
  case DimUse::Broadcast: return broadcast();
  case DimUse::Full: return e.loadAs(dtype_, lanes, pointer, mask);
  case DimUse::Unknown: break;
  }
  Value moves = e.cmp(emit::Cmp::ne, strides_.back(), e.index(0));
  return e.ifElse(
      moves, {e.vec(e.registerType(dtype_), lanes)},
      [&] { return emit::Values{e.loadAs(dtype_, lanes, pointer, mask)}; },
      [&] { return emit::Values{broadcast()}; })[0];
}

void BufferAccess::store(Value value, Value pointer, Value mask) const { e_->storeAs(dtype_, value, pointer, mask); }

} // namespace kiln
