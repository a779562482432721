// A problem as one recurrent layer: rnn, gru or lstm over all its steps, in one or both directions.
#pragma once

#include "codegen/problem/Problem.h"
#include "runtime/base/Recipe.h"

#include <optional>

namespace kiln {

struct RecurrentLayer {
  enum class Cell { Rnn, Gru, Lstm };

  Cell cell = Cell::Rnn;
  bool reversed = false;          ///< the first direction
  bool linearBeforeReset = false; ///< gru
  bool isRelu = false;            ///< rnn: relu in place of tanh
  /// Operands, those behind r absent or buffers.
  Problem::ValueId x = Problem::absent, w = Problem::absent, r = Problem::absent, bias = Problem::absent,
                   lengths = Problem::absent, initialH = Problem::absent, initialC = Problem::absent;
  std::vector<Problem::ValueId> results; ///< y, the last h and, of lstm, the last c
  SizeExpr steps, batch;
  int64_t gates = 1, directions = 1, inputs = 0, hidden = 0;

  /// f32, constant weights, the standard's default activations (or relu), no peepholes or clip.
  static std::optional<RecurrentLayer> of(const Problem &problem);

  /// Blocks of 16 hidden units.
  int64_t blocks() const { return (hidden + 15) / 16; }
  /// Weights [directions, gates * hidden, depth] as [direction][block][depth][gate][16], zero beyond `hidden`: the
  /// panels of one block's gates lie beside each other.
  Recipe packWeights(int64_t depth) const;
};

} // namespace kiln
