// RowWalk: sweeps over one row in vectors, for kernels that reduce rows (norms, softmax, inner reductions).
#pragma once

#include "codegen/emit/Emitter.h"
#include "runtime/base/SizeExpr.h"

#include <functional>
#include <map>
#include <vector>

namespace kiln {

/// One vector of the row: its first element, which lanes exist (null: all) and, in unrolled walks, its number.
struct RowChunk {
  mlir::Value index;
  mlir::Value mask;
  int number = -1;
};

class RowWalk {
public:
  /// A row of `length` elements. Rows that are short and known are unrolled whole, and stashed in registers.
  RowWalk(emit::Emitter &e, const SizeExpr &length, int64_t lanes, unsigned elementBits, int unroll,
          int maxUnrolledChunks);

  /// Vectors of a row that is unrolled; 0 for others.
  static int unrolledChunks(const SizeExpr &length, int64_t lanes, int most);

  int64_t lanes() const { return lanes_; }
  bool unrolled() const { return chunks_ > 0; }

  using Visit = std::function<void(const RowChunk &)>;
  void forEach(const Visit &visit);

  /// Folds the row: `init` are the identities (vectors), `step` returns the new accumulators for one chunk, and must
  /// apply the chunk's mask itself; `merge` joins two sets of accumulators. Several sets run side by side.
  using Step = std::function<emit::Values(const RowChunk &, mlir::ValueRange accumulators)>;
  using Merge = std::function<emit::Values(mlir::ValueRange, mlir::ValueRange)>;
  emit::Values reduce(mlir::ValueRange init, const Step &step, const Merge &merge);

  /// `value` where the chunk has elements, `other` elsewhere.
  mlir::Value masked(const RowChunk &chunk, mlir::Value value, mlir::Value other);

private:
  emit::Emitter &e_;
  SizeExpr length_;
  int64_t lanes_;
  unsigned bits_;
  int unroll_;
  int chunks_ = 0;
};

/// A row's worth of vectors kept between sweeps: registers in unrolled walks, else `memory` (room for the row rounded
/// up to whole vectors).
class RowStash {
public:
  RowStash(emit::Emitter &e, mlir::Value memory) : e_(e), memory_(memory) {}
  static SizeExpr bytes(const SizeExpr &length, int64_t lanes, int64_t elementBytes) {
    return (length + lanes) * elementBytes;
  }
  void put(const RowChunk &chunk, mlir::Value value);
  mlir::Value get(const RowChunk &chunk, mlir::Type type);

private:
  emit::Emitter &e_;
  mlir::Value memory_;
  std::map<int, mlir::Value> registers_;
};

} // namespace kiln
