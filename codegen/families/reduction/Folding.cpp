#include "codegen/families/reduction/Folding.h"

#include <limits>

namespace kiln {

using emit::Emitter;
using mlir::Value;

Value Folding::identity(mlir::Type type) {
  Emitter &e = s.emitter();
  bool isFloat = Emitter::isFloat(type);
  unsigned bits = Emitter::bitsOf(type);
  int64_t most = int64_t((uint64_t(1) << (bits - 1)) - 1);
  switch (kind) {
  case ReduceKind::Max:
    return isFloat ? e.constant(type, -std::numeric_limits<double>::infinity()) : e.constant(type, -most - 1);
  case ReduceKind::Min:
    return isFloat ? e.constant(type, std::numeric_limits<double>::infinity()) : e.constant(type, most);
  case ReduceKind::Prod: return e.constant(type, 1);
  default: return e.constant(type, 0);
  }
}

Value Folding::step(Value accumulator, Value x) {
  Emitter &e = s.emitter();
  switch (kind) {
  case ReduceKind::L1: return e.add(accumulator, e.abs(x));
  case ReduceKind::L2:
  case ReduceKind::SumSquare: return e.fma(x, x, accumulator);
  default: return merge(accumulator, x);
  }
}

Value Folding::merge(Value a, Value b) {
  Emitter &e = s.emitter();
  switch (kind) {
  case ReduceKind::Max: return e.max(a, b);
  case ReduceKind::Min: return e.min(a, b);
  case ReduceKind::Prod: return e.mul(a, b);
  default: return e.add(a, b);
  }
}

Value Folding::across(Value vector) {
  Emitter &e = s.emitter();
  switch (kind) {
  case ReduceKind::Max: return e.reduceMax(vector);
  case ReduceKind::Min: return e.reduceMin(vector);
  case ReduceKind::Prod: return e.reduceMul(vector);
  default: return e.reduceAdd(vector);
  }
}

Value Folding::finish(Value accumulator, Value count) {
  Emitter &e = s.emitter();
  switch (kind) {
  case ReduceKind::Mean: {
    int64_t lanes = Emitter::lanesOf(accumulator.getType());
    Value n = e.intToFloat(count, Emitter::elementOf(accumulator.getType()));
    return e.div(accumulator, e.splat(n, lanes));
  }
  case ReduceKind::L2: return e.sqrt(accumulator);
  case ReduceKind::LogSum: return s.log(accumulator);
  default: return accumulator;
  }
}

} // namespace kiln
