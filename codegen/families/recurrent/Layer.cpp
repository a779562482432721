#include "codegen/families/recurrent/Layer.h"

#include <algorithm>

namespace kiln {

/// Whether `text` is `activations`, for one direction or for both.
static bool isOnce(const std::string &text, const std::string &activations) {
  return text == activations || text == activations + "," + activations;
}

/// An optional operand that, if there, is a buffer of f32.
static bool isOptionalBuffer(const Problem &problem, Problem::ValueId id) {
  return id == Problem::absent || problem.isBufferOf(DType::F32, id);
}

std::optional<RecurrentLayer> RecurrentLayer::of(const Problem &problem) {
  if (problem.precision == Precision::Strict || problem.ops.size() != 1 || !problem.inPlace.empty())
    return std::nullopt;
  const Problem::Op &op = problem.ops[0];
  RecurrentLayer layer;
  if (op.mnemonic == "lstm")
    layer.cell = Cell::Lstm;
  else if (op.mnemonic == "gru")
    layer.cell = Cell::Gru;
  else if (op.mnemonic != "rnn")
    return std::nullopt;
  bool isLstm = layer.cell == Cell::Lstm;
  layer.gates = isLstm ? 4 : layer.cell == Cell::Gru ? 3 : 1;
  if (op.operands.size() < 3 || op.results.size() != (isLstm ? 3u : 2u))
    return std::nullopt;
  auto operand = [&](size_t i) { return i < op.operands.size() ? op.operands[i] : Problem::absent; };
  layer.x = operand(0);
  layer.w = operand(1);
  layer.r = operand(2);
  layer.bias = operand(3);
  layer.initialH = operand(5);
  layer.initialC = isLstm ? operand(6) : Problem::absent;
  layer.results = op.results;
  layer.lengths = operand(4);
  if (isLstm && operand(7) != Problem::absent)
    return std::nullopt;
  if (layer.lengths != Problem::absent && !problem.isBufferOf(DType::I32, layer.lengths))
    return std::nullopt;
  for (Problem::ValueId id : {layer.x, layer.w, layer.r})
    if (!problem.isBufferOf(DType::F32, id) || problem.value(id).rank() != 3)
      return std::nullopt;
  for (Problem::ValueId id : {layer.bias, layer.initialH, layer.initialC})
    if (!isOptionalBuffer(problem, id))
      return std::nullopt;

  // Packed weights are nothing else's operand.
  for (Problem::ValueId id : {layer.w, layer.r}) {
    const Problem::Value &weights = problem.value(id);
    bool isKnown = std::ranges::all_of(weights.dims, [](const SizeExpr &dim) { return dim.isConstant(); });
    if (weights.kind != Problem::Kind::Const || !isKnown || std::ranges::count(op.operands, id) != 1)
      return std::nullopt;
  }
  const Attributes &a = op.attributes;
  std::string direction = a.getString("direction", "forward");
  layer.reversed = direction == "reverse";
  layer.directions = direction == "bidirectional" ? 2 : 1;
  layer.linearBeforeReset = a.getInt("linear_before_reset", 0) != 0;
  std::string activations = a.getString("activations", isLstm ? "sigmoid,tanh,tanh" : "sigmoid,tanh");
  if (layer.cell == Cell::Rnn) {
    activations = a.getString("activations", "tanh");
    layer.isRelu = isOnce(activations, "relu");
    if (!layer.isRelu && !isOnce(activations, "tanh"))
      return std::nullopt;
  } else if (!isOnce(activations, isLstm ? "sigmoid,tanh,tanh" : "sigmoid,tanh")) {
    return std::nullopt;
  }
  if (a.getFloat("clip", 0) != 0 || a.getInt("input_forget", 0) != 0)
    return std::nullopt;

  layer.steps = problem.value(layer.x).dims[0];
  layer.batch = problem.value(layer.x).dims[1];
  layer.inputs = problem.value(layer.w).dims[2].constant();
  layer.hidden = problem.value(layer.r).dims[2].constant();
  bool fits = problem.value(layer.w).dims[0].isConstant(layer.directions) &&
              problem.value(layer.w).dims[1].isConstant(layer.gates * layer.hidden) &&
              problem.value(layer.r).dims[1].isConstant(layer.gates * layer.hidden);
  return fits && layer.inputs > 0 && layer.hidden > 0 ? std::optional(layer) : std::nullopt;
}

Recipe RecurrentLayer::packWeights(int64_t depth) const {
  int64_t padded = blocks() * 16;
  Recipe recipe;
  recipe.reshape({directions, gates, hidden, depth});
  if (padded != hidden)
    recipe.pad({0, 0, 0, 0, 0, 0, padded - hidden, 0});
  recipe.reshape({directions, gates, blocks(), 16, depth}).permute({0, 2, 4, 1, 3});
  return recipe;
}

} // namespace kiln
