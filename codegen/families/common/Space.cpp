#include "codegen/families/common/Space.h"

namespace kiln {

using emit::Emitter;
using mlir::Value;

CollapsedSpace collapse(std::span<const SizeExpr> space, const std::vector<std::span<const SizeExpr>> &buffers) {
  std::vector<std::vector<DimUse>> uses;
  for (std::span<const SizeExpr> dims : buffers)
    uses.push_back(dimUses(dims, space));
  auto bufferDim = [&](size_t b, size_t d) {
    switch (uses[b][d]) {
    case DimUse::Full: return space[d];
    case DimUse::Broadcast: return SizeExpr(1);
    case DimUse::Unknown: break;
    }
    return buffers[b][buffers[b].size() - (space.size() - d)];
  };
  CollapsedSpace out;
  out.buffers.resize(buffers.size());
  size_t last = 0; // dim of `space` that was appended last
  for (size_t d = 0; d < space.size(); ++d) {
    if (space[d].isConstant(1))
      continue;
    bool merge = !out.space.empty();
    for (size_t b = 0; b < buffers.size() && merge; ++b)
      merge = uses[b][d] == uses[b][last] && uses[b][d] != DimUse::Unknown;
    if (merge) {
      out.space.back() = out.space.back() * space[d];
      for (size_t b = 0; b < buffers.size(); ++b)
        out.buffers[b].back() = out.buffers[b].back() * bufferDim(b, d);
    } else {
      out.space.push_back(space[d]);
      for (size_t b = 0; b < buffers.size(); ++b)
        out.buffers[b].push_back(bufferDim(b, d));
    }
    last = d;
  }
  if (out.space.empty()) {
    out.space.push_back(1);
    for (auto &dims : out.buffers)
      dims.push_back(1);
  }
  return out;
}

RowGrid makeRowGrid(std::span<const SizeExpr> space, int64_t block, int64_t granule) {
  RowGrid grid;
  grid.row = space.back();
  grid.rows = SizeExpr::product(space.first(space.size() - 1));
  grid.partsPerRow = SizeExpr::max(SizeExpr::ceilDiv(grid.row, 2 * block), 1);
  grid.partLength = SizeExpr::ceilDiv(SizeExpr::ceilDiv(grid.row, grid.partsPerRow), granule) * granule;
  grid.rowsPerGroup = SizeExpr::max(SizeExpr::floorDiv(block, SizeExpr::max(grid.row, 1)), 1);
  return grid;
}

void emitRows(Emitter &e, std::span<const SizeExpr> space, const RowGrid &grid,
              const std::function<void(mlir::ValueRange, Value, Value)> &body) {
  size_t outer = space.size() - 1;
  Value row = e.size(grid.row), begin = e.index(0), end = row, group = e.workgroup();
  if (!grid.partsPerRow.isConstant(1)) {
    Value parts = e.size(grid.partsPerRow);
    Value part = e.rem(group, parts);
    group = e.div(group, parts);
    Value length = e.size(grid.partLength);
    begin = e.mul(part, length);
    end = e.min(e.add(begin, length), row);
    begin = e.min(begin, end);
  }
  if (outer == 0) {
    body({}, begin, end);
    return;
  }
  Value first = e.mul(group, e.size(grid.rowsPerGroup));
  Value last = e.min(e.add(first, e.size(grid.rowsPerGroup)), e.size(grid.rows));
  if (outer == 1) {
    e.loop(first, last, e.index(1), [&](Value r) { body(r, begin, end); });
    return;
  }
  // The first row's indices by division, the following ones by counting.
  emit::Values sizes, indices(outer);
  for (size_t d = 0; d < outer; ++d)
    sizes.push_back(e.size(space[d]));
  Value rest = first;
  for (size_t d = outer; d-- > 0;) {
    indices[d] = d == 0 ? rest : e.rem(rest, sizes[d]);
    if (d > 0)
      rest = e.div(rest, sizes[d]);
  }
  e.loop(first, last, e.index(1), indices, [&](Value, mlir::ValueRange at) {
    body(at, begin, end);
    emit::Values next(at);
    Value carry = e.index(1);
    for (size_t d = outer; d-- > 0;) {
      next[d] = e.add(next[d], carry);
      if (d == 0)
        break;
      Value wraps = e.cmp(emit::Cmp::ge, next[d], sizes[d]);
      next[d] = e.select(wraps, e.index(0), next[d]);
      carry = e.select(wraps, e.index(1), e.index(0));
    }
    return next;
  });
}

void emitVectors(Emitter &e, Value begin, Value end, int64_t lanes, int unroll, unsigned elementBits,
                 const SizeExpr &length, const std::function<void(Value, int, Value)> &body) {
  std::optional<int64_t> known = length.asConstant();
  int64_t divisor = length.knownDivisor();
  Value at = begin;
  auto whole = [&](int64_t step, int count) {
    Value span = e.sub(end, at);
    Value full = step & (step - 1) ? e.mul(e.div(span, e.index(step)), e.index(step)) : e.bitAnd(span, e.index(-step));
    Value stop = e.add(at, full);
    e.loop(at, stop, e.index(step), [&](Value i) { body(i, count, Value()); });
    at = stop;
  };
  if (unroll > 1 && (!known || *known >= lanes * unroll)) {
    whole(lanes * unroll, unroll);
    if (divisor != 0 && divisor % (lanes * unroll) == 0)
      return;
  }
  if (!known || *known >= lanes) {
    whole(lanes, 1);
    if (divisor != 0 && divisor % lanes == 0)
      return;
  }
  Value left = e.sub(end, at);
  e.ifThen(e.cmp(emit::Cmp::gt, left, e.index(0)), [&] { body(at, 1, e.tailMask(lanes, left, elementBits)); });
}

} // namespace kiln
