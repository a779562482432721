// BufferAccess: reads and writes a dense buffer at points of an iteration space that it broadcasts into.
#pragma once

#include "codegen/emit/Emitter.h"
#include "codegen/problem/Problem.h"

#include <span>

namespace kiln {

/// How a dim of a buffer relates to the dim of the iteration space that it is aligned with.
enum class DimUse {
  Full,      ///< the same size
  Broadcast, ///< one element (or the buffer lacks the dim)
  Unknown,   ///< either; only the run-time size tells
};

/// Right-aligned comparison of `dims` with `space`, one entry per dim of the space.
std::vector<DimUse> dimUses(std::span<const SizeExpr> dims, std::span<const SizeExpr> space);

/// Addressing of one buffer by indices of the iteration space. Strides are computed where the object is made, so make
/// it at the top of a kernel.
class BufferAccess {
public:
  /// `dims` are the buffer's own (row-major), broadcast into `space`.
  BufferAccess(emit::Emitter &e, mlir::Value base, DType dtype, std::span<const SizeExpr> dims,
               std::span<const SizeExpr> space);

  /// How it moves along the innermost dim of the space.
  DimUse inner() const { return uses_.empty() ? DimUse::Broadcast : uses_.back(); }
  const std::vector<DimUse> &uses() const { return uses_; }
  DType dtype() const { return dtype_; }

  /// Address of the element at `indices` (i64 each, one per dim of the space).
  mlir::Value address(mlir::ValueRange indices) const;
  /// The same with the innermost index left out (taken as 0), and a step along it.
  mlir::Value rowAddress(mlir::ValueRange outer) const;
  mlir::Value step(mlir::Value row, mlir::Value inner) const;

  /// `lanes` elements along the innermost dim (0: one scalar) from `pointer`, which step() or address() gave; one
  /// element in every lane where the buffer broadcasts along it.
  mlir::Value load(mlir::Value pointer, int64_t lanes, mlir::Value mask = {}) const;
  void store(mlir::Value value, mlir::Value pointer, mlir::Value mask = {}) const;

private:
  emit::Emitter *e_;
  mlir::Value base_;
  DType dtype_;
  std::vector<DimUse> uses_;
  llvm::SmallVector<mlir::Value, 6> strides_; // in elements; null where 0
};

} // namespace kiln
