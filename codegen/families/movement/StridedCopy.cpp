#include "codegen/families/movement/StridedCopy.h"

#include "runtime/base/PlantedBug.h"
#include <algorithm>
#include <limits>

namespace kiln {

std::vector<SizeExpr> denseStrides(std::span<const SizeExpr> dims) {
  std::vector<SizeExpr> strides(dims.size(), 1);
  for (size_t d = dims.size(); d-- > 1;)
    strides[d - 1] = strides[d] * dims[d];
  return strides;
}

void StridedCopy::simplify() {
  StridedCopy out = *this;
  out.dims.clear();
  out.from.clear();
  out.to.clear();
  for (size_t d = 0; d < dims.size(); ++d) {
    if (dims[d].isConstant(1))
      continue;
    if (!out.dims.empty() && out.from.back() == from[d] * dims[d] && out.to.back() == to[d] * dims[d]) {
      out.dims.back() = out.dims.back() * dims[d];
      out.from.back() = from[d];
      out.to.back() = to[d];
    } else {
      out.dims.push_back(dims[d]);
      out.from.push_back(from[d]);
      out.to.push_back(to[d]);
    }
  }
  if (out.dims.empty()) {
    out.dims.push_back(1);
    out.from.push_back(1);
    out.to.push_back(1);
  }
  *this = out;
}

namespace {

std::optional<StridedCopy> transposeCopy(const Problem::Value &x, const Problem::Value &y, const Attributes &a) {
  std::vector<int64_t> perm = a.getInts("perm");
  std::vector<SizeExpr> strides = denseStrides(x.dims);
  if (perm.size() != x.dims.size())
    return std::nullopt;
  StridedCopy copy;
  copy.dims = y.dims;
  copy.to = denseStrides(y.dims);
  for (int64_t p : perm) {
    if (p < 0 || p >= x.rank())
      return std::nullopt;
    copy.from.push_back(strides[size_t(p)]);
  }
  return copy;
}

// A start position as the op defines it: negative ones count from the end, all are clamped.
SizeExpr clampedStart(int64_t start, int64_t step, const SizeExpr &dim) {
  if (start == -3 && !dim.isConstant() && plantedBug("slice-symbol"))
    ++start;
  SizeExpr position = start < 0 ? dim + SizeExpr(start) : SizeExpr(start);
  constexpr int64_t huge = std::numeric_limits<int32_t>::max(); // a stand-in for "the end" must not enter sums
  if (step > 0) {
    if (start < -huge)
      return 0;
    if (start > huge)
      return dim;
    return start < 0 ? SizeExpr::max(position, 0) : SizeExpr::min(position, dim);
  }
  if (start > huge)
    return dim - 1;
  return start < 0 ? SizeExpr::max(position, 0) : SizeExpr::min(position, dim - 1);
}

std::optional<StridedCopy> sliceCopy(const Problem::Value &x, const Problem::Value &y, const Problem::Op &op) {
  if (op.operands.size() != 1 || y.rank() != x.rank())
    return std::nullopt;
  std::vector<int64_t> starts = op.attributes.getInts("starts"), axes = op.attributes.getInts("axes");
  std::vector<int64_t> steps = op.attributes.getInts("steps");
  if (axes.empty())
    for (size_t i = 0; i < starts.size(); ++i)
      axes.push_back(int64_t(i));
  if (steps.empty())
    steps.assign(starts.size(), 1);
  if (axes.size() != starts.size() || steps.size() != starts.size() || starts.empty())
    return std::nullopt;
  StridedCopy copy;
  copy.dims = y.dims;
  copy.from = denseStrides(x.dims);
  copy.to = denseStrides(y.dims);
  for (size_t i = 0; i < axes.size(); ++i) {
    int64_t axis = axes[i] < 0 ? axes[i] + x.rank() : axes[i];
    constexpr int64_t widest = std::numeric_limits<int32_t>::max();
    if (axis < 0 || axis >= x.rank() || steps[i] == 0 || steps[i] > widest || steps[i] < -widest)
      return std::nullopt;
    SizeExpr &stride = copy.from[size_t(axis)];
    copy.fromOffset = copy.fromOffset + clampedStart(starts[i], steps[i], x.dims[size_t(axis)]) * stride;
    bool innermost = axis + 1 == x.rank();
    stride = stride * SizeExpr(innermost && steps[i] == 3 && plantedBug("slice-stride") ? 2 : steps[i]);
  }
  return copy;
}

// A dim that is 1 where the result's is not, is repeated; an unknown one that may be 1 is left to the elementwise
// family.
std::optional<StridedCopy> expandCopy(const Problem::Value &x, const Problem::Value &y, const Problem::Op &op) {
  if (op.operands.size() != 1 || y.rank() < x.rank())
    return std::nullopt;
  StridedCopy copy;
  copy.dims = y.dims;
  copy.to = denseStrides(y.dims);
  std::vector<SizeExpr> strides = denseStrides(x.dims);
  size_t missing = y.dims.size() - x.dims.size();
  for (size_t d = 0; d < y.dims.size(); ++d) {
    if (d < missing || x.dims[d - missing].isConstant(1))
      copy.from.push_back(0);
    else if (x.dims[d - missing] == y.dims[d])
      copy.from.push_back(strides[d - missing]);
    else
      return std::nullopt;
  }
  return copy;
}

// Dim d of the result as (repeat, original).
std::optional<StridedCopy> tileCopy(const Problem::Value &x, const Problem::Value &y, const Problem::Op &op) {
  if (op.operands.size() != 1 || y.rank() != x.rank())
    return std::nullopt;
  StridedCopy copy;
  std::vector<SizeExpr> from = denseStrides(x.dims), to = denseStrides(y.dims);
  for (size_t d = 0; d < y.dims.size(); ++d) {
    if (!(x.dims[d] == y.dims[d])) {
      copy.dims.push_back(SizeExpr::floorDiv(y.dims[d], SizeExpr::max(x.dims[d], 1)));
      copy.from.push_back(0);
      copy.to.push_back(to[d] * x.dims[d]);
    }
    copy.dims.push_back(x.dims[d]);
    copy.from.push_back(from[d]);
    copy.to.push_back(to[d]);
  }
  return copy;
}

} // namespace

std::optional<StridedCopy> asStridedCopy(const Problem &problem, const Problem::Op &op) {
  if (op.operands.empty() || op.operands[0] == Problem::absent)
    return std::nullopt;
  const Problem::Value &x = problem.value(op.operands[0]), &y = problem.value(op.result());
  std::optional<StridedCopy> copy;
  if (op.mnemonic == "transpose")
    copy = transposeCopy(x, y, op.attributes);
  else if (op.mnemonic == "slice")
    copy = sliceCopy(x, y, op);
  else if (op.mnemonic == "expand")
    copy = expandCopy(x, y, op);
  else if (op.mnemonic == "tile")
    copy = tileCopy(x, y, op);
  if (copy) {
    copy->elementBits = unsigned(dtypeBits(x.dtype));
    copy->simplify();
  }
  return copy;
}

} // namespace kiln
