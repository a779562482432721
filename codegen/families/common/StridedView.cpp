#include "codegen/families/common/StridedView.h"

namespace kiln {

std::vector<SizeExpr> rowMajorStrides(const std::vector<SizeExpr> &dims) {
  std::vector<SizeExpr> strides(dims.size(), SizeExpr(1));
  for (size_t d = dims.size(); d-- > 1;)
    strides[d - 1] = strides[d] * dims[d];
  return strides;
}

static std::optional<StridedView> transposed(const StridedView &from, const Problem::Op &op) {
  std::vector<int64_t> perm = op.attributes.getInts("perm");
  if (perm.size() != from.dims.size())
    return std::nullopt;
  StridedView view{from.buffer, {}, {}, from.offset};
  for (int64_t d : perm) {
    view.dims.push_back(from.dims.at(static_cast<size_t>(d)));
    view.strides.push_back(from.strides.at(static_cast<size_t>(d)));
  }
  return view;
}

/// Slices whose start does not depend on a size: forward, from a position that is not counted from the end.
static std::optional<StridedView> sliced(StridedView view, const Problem::Op &op, const std::vector<SizeExpr> &dims) {
  std::vector<int64_t> starts = op.attributes.getInts("starts"), steps = op.attributes.getInts("steps"),
                       axes = op.attributes.getInts("axes");
  if (op.operands.size() != 1 || starts.empty() || starts.size() != axes.size() || steps.size() != axes.size() ||
      dims.size() != view.dims.size())
    return std::nullopt;
  for (size_t i = 0; i < axes.size(); ++i) {
    int64_t axis = axes[i] < 0 ? axes[i] + static_cast<int64_t>(dims.size()) : axes[i];
    if (axis < 0 || axis >= static_cast<int64_t>(dims.size()) || starts[i] < 0 || steps[i] < 1)
      return std::nullopt;
    size_t d = static_cast<size_t>(axis);
    // A start past the end is clamped: only where it is known to lie inside is it the offset.
    std::optional<int64_t> size = view.dims[d].asConstant();
    if (starts[i] != 0 && !(size && starts[i] < *size))
      return std::nullopt;
    view.offset = view.offset + view.strides[d] * starts[i];
    view.strides[d] = view.strides[d] * steps[i];
    view.dims[d] = dims[d];
  }
  return view;
}

/// The same elements under other dims: groups of dims with equal products are split, or merged where each lies right
/// behind the next.
static std::optional<StridedView> reshaped(const StridedView &from, const std::vector<SizeExpr> &dims) {
  StridedView view{from.buffer, dims, std::vector<SizeExpr>(dims.size(), SizeExpr(1)), from.offset};
  size_t i = 0, j = 0;
  while (i < from.dims.size() || j < dims.size()) {
    if (i < from.dims.size() && from.dims[i].isConstant(1)) {
      ++i;
      continue;
    }
    if (j < dims.size() && dims[j].isConstant(1)) {
      ++j;
      continue;
    }
    if (i == from.dims.size() || j == dims.size())
      return std::nullopt;
    if (from.dims[i] == dims[j]) {
      view.strides[j++] = from.strides[i++];
      continue;
    }
    // One dim on one side against several on the other.
    SizeExpr product = dims[j];
    size_t last = j;
    while (last + 1 < dims.size() && !(product == from.dims[i]))
      product = product * dims[++last];
    if (product == from.dims[i]) {
      SizeExpr stride = from.strides[i];
      for (size_t k = last + 1; k-- > j;) {
        view.strides[k] = stride;
        stride = stride * dims[k];
      }
      ++i;
      j = last + 1;
      continue;
    }
    product = from.dims[i];
    last = i;
    while (last + 1 < from.dims.size() && !(product == dims[j])) {
      if (!(from.strides[last] == from.strides[last + 1] * from.dims[last + 1]))
        return std::nullopt;
      product = product * from.dims[++last];
    }
    if (!(product == dims[j]))
      return std::nullopt;
    view.strides[j++] = from.strides[last];
    i = last + 1;
  }
  return view;
}

std::optional<StridedView> StridedView::of(const Problem &problem, Problem::ValueId id) {
  if (id == Problem::absent)
    return std::nullopt;
  const Problem::Value &value = problem.value(id);
  if (value.isBuffer())
    return StridedView{id, value.dims, rowMajorStrides(value.dims), SizeExpr(0)};
  const Problem::Op *op = problem.producer(id);
  if (!op || op->operands.empty())
    return std::nullopt;
  bool known = op->mnemonic == "transpose" || op->mnemonic == "slice" || op->mnemonic == "reshape";
  std::optional<StridedView> from = known ? of(problem, op->operands[0]) : std::nullopt;
  if (!from)
    return std::nullopt;
  if (op->mnemonic == "transpose")
    return transposed(*from, *op);
  return op->mnemonic == "slice" ? sliced(*from, *op, value.dims) : reshaped(*from, value.dims);
}

std::optional<std::vector<SizeExpr>> outputStrides(const Problem &problem, Problem::ValueId id,
                                                   Problem::ValueId output) {
  if (output == id)
    return rowMajorStrides(problem.value(id).dims);
  const Problem::Op *op = problem.producer(output);
  if (!op || op->mnemonic != "transpose" || problem.useCounts().at(static_cast<size_t>(output)) != 1)
    return std::nullopt;
  std::vector<int64_t> perm = op->attributes.getInts("perm");
  std::vector<SizeExpr> own = rowMajorStrides(problem.value(output).dims), strides(perm.size());
  if (own.size() != perm.size() || op->operands.at(0) != id)
    return std::nullopt;
  for (size_t d = 0; d < perm.size(); ++d)
    strides.at(static_cast<size_t>(perm[d])) = own[d];
  return strides;
}

} // namespace kiln
