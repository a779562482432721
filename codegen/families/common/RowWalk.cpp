#include "codegen/families/common/RowWalk.h"

namespace kiln {

using emit::Values;
using mlir::Value;
using mlir::ValueRange;

RowWalk::RowWalk(emit::Emitter &e, const SizeExpr &length, int64_t lanes, unsigned elementBits, int unroll,
                 int maxUnrolledChunks)
    : e_(e), length_(length), lanes_(lanes), bits_(elementBits), unroll_(unroll),
      chunks_(unrolledChunks(length, lanes, maxUnrolledChunks)) {}

int RowWalk::unrolledChunks(const SizeExpr &length, int64_t lanes, int most) {
  std::optional<int64_t> known = length.asConstant();
  int64_t chunks = known ? (*known + lanes - 1) / lanes : 0;
  return chunks > 0 && chunks <= most ? int(chunks) : 0;
}

Value RowWalk::masked(const RowChunk &chunk, Value value, Value other) {
  return chunk.mask ? e_.select(chunk.mask, value, other) : value;
}

static RowChunk unrolledChunk(emit::Emitter &e, const SizeExpr &length, int64_t lanes, unsigned bits, int number) {
  RowChunk chunk{e.index(number * lanes), Value(), number};
  int64_t left = length.constant() - number * lanes;
  if (left < lanes)
    chunk.mask = e.tailMask(lanes, e.index(left), bits);
  return chunk;
}

void RowWalk::forEach(const Visit &visit) {
  for (int c = 0; c < chunks_; ++c)
    visit(unrolledChunk(e_, length_, lanes_, bits_, c));
  if (unrolled())
    return;
  Value length = e_.size(length_);
  Value whole = e_.bitAnd(length, e_.index(-lanes_));
  int64_t divisor = length_.knownDivisor();
  Value at = e_.index(0);
  if (unroll_ > 1) {
    Value many = e_.bitAnd(length, e_.index(-lanes_ * unroll_));
    e_.loop(at, many, e_.index(lanes_ * unroll_), [&](Value i) {
      for (int u = 0; u < unroll_; ++u)
        visit({e_.add(i, e_.index(u * lanes_)), Value(), -1});
    });
    at = many;
    if (divisor != 0 && divisor % (lanes_ * unroll_) == 0)
      return;
  }
  e_.loop(at, whole, e_.index(lanes_), [&](Value i) { visit({i, Value(), -1}); });
  if (divisor != 0 && divisor % lanes_ == 0)
    return;
  Value left = e_.sub(length, whole);
  e_.ifThen(e_.cmp(emit::Cmp::gt, left, e_.index(0)), [&] { visit({whole, e_.tailMask(lanes_, left, bits_), -1}); });
}

Values RowWalk::reduce(ValueRange init, const Step &step, const Merge &merge) {
  size_t n = init.size();
  auto mergeAll = [&](ValueRange sets) {
    std::vector<Values> parts;
    for (size_t i = 0; i < sets.size(); i += n)
      parts.push_back(Values(sets.slice(i, n)));
    while (parts.size() > 1) { // pairwise: short dependence chains
      std::vector<Values> next;
      for (size_t i = 0; i + 1 < parts.size(); i += 2)
        next.push_back(merge(parts[i], parts[i + 1]));
      if (parts.size() % 2)
        next.push_back(parts.back());
      parts = std::move(next);
    }
    return parts[0];
  };
  if (unrolled()) {
    int sets = std::min(chunks_, 4);
    Values start(init);
    std::vector<Values> acc(static_cast<size_t>(sets), start);
    for (int c = 0; c < chunks_; ++c)
      acc[size_t(c % sets)] = step(unrolledChunk(e_, length_, lanes_, bits_, c), acc[size_t(c % sets)]);
    Values flat;
    for (Values &a : acc)
      flat.append(a);
    return mergeAll(flat);
  }
  Value length = e_.size(length_);
  int64_t divisor = length_.knownDivisor();
  Value at = e_.index(0);
  Values acc(init);
  if (unroll_ > 1) {
    Values start;
    for (int u = 0; u < unroll_; ++u)
      start.append(init.begin(), init.end());
    Value many = e_.bitAnd(length, e_.index(-lanes_ * unroll_));
    Values sums = e_.loop(at, many, e_.index(lanes_ * unroll_), start, [&](Value i, ValueRange carried) {
      Values next;
      for (int u = 0; u < unroll_; ++u)
        next.append(step({e_.add(i, e_.index(u * lanes_)), Value(), -1}, carried.slice(size_t(u) * n, n)));
      return next;
    });
    acc = mergeAll(sums);
    at = many;
    if (divisor != 0 && divisor % (lanes_ * unroll_) == 0)
      return acc;
  }
  Value whole = e_.bitAnd(length, e_.index(-lanes_));
  acc = e_.loop(at, whole, e_.index(lanes_), acc,
                [&](Value i, ValueRange carried) { return step({i, Value(), -1}, carried); });
  if (divisor != 0 && divisor % lanes_ == 0)
    return acc;
  Value left = e_.sub(length, whole);
  llvm::SmallVector<mlir::Type, 4> types;
  for (Value v : acc)
    types.push_back(v.getType());
  return e_.ifElse(
      e_.cmp(emit::Cmp::gt, left, e_.index(0)), types,
      [&] { return step({whole, e_.tailMask(lanes_, left, bits_), -1}, acc); }, [&] { return acc; });
}

void RowStash::put(const RowChunk &chunk, Value value) {
  if (chunk.number >= 0)
    registers_[chunk.number] = value;
  else
    e_.store(value, e_.offset(memory_, chunk.index, emit::Emitter::bitsOf(value.getType()) / 8));
}

Value RowStash::get(const RowChunk &chunk, mlir::Type type) {
  if (chunk.number >= 0)
    return registers_.at(chunk.number);
  return e_.load(type, e_.offset(memory_, chunk.index, emit::Emitter::bitsOf(type) / 8));
}

} // namespace kiln
