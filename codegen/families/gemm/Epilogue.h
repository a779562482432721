// What follows a product in a fused problem: any DAG of elementwise ops over the product's elements, evaluated row by
// row while the tile is still in the nearest cache. Operands may be full tensors, per column, per row, scalars or any
// broadcast between them; several outputs; in place where the problem says so (each element is read before it is
// written, once).
#pragma once

#include "codegen/cpu/Emitter.h"
#include "codegen/problem/Problem.h"

#include <functional>
#include <map>
#include <optional>
#include <vector>

namespace kiln::gemm {

/// Whether everything in `problem` but the op that computes `anchor` (and the values it alone reads) is an epilogue of
/// it: elementwise ops whose operands broadcast to the anchor's dims, outputs of just those dims.
bool isEpilogueOf(const Problem &problem, Problem::ValueId anchor);

/// Where the elements of one tile row come from and go to.
struct EpilogueRow {
  cpu::Value row;    ///< index into the anchor's leading dims, flattened
  cpu::Value column; ///< of the first element
};

class Epilogue {
public:
  /// `inputs[i]`, `outputs[k]`: base pointers of the problem's inputs() and outputs (inputs that are not read may be
  /// null). `bias`: a value [columns] added to the anchor first, or absent.
  Epilogue(cpu::Emitter &e, const Problem &problem, Problem::ValueId anchor, Problem::ValueId bias,
           std::vector<cpu::Value> inputs, std::vector<cpu::Value> outputs);

  /// Applies it to a block of `rows` x `vectors` registers at `tile` (row-major, `tileColumns` floats a row) whose
  /// first element is (row0, column0). `columns`: how many of them exist (null: all).
  void emitBlock(cpu::Value tile, int64_t tileColumns, cpu::Value row0, cpu::Value rows, cpu::Value column0,
                 int vectors, cpu::Value columns);

  /// Applies it to vectors in registers, all at the same columns.
  struct Point {
    cpu::Value product, row;
  };
  void emitVectors(llvm::ArrayRef<Point> points, cpu::Value column, cpu::Value mask);

private:
  using Known = std::map<Problem::ValueId, cpu::Value>;
  enum class Shape { Full, Column, Row, Scalar, General };
  struct Leaf {
    Problem::ValueId id;
    Shape shape;
    cpu::Value base;
  };

  void emitRows(cpu::Value tile, int64_t tileColumns, cpu::Value row0, cpu::Value rows, cpu::Value column0, int vectors,
                cpu::Value mask);
  Known columnValues(cpu::Value column, cpu::Value mask);
  /// Adds all outputs' values to `known`, which holds those of columnValues.
  void compute(cpu::Value product, cpu::Value row, cpu::Value column, cpu::Value mask, Known &known);
  void store(cpu::Value row, cpu::Value column, cpu::Value mask, const Known &known);
  cpu::Value loadLeaf(const Leaf &leaf, cpu::Value row, cpu::Value column, cpu::Value mask);
  cpu::Value generalOffset(const Problem::Value &value, cpu::Value row, cpu::Value column);
  Shape classify(const Problem::Value &value) const;
  void evaluate(Problem::ValueId id, Known &known);

  cpu::Emitter &e;
  const Problem &problem;
  Problem::ValueId anchor, bias;
  std::vector<Leaf> leaves;
  std::vector<cpu::Value> outputs;
  cpu::Value columnCount;
};

} // namespace kiln::gemm
