// The inner kernel that matrix products and convolutions share: a tile of `rows` x `vectors` accumulators in registers,
// fed by rows of A through a table of pointers (any rows: a matrix's, or pixels of an image) and by panels of B.
//
// B lies in panels of 16 columns, whatever the register width: panel p, step k, column c at p * panelBytes + (k * 16 +
// c) * its bytes, so that every level reads the same packed bytes; with a k-pack of n (which divides the steps), n of
// them lie side by side for each column: ((k / n * 16 + c) * n + k % n) * its bytes. Unpacked B (row-major, a multiple
// of 16 columns) is read in place. Rows of A are of ElementTypes::row. Behind a panel of quads are 16 i32, the sums of
// its columns.
#pragma once

#include "codegen/emit/Emitter.h"
#include "codegen/families/gemm/ElementTypes.h"

namespace kiln::gemm {

/// Columns of one panel of B.
inline constexpr int64_t panelColumns = 16;

struct TileShape {
  int rows = 0;
  int panels = 0; ///< of 16 columns
  bool operator==(const TileShape &) const = default;
};

struct TileOptions {
  ElementTypes types;
  int unroll = 4;            ///< steps of K per iteration, a multiple of the k-pack
  int prefetch = 0;          ///< steps of K that B is fetched ahead; 0: not at all
  bool packed = true;        ///< B in panels; else row-major
  bool contiguousA = true;   ///< step k of a row lies behind step k-1; else `aStep` bytes after it
  int64_t innerDivisor = 1;  ///< known divisor of the inner count: no remainder loop where `unroll` divides it
  int64_t tableRowBytes = 0; ///< distance of the table's taps
};

/// Emits the local function
///   tile(table: ptr, b: ptr, panelBytes: i64, bStep: i64, aStep: i64, taps: i64, inner: i64,
///        result: ptr, resultBytes: i64)        and, where a run tells the zero of rows of bytes, rowExcess: i64
///                                              and, where there are tile registers, rows: i64, how many there are
/// that sums over taps x inner steps: row i of tap t starts at the pointer table[t][i], B's steps follow one another.
/// The tile goes to `result`, rows `resultBytes` apart, both multiples of 64.
emit::LocalFunction emitRegisterTile(emit::Emitter &e, llvm::StringRef name, TileShape shape,
                                     const TileOptions &options);

/// Rows and columns of a tile register of i32, of which a tile has a block of at most two by two.
inline constexpr int tileRegisterRows = 16;
inline constexpr int mostTileRegisters = 2;

/// Vectors of accumulators in a panel's columns.
int vectorsPerPanel(const ElementTypes &types, const TargetInfo &target);
/// Registers that a tile needs, of the target's vectors.
int registersOf(TileShape shape, const ElementTypes &types, const TargetInfo &target);

} // namespace kiln::gemm
