// Iteration spaces of pointwise kernels: collapsing dims that every buffer walks alike, splitting into workgroups, and
// the walk over the rows of one workgroup.
#pragma once

#include "codegen/emit/Emitter.h"
#include "codegen/families/common/Access.h"
#include "codegen/problem/Problem.h"

#include <functional>

namespace kiln {

/// The dims of a space and of the buffers that broadcast into it, with neighbouring dims merged wherever all of them
/// allow.
struct CollapsedSpace {
  std::vector<SizeExpr> space;                // at least one dim; the last one is the row
  std::vector<std::vector<SizeExpr>> buffers; // aligned with `space`, one list per buffer given
};
CollapsedSpace collapse(std::span<const SizeExpr> space, const std::vector<std::span<const SizeExpr>> &buffers);

/// How a space is cut into workgroups of about `block` elements: groups of whole rows, or parts of one row.
struct RowGrid {
  SizeExpr rows, row, rowsPerGroup, partsPerRow, partLength;
  SizeExpr grid() const { return SizeExpr::ceilDiv(rows, rowsPerGroup) * partsPerRow; }
};
/// Parts of a row are multiples of `granule` elements.
RowGrid makeRowGrid(std::span<const SizeExpr> space, int64_t block, int64_t granule);

/// Emits the walk of the current workgroup: `body(outer, begin, end)` once per row, with the indices of the dims before
/// the last and the range of the last.
void emitRows(emit::Emitter &e, std::span<const SizeExpr> space, const RowGrid &grid,
              const std::function<void(mlir::ValueRange outer, mlir::Value begin, mlir::Value end)> &body);

/// Emits the walk of [begin, end) in steps of whole vectors: `body(index, mask, count)` for `unroll` vectors at a time
/// first (count = unroll, no mask), then one at a time, the last one with a mask. Parts that the size rules out are
/// left out. All indices are relative to what body makes of them.
void emitVectors(emit::Emitter &e, mlir::Value begin, mlir::Value end, int64_t lanes, int unroll, unsigned elementBits,
                 const SizeExpr &length,
                 const std::function<void(mlir::Value index, int count, mlir::Value mask)> &body);

} // namespace kiln
