// Expression: evaluates the elementwise ops of a problem at one point (or vector of points) of an iteration space.
#pragma once

#include "codegen/emit/ScalarEmitter.h"
#include "codegen/problem/Problem.h"

#include <functional>
#include <map>

namespace kiln {

/// One evaluation: values are emitted once, where they are first asked for, so ask in a block that dominates all uses.
class Expression {
public:
  /// Gives the register form of a buffer's element(s) at the point.
  using Leaf = std::function<mlir::Value(Problem::ValueId)>;

  Expression(const Problem &problem, emit::ScalarEmitter &scalars, int64_t lanes, Leaf leaf)
      : problem_(problem), scalars_(scalars), lanes_(lanes), leaf_(std::move(leaf)) {}

  /// Fixes a value that was computed elsewhere (a sum of products, a row's maximum).
  void bind(Problem::ValueId id, mlir::Value value) { values_[id] = value; }
  mlir::Value get(Problem::ValueId id);

private:
  const Problem &problem_;
  emit::ScalarEmitter &scalars_;
  int64_t lanes_;
  Leaf leaf_;
  std::map<Problem::ValueId, mlir::Value> values_;
};

/// The register form of a one-element literal.
mlir::Value emitLiteral(emit::Emitter &e, const Problem::Value &literal, int64_t lanes);

/// Whether every op among `from` (indices into problem.ops) is an elementwise op that Expression can evaluate, with
/// literals of one element only.
bool isExpression(const Problem &problem, std::span<const int> ops);
/// All of them.
bool isExpression(const Problem &problem);

/// Sum of scalarOpCost.
int expressionCost(const Problem &problem, std::span<const int> ops);
/// Widest element in registers, in bits, among operands and results of the ops (at least 32).
unsigned widestElement(const Problem &problem);

/// A bound for results of f32 (f16, bf16 ...) expressions, by what they are made of.
struct ExpressionError {
  double relative = 0, scaled = 0;
};
ExpressionError expressionError(const Problem &problem);

} // namespace kiln
