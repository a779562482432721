// Row pointers of an implicit matrix product over pixels: for a tile of output pixels and every kernel tap, where the
// channels that the tap reads start, or a row of zeros where it falls into the padding.
#pragma once

#include "codegen/emit/Emitter.h"
#include "codegen/families/conv/Convolution.h"

namespace kiln {

class PixelRows {
public:
  /// `tileRows` pointers per tap, taps `tableRowBytes` apart.
  PixelRows(emit::Emitter &e, const Convolution &conv, int tileRows, int64_t tableRowBytes)
      : e(e), conv(conv), tileRows(tileRows), tableRowBytes(tableRowBytes) {}

  /// Scratch it needs beside the tables.
  static SizeExpr scratchBytes(const Convolution &conv);
  /// To be emitted once per workgroup before `fill`: lays out `scratch`. `input` is of ElementTypes::row; in
  /// rows of bytes, `zero` stands for 0.
  void begin(emit::Value input, emit::Value scratch, emit::Value zero = {});
  /// The table of the pixels row0 .. row0 + tileRows - 1 (those past the last one repeat it), channels of `group`.
  void fill(emit::Value group, emit::Value row0, emit::Value table);

private:
  static constexpr int64_t addressBytes = 8 * 16, slotBytes = 64;
  void fillCoordinates(emit::Value group, emit::Value row0);
  void fillTaps(size_t dim, emit::Value tap, emit::Value tapBytes, std::vector<emit::Value> places, emit::Value table);
  void fillTap(emit::Value tap, emit::Value tapBytes, const std::vector<emit::Value> &places, emit::Value table);
  emit::Value coordinates(size_t dim) { return e.offset(state, addressBytes * int64_t(1 + dim)); }
  emit::Value addressOf(emit::Value pointer);
  /// Bytes from one position to the next along a spatial dim of the input.
  SizeExpr stepBytes(size_t dim) const;
  bool checked(size_t dim) const { return conv.padsBegin[dim] > 0 || conv.padsEnd[dim] > 0; }

  emit::Emitter &e;
  const Convolution &conv;
  int tileRows;
  int64_t tableRowBytes;
  emit::Value state, slot, input, zeros;
};

} // namespace kiln
