#include "codegen/families/conv/PixelRows.h"

namespace kiln {

using namespace emit;

SizeExpr PixelRows::scratchBytes(const Convolution &conv) {
  SizeExpr bytes = slotBytes + addressBytes * static_cast<int64_t>(1 + conv.spatialRank());
  if (conv.padded())
    bytes = bytes + SizeExpr::ceilDiv(conv.groupChannels, 16) * (16 * conv.types.rowBytes());
  return bytes;
}

SizeExpr PixelRows::stepBytes(size_t dim) const {
  SizeExpr bytes = conv.channels * conv.types.rowBytes();
  for (size_t d = conv.spatialRank(); --d > dim;)
    bytes = bytes * conv.in[d];
  return bytes;
}

Value PixelRows::addressOf(Value pointer) {
  // Pointers and integers are the same in memory.
  e.store(pointer, slot);
  return e.load(e.i64(), slot);
}

void PixelRows::begin(Value inputPointer, Value scratch, Value zero) {
  slot = scratch;
  state = e.offset(scratch, slotBytes);
  input = addressOf(inputPointer);
  if (!conv.padded())
    return;
  Value row = e.offset(state, addressBytes * static_cast<int64_t>(1 + conv.spatialRank()));
  int64_t lanes = conv.types.lanes(e.target()), bytes = conv.types.rowBytes();
  e.loop(0, e.size(SizeExpr::ceilDiv(conv.groupChannels, 16) * 16), lanes, [&](Value i) {
    Value at = e.offset(row, i, bytes);
    Value fill = zero ? e.splat(zero, lanes) : e.constant(e.vec(e.registerType(conv.types.row), lanes), 0.0);
    e.store(fill, at, static_cast<unsigned>(lanes * bytes));
  });
  zeros = addressOf(row);
}

void PixelRows::fill(Value group, Value row0, Value table) {
  fillCoordinates(group, row0);
  fillTaps(0, e.index(0), e.index(0), {}, table);
}

void PixelRows::fillCoordinates(Value group, Value row0) {
  size_t rank = conv.spatialRank();
  Value rest = row0, one = e.index(1), zero = e.index(0);
  Values position(rank + 1); // image, then output coordinates
  for (size_t d = rank; d-- > 0;) {
    Value size = e.size(conv.out[d]);
    position[d + 1] = e.rem(rest, size);
    rest = e.div(rest, size);
  }
  position[0] = rest;
  Value last = e.sub(e.size(conv.pixels()), one);
  Value base = e.add(input, e.mul(group, e.size(conv.groupChannels * conv.types.rowBytes())));
  SizeExpr imageBytes = conv.channels * conv.types.rowBytes();
  for (const SizeExpr &size : conv.in)
    imageBytes = imageBytes * size;
  e.loop(zero, e.index(tileRows), one, position, [&](Value i, ValueRange at) {
    Value address = e.add(base, e.mul(at[0], e.size(imageBytes)));
    for (size_t d = 0; d < rank; ++d) {
      Value start = e.sub(e.mul(at[d + 1], e.index(conv.strides[d])), e.index(conv.padsBegin[d]));
      e.store(start, e.offset(coordinates(d), i, 8));
      address = e.add(address, e.mul(start, e.size(stepBytes(d))));
    }
    e.store(address, e.offset(state, i, 8));
    // The next pixel, carrying from the innermost coordinate outwards; the last pixel stays.
    Value carry = e.cmp(Cmp::lt, e.add(row0, i), last);
    Values next(at.begin(), at.end());
    for (size_t d = rank; d-- > 0;) {
      Value up = e.add(at[d + 1], one);
      Value wraps = e.cmp(Cmp::ge, up, e.size(conv.out[d]));
      next[d + 1] = e.select(carry, e.select(wraps, zero, up), at[d + 1]);
      carry = e.bitAnd(carry, wraps);
    }
    next[0] = e.select(carry, e.add(at[0], one), at[0]);
    return next;
  });
}

void PixelRows::fillTaps(size_t dim, Value tap, Value tapBytes, std::vector<Value> places, Value table) {
  if (dim == conv.spatialRank())
    return fillTap(tap, tapBytes, places, table);
  e.loop(0, e.size(conv.kernel[dim]), 1, [&](Value k) {
    Value place = e.mul(k, e.index(conv.dilations[dim]));
    std::vector<Value> inner = places;
    inner.push_back(place);
    fillTaps(dim + 1, e.add(e.mul(tap, e.size(conv.kernel[dim])), k),
             e.add(tapBytes, e.mul(place, e.size(stepBytes(dim)))), inner, table);
  });
}

void PixelRows::fillTap(Value tap, Value tapBytes, const std::vector<Value> &places, Value table) {
  constexpr int64_t lanes = 8;
  auto vector = e.vec(e.i64(), lanes);
  Value row = e.offset(table, tap, tableRowBytes);
  for (int64_t first = 0; first < tileRows; first += lanes) {
    Value address = e.add(e.load(vector, e.offset(state, first * 8)), e.splat(tapBytes, lanes));
    Value inside;
    for (size_t d = 0; d < conv.spatialRank(); ++d) {
      if (!checked(d))
        continue;
      Value at = e.add(e.load(vector, e.offset(coordinates(d), first * 8)), e.splat(places[d], lanes));
      Value ok =
          e.bitAnd(e.cmp(Cmp::ge, at, e.constant(vector, 0)), e.cmp(Cmp::lt, at, e.splat(e.size(conv.in[d]), lanes)));
      inside = inside ? e.bitAnd(inside, ok) : ok;
    }
    if (inside)
      address = e.select(inside, address, e.splat(zeros, lanes));
    e.store(address, e.offset(row, first * 8));
  }
}

} // namespace kiln
