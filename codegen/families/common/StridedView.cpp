#include "codegen/families/common/StridedView.h"

namespace kiln {

std::vector<SizeExpr> rowMajorStrides(const std::vector<SizeExpr> &dims) {
  std::vector<SizeExpr> strides(dims.size(), SizeExpr(1));
  for (size_t d = dims.size(); d-- > 1;)
    strides[d - 1] = strides[d] * dims[d];
  return strides;
}

std::optional<StridedView> StridedView::of(const Problem &problem, Problem::ValueId id) {
  if (id == Problem::absent)
    return std::nullopt;
  const Problem::Value &value = problem.value(id);
  if (value.isBuffer())
    return StridedView{id, value.dims, rowMajorStrides(value.dims)};
  const Problem::Op *op = problem.producer(id);
  if (!op || op->mnemonic != "transpose")
    return std::nullopt;
  std::optional<StridedView> from = of(problem, op->operands.at(0));
  std::vector<int64_t> perm = op->attributes.getInts("perm");
  if (!from || perm.size() != from->dims.size())
    return std::nullopt;
  StridedView view{from->buffer, {}, {}};
  for (int64_t d : perm) {
    view.dims.push_back(from->dims.at(static_cast<size_t>(d)));
    view.strides.push_back(from->strides.at(static_cast<size_t>(d)));
  }
  return view;
}

std::optional<std::vector<SizeExpr>> outputStrides(const Problem &problem, Problem::ValueId id, Problem::ValueId output) {
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
