// The arithmetic of each kind of reduce: identity, step, merge, final value.
#pragma once

#include "codegen/emit/ScalarEmitter.h"
#include "codegen/families/reduction/Reduction.h"

namespace kiln {

class Folding {
public:
  Folding(emit::ScalarEmitter &scalars, ReduceKind kind) : s(scalars), kind(kind) {}

  /// The accumulator before the first element; `type` is the operand's register type.
  mlir::Value identity(mlir::Type type);
  mlir::Value step(mlir::Value accumulator, mlir::Value x);
  mlir::Value merge(mlir::Value a, mlir::Value b);
  /// All lanes into one scalar.
  mlir::Value across(mlir::Value vector);
  /// From the accumulator to the result; `count` is the number of elements (i64).
  mlir::Value finish(mlir::Value accumulator, mlir::Value count);

private:
  emit::ScalarEmitter &s;
  ReduceKind kind;
};

} // namespace kiln
