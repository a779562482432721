// Code of strided copies: rows, repeated elements, transposed tiles, interleaved channels, single elements.
#include "codegen/families/common/Space.h"
#include "codegen/families/movement/StridedCopy.h"

#include <algorithm>

namespace kiln {

using emit::Cmp;
using emit::Emitter;
using emit::Values;
using mlir::Value;
using mlir::ValueRange;

namespace {

enum class Method {
  Rows,       // the innermost dim is dense on both sides
  Repeat,     // the innermost dim repeats one element
  Tiles,      // another dim is dense in the source: square tiles are transposed in registers
  Interleave, // that, with an innermost dim of 2 to 4 elements
  Elements,
};

struct CopyLoops {
  Method method = Method::Elements;
  size_t across = 0;           // Tiles, Interleave: the dim that is dense in the source
  std::vector<SizeExpr> space; // walked by workgroups as rows
};

bool writesDense(const StridedCopy &copy) { return copy.to.back().isConstant(1); }

CopyLoops loopsOf(const StridedCopy &copy) {
  CopyLoops loops;
  loops.space = copy.dims;
  if (!writesDense(copy))
    return loops;
  if (copy.from.back().isConstant(1)) {
    loops.method = Method::Rows;
    return loops;
  }
  if (copy.from.back().isConstant(0)) {
    loops.method = Method::Repeat;
    return loops;
  }
  for (size_t d = 0; d + 1 < copy.dims.size(); ++d) {
    if (!copy.from[d].isConstant(1))
      continue;
    loops.across = d;
    std::optional<int64_t> inner = copy.dims.back().asConstant();
    if (inner && *inner <= 4 && d + 2 == copy.dims.size() && copy.to[d] == copy.dims.back()) {
      loops.method = Method::Interleave;
      loops.space.pop_back(); // a row is the dim that is dense in the source
    } else if (std::optional<int64_t> dense = copy.dims[d].asConstant(); !dense || *dense > 4) {
      loops.method = Method::Tiles; // of fewer they would be mostly empty
    }
    return loops;
  }
  return loops;
}

// The side of a transposed tile: a register of lanes, at most 16.
int64_t tileSide(const TargetInfo &target, unsigned bits) {
  return std::min<int64_t>(16, target.lanes(int(std::max(bits, 32u))));
}

constexpr int64_t copyBlock = 16384; // elements of a workgroup

// Tiles are walked as a space of their own: the dims before, in tiles.
std::vector<SizeExpr> tileSpace(const StridedCopy &copy, const CopyLoops &loops, int64_t side) {
  std::vector<SizeExpr> space;
  for (size_t d = 0; d + 1 < copy.dims.size(); ++d)
    space.push_back(d == loops.across ? SizeExpr::ceilDiv(copy.dims[d], side) : copy.dims[d]);
  space.push_back(copy.dims.back());
  return space;
}

RowGrid gridOf(const StridedCopy &copy, const CopyLoops &loops, int64_t side) {
  if (loops.method == Method::Tiles)
    return makeRowGrid(tileSpace(copy, loops, side), copyBlock / side, side);
  return makeRowGrid(loops.space, loops.method == Method::Interleave ? copyBlock / 4 : copyBlock, 64);
}

class CopyEmitter {
public:
  CopyEmitter(Emitter &e, const StridedCopy &copy, Value source, Value result)
      : e(e), copy(copy), loops(loopsOf(copy)), bytes(copy.elementBits / 8), element(e.integer(copy.elementBits)),
        side(tileSide(e.target(), copy.elementBits)) {
    from = e.offset(source, e.size(copy.fromOffset), bytes);
    to = e.offset(result, e.size(copy.toOffset), bytes);
    for (size_t d = 0; d < copy.dims.size(); ++d) {
      fromStrides.push_back(e.size(copy.from[d]));
      toStrides.push_back(e.size(copy.to[d]));
    }
  }

  void run() {
    RowGrid grid = gridOf(copy, loops, side);
    std::vector<SizeExpr> space = loops.method == Method::Tiles ? tileSpace(copy, loops, side) : loops.space;
    emitRows(e, space, grid, [&](ValueRange outer, Value begin, Value end) {
      SizeExpr part = grid.partsPerRow.isConstant(1) ? grid.row : SizeExpr::symbol("part");
      switch (loops.method) {
      case Method::Rows: return rows(outer, begin, end, part, false);
      case Method::Repeat: return rows(outer, begin, end, part, true);
      case Method::Tiles: return tiles(outer, begin, end);
      case Method::Interleave: return interleave(outer, begin, end, part);
      case Method::Elements: return elements(outer, begin, end);
      }
    });
  }

private:
  Value address(Value base, ValueRange strides, ValueRange indices) {
    Value sum = e.index(0);
    for (size_t d = 0; d < indices.size(); ++d)
      sum = e.add(sum, e.mul(indices[d], strides[d]));
    return e.offset(base, sum, bytes);
  }

  void rows(ValueRange outer, Value begin, Value end, const SizeExpr &part, bool repeat) {
    int64_t lanes = e.lanes(copy.elementBits);
    Value source = address(from, fromStrides, outer), result = address(to, toStrides, outer);
    mlir::Type vector = e.vec(element, lanes);
    Value fixed;
    if (repeat)
      fixed = e.splat(e.load(element, source), lanes);
    emitVectors(e, begin, end, lanes, 4, copy.elementBits, part, [&](Value at, int count, Value mask) {
      for (int u = 0; u < count; ++u) {
        Value index = e.add(at, e.index(u * lanes));
        Value value = fixed;
        if (!value) {
          Value p = e.offset(source, index, bytes);
          value = mask ? e.maskedLoad(vector, p, mask) : e.load(vector, p);
        }
        Value p = e.offset(result, index, bytes);
        if (mask)
          e.maskedStore(value, p, mask);
        else
          e.store(value, p);
      }
    });
  }

  void elements(ValueRange outer, Value begin, Value end) {
    Value source = address(from, fromStrides, outer), result = address(to, toStrides, outer);
    e.loop(begin, end, e.index(1), [&](Value i) {
      Value value = e.load(element, e.offset(source, e.mul(i, fromStrides.back()), bytes));
      e.store(value, e.offset(result, e.mul(i, toStrides.back()), bytes));
    });
  }

  // Vectors of the source's dense dim, one per channel, woven into vectors of the result.
  void interleave(ValueRange outer, Value begin, Value end, const SizeExpr &part) {
    int64_t lanes = e.lanes(copy.elementBits), channels = copy.dims.back().constant();
    Value source = address(from, fromStrides, outer), result = address(to, toStrides, outer);
    mlir::Type vector = e.vec(element, lanes);
    emitVectors(e, begin, end, lanes, 1, copy.elementBits, part, [&](Value at, int, Value mask) {
      Values in;
      for (int64_t c = 0; c < channels; ++c) {
        Value p = e.offset(source, e.add(at, e.mul(fromStrides.back(), e.index(c))), bytes);
        in.push_back(mask ? e.maskedLoad(vector, p, mask) : e.load(vector, p));
      }
      Value first = e.offset(result, e.mul(at, e.index(channels)), bytes);
      for (int64_t v = 0; v < channels; ++v) {
        Value p = e.offset(first, v * lanes * bytes);
        Value woven = weave(in, v, lanes);
        if (mask) {
          Value left = e.sub(e.mul(e.sub(end, at), e.index(channels)), e.index(v * lanes));
          e.maskedStore(woven, p, e.tailMask(lanes, e.max(left, e.index(0)), copy.elementBits));
        } else {
          e.store(woven, p);
        }
      }
    });
  }

  // Elements v * lanes ... of the interleaved vectors, two sources at a time.
  Value weave(ValueRange in, int64_t v, int64_t lanes) {
    int64_t channels = int64_t(in.size());
    Value result = in[0];
    for (int64_t c = 0; c < channels; ++c) {
      llvm::SmallVector<int64_t> pick;
      for (int64_t l = 0; l < lanes; ++l) {
        int64_t flat = v * lanes + l;
        if (flat % channels == c)
          pick.push_back(lanes + flat / channels); // this channel
        else
          pick.push_back(c == 0 ? 0 : l); // placed before, or placed later
      }
      result = e.shuffle(c == 0 ? in[0] : result, in[size_t(c)], pick);
    }
    return result;
  }

  // One row of tiles: tile number `outer[across]` along the source's dense dim, all of the innermost dim.
  void tiles(ValueRange outer, Value begin, Value end) {
    Values at(outer);
    Value column = e.mul(at[loops.across], e.index(side)); // first index along the source's dense dim
    at[loops.across] = column;
    Value source = address(from, fromStrides, at), result = address(to, toStrides, at);
    Value columns = e.min(e.index(side), e.sub(e.size(copy.dims[loops.across]), column));
    Value fullColumns = e.cmp(Cmp::eq, columns, e.index(side));
    Value stop = e.add(begin, e.bitAnd(e.sub(end, begin), e.index(-side)));
    stop = e.select(fullColumns, stop, begin);
    e.loop(begin, stop, e.index(side), [&](Value i) { tile(source, result, i, Value(), Value()); });
    e.loop(stop, end, e.index(side),
           [&](Value i) { tile(source, result, i, columns, e.min(e.index(side), e.sub(end, i))); });
  }

  // `side` x `side` elements; with counts, only that many columns (source's dense dim) and rows (innermost dim).
  void tile(Value source, Value result, Value row, Value columns, Value rowCount) {
    mlir::Type vector = e.vec(element, side);
    Value columnMask = columns ? e.tailMask(side, columns, copy.elementBits) : Value();
    Value rowMask = rowCount ? e.tailMask(side, rowCount, copy.elementBits) : Value();
    auto limited = [&](Value mask, int64_t number, Value count) {
      Value exists = e.cmp(Cmp::lt, e.index(number), count);
      return e.bitAnd(mask, e.splat(exists, side));
    };
    std::vector<Value> v;
    for (int64_t r = 0; r < side; ++r) {
      Value p = e.offset(source, e.mul(e.add(row, e.index(r)), fromStrides.back()), bytes);
      v.push_back(columns ? e.maskedLoad(vector, p, limited(columnMask, r, rowCount)) : e.load(vector, p));
    }
    transpose(v);
    for (int64_t c = 0; c < side; ++c) {
      Value index = e.add(row, e.mul(e.index(c), toStrides[loops.across]));
      Value p = e.offset(result, index, bytes);
      if (columns)
        e.maskedStore(v[size_t(c)], p, limited(rowMask, c, columns));
      else
        e.store(v[size_t(c)], p);
    }
  }

  // log2(side) rounds, each exchanging blocks of half the size between pairs of registers.
  void transpose(std::vector<Value> &v) {
    for (int64_t half = side / 2; half >= 1; half /= 2)
      for (int64_t i = 0; i < side; ++i) {
        if (i & half)
          continue;
        llvm::SmallVector<int64_t> low, high;
        for (int64_t l = 0; l < side; ++l) {
          low.push_back(l & half ? side + l - half : l);
          high.push_back(l & half ? side + l : l + half);
        }
        Value a = v[size_t(i)], b = v[size_t(i + half)];
        v[size_t(i)] = e.shuffle(a, b, low);
        v[size_t(i + half)] = e.shuffle(a, b, high);
      }
  }

  Emitter &e;
  const StridedCopy &copy;
  CopyLoops loops;
  int64_t bytes;
  mlir::Type element;
  int64_t side;
  Value from, to;
  Values fromStrides, toStrides;
};

} // namespace

SizeExpr copyGrid(const TargetInfo &target, const StridedCopy &copy) {
  return gridOf(copy, loopsOf(copy), tileSide(target, copy.elementBits)).grid();
}

void emitStridedCopy(Emitter &e, const StridedCopy &copy, Value source, Value result) {
  CopyEmitter(e, copy, source, result).run();
}

} // namespace kiln
