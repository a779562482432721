// What follows a product in a fused problem: any DAG of elementwise ops over the product's elements, evaluated row by
// row while the tile is still in the nearest cache. Operands may be full tensors, per column, per row, scalars or any
// broadcast between them; several outputs; in place where the problem says so (each element is read before it is
// written, once).
#pragma once

#include "codegen/emit/Emitter.h"
#include "codegen/problem/Problem.h"

#include <functional>
#include <map>
#include <optional>
#include <vector>

namespace kiln::gemm {

/// Whether everything in `problem` but the op that computes `anchor` (and the values it alone reads) is an epilogue of
/// it: elementwise ops whose operands broadcast to the anchor's dims, outputs of just those dims, none of which are
/// bytes that were widened to i32.
bool isEpilogueOf(const Problem &problem, Problem::ValueId anchor);

/// Where the elements of one tile row come from and go to.
struct EpilogueRow {
  emit::Value row;    ///< index into the anchor's leading dims, flattened
  emit::Value column; ///< of the first element
};

class Epilogue {
public:
  /// `inputs[i]`, `outputs[k]`: base pointers of the problem's inputs() and outputs (inputs that are not read may be
  /// null). `accumulator`: type of the sums. `bias`: a value [columns] added to the anchor first, or absent.
  Epilogue(emit::Emitter &e, const Problem &problem, Problem::ValueId anchor, DType accumulator, Problem::ValueId bias,
           std::vector<emit::Value> inputs, std::vector<emit::Value> outputs);

  /// Applies it to a block of `rows` x `vectors` registers at `tile` (row-major, `tileColumns` accumulators a row)
  /// whose first element is (row0, column0). `columns`: how many of them exist (null: all).
  void emitBlock(emit::Value tile, int64_t tileColumns, emit::Value row0, emit::Value rows, emit::Value column0,
                 int vectors, emit::Value columns);

  /// Applies it to vectors in registers, all at the same columns.
  struct Point {
    emit::Value product, row;
  };
  void emitVectors(llvm::ArrayRef<Point> points, emit::Value column, emit::Value mask);

private:
  using Known = std::map<Problem::ValueId, emit::Value>;
  enum class Shape { Full, Column, Row, Scalar, General };
  struct Leaf {
    Problem::ValueId id;
    Shape shape;
    emit::Value base;
  };

  void emitRows(emit::Value tile, int64_t tileColumns, emit::Value row0, emit::Value rows, emit::Value column0,
                int vectors, emit::Value mask);
  Known columnValues(emit::Value column, emit::Value mask);
  /// Adds all outputs' values to `known`, which holds those of columnValues.
  void compute(emit::Value product, emit::Value row, emit::Value column, emit::Value mask, Known &known);
  void store(emit::Value row, emit::Value column, emit::Value mask, const Known &known);
  emit::Value loadLeaf(const Leaf &leaf, emit::Value row, emit::Value column, emit::Value mask);
  emit::Value generalOffset(const Problem::Value &value, emit::Value row, emit::Value column);
  Shape classify(const Problem::Value &value) const;
  void evaluate(Problem::ValueId id, Known &known);

  emit::Emitter &e;
  const Problem &problem;
  Problem::ValueId anchor, bias;
  DType accumulator;
  int64_t lanes;
  std::vector<Leaf> leaves;
  std::vector<emit::Value> outputs;
  emit::Value columnCount;
};

} // namespace kiln::gemm
