// Layers that carry a state from call to call: operators of the default domain since opset 27.
#include "compiler/import/onnx/OpTable.h"
#include "compiler/import/onnx/ops/Shared.h"

#include <cmath>
#include <limits>

namespace kiln::onnx {
namespace {

/// Heads are packed into the last dim of all operands but the state; they come apart here.
Status linearAttention(NodeImport &node) {
  KILN_TRY(node.expectOperands(3, 6));
  KILN_ASSIGN(std::string rule, node.textAttribute("update_rule", "gated_delta"));
  const bool gated = rule == "gated" || rule == "gated_delta", delta = rule == "delta" || rule == "gated_delta";
  if (!gated && !delta && rule != "linear")
    return makeError(ErrorCode::E0411, "update_rule is \"", rule,
                     "\"; expected \"linear\", \"gated\", \"delta\" or \"gated_delta\"");
  for (auto [index, wanted, name] : {std::tuple(4, gated, "decay"), std::tuple(5, delta, "beta")})
    if (node.has(size_t(index)) != wanted)
      return makeError(ErrorCode::E0306, "update_rule \"", rule, "\" ", wanted ? "needs" : "has no", " input ", name);
  for (const char *name : {"q_num_heads", "kv_num_heads"})
    KILN_TRY(node.requireAttribute(name));
  KILN_ASSIGN(int64_t heads, node.intAttribute("q_num_heads", 0));
  KILN_ASSIGN(int64_t kvHeads, node.intAttribute("kv_num_heads", 0));
  if (heads < 1 || kvHeads < 1 || heads % kvHeads != 0)
    return makeError(ErrorCode::E0411, "q_num_heads is ", heads, ", kv_num_heads ", kvHeads,
                     "; expected positive numbers, the first a multiple of the second");
  std::vector<Value> operands;
  for (size_t i = 0; i < 6; ++i)
    operands.push_back(node.operand(i));
  for (size_t i : {0, 1, 2, 4, 5})
    if (operands[i] && node.rank(operands[i]) != 3)
      return makeError(ErrorCode::E0304, "input ", i, " has rank ", node.rank(operands[i]), "; expected 3");
  for (size_t i : {0, 1, 2, 4}) {
    if (operands[i]) {
      KILN_ASSIGN(operands[i], splitHeads(node, operands[i], i == 0 ? heads : kvHeads));
    }
  }
  if (operands[5]) {
    const bool one = node.dims(operands[5])[2].isConstant(1);
    KILN_ASSIGN(operands[5], splitHeads(node, operands[5], one ? 1 : kvHeads));
  }
  const SizeExpr width = node.dims(operands[0])[3];
  KILN_ASSIGN(double scale, node.floatAttribute("scale", 0));
  if (scale == 0) {
    if (!width.isConstant())
      return makeError(ErrorCode::E0208, "the head size must be known when compiling, for there is no scale");
    scale = 1 / std::sqrt(double(width.constant()));
  }
  Attributes attributes;
  attributes.set("scale", scale);
  KILN_ASSIGN(std::vector<Value> results, node.emitAll("linear_attention", operands, attributes));
  KILN_ASSIGN(Value y, node.transpose(results[0], {0, 2, 1, 3}));
  const Dims d = node.dims(y);
  KILN_ASSIGN(y, node.reshape(y, {d[0], d[1], d[2] * d[3]}));
  node.setResult(0, y);
  node.setResult(1, results[1]);
  return Status();
}

/// A convolution of each channel that sees what came before: the state, or zeros.
Status causalConv(NodeImport &node) {
  KILN_TRY(node.expectOperands(2, 4));
  Value x = node.operand(0), w = node.operand(1), state = node.operand(3);
  KILN_ASSIGN(std::string activation, node.textAttribute("activation", "none"));
  if (activation != "none" && activation != "silu" && activation != "swish")
    return makeError(ErrorCode::E0411, "activation is \"", activation, "\"; expected \"none\", \"silu\" or \"swish\"");
  if (node.rank(x) != 3 || node.rank(w) != 3 || (state && node.rank(state) != 3))
    return makeError(ErrorCode::E0304, "input, weight and past_state must have rank 3");
  const Dims dims = node.dims(w);
  if (!dims[0].isConstant() || !dims[2].isConstant() || dims[2].isConstant(0))
    return makeError(ErrorCode::E0208, "the dims of the weight must be known when compiling");
  const int64_t before = dims[2].constant() - 1;
  if (state) {
    KILN_TRY(node.requireEqual(node.dims(state)[2], before).withContext("past_state: "));
    KILN_ASSIGN(x, node.emit("concat", {state, x}, axisOf(2)));
  } else {
    Attributes pads;
    pads.set("pads", Ints{0, 0, before, 0, 0, 0});
    KILN_ASSIGN(x, node.emit("pad", {x}, pads));
  }
  Attributes attributes;
  attributes.set("strides", Ints{1});
  attributes.set("dilations", Ints{1});
  attributes.set("pads", Ints{0, 0});
  attributes.set("groups", dims[0].constant());
  KILN_ASSIGN(Value y, node.emit("conv", {x, w, node.operand(2)}, attributes));
  if (activation != "none") {
    KILN_ASSIGN(y, node.emit("silu", {y}));
  }
  node.setResult(0, y);
  if (node.wants(1)) { // what the next element sees
    constexpr int64_t end = std::numeric_limits<int64_t>::max();
    KILN_ASSIGN(Value present, before ? node.slice(x, 2, -before, end) : node.slice(x, 2, 0, 0));
    node.setResult(1, present);
  }
  return Status();
}

/// `update` at write_indices[b] on along the axis, in all places before the axis alike.
Status tensorScatter(NodeImport &node) {
  KILN_TRY(node.expectOperands(2, 3));
  Value cache = node.operand(0), update = node.operand(1), starts = node.operand(2);
  KILN_ASSIGN(std::string mode, node.textAttribute("mode", "linear"));
  if (mode != "linear" && mode != "circular")
    return makeError(ErrorCode::E0411, "mode is \"", mode, "\"; expected \"linear\" or \"circular\"");
  KILN_ASSIGN(int64_t axis, node.axisAttribute("axis", -2, cache));
  if (axis == 0)
    return makeError(ErrorCode::E0411, "axis is 0, which is the batch");
  if (node.rank(update) != node.rank(cache))
    return makeError(ErrorCode::E0304, "the cache has rank ", node.rank(cache), ", the update ", node.rank(update),
                     "; they must be equal");
  for (int64_t i = 0; i < node.rank(cache); ++i)
    if (i != axis)
      KILN_TRY(node.requireEqual(node.dims(cache)[size_t(i)], node.dims(update)[size_t(i)])
                   .withContext("cache and update: "));
  if (starts && node.rank(starts) != 1)
    return makeError(ErrorCode::E0304, "write_indices has rank ", node.rank(starts), "; expected 1");
  if (starts)
    KILN_TRY(node.requireEqual(node.dims(starts)[0], node.dims(update)[0]).withContext("write_indices: "));
  return node.setResult(writeAt(node, cache, update, starts, axis, mode == "circular"));
}

constexpr OpEntry table[] = {
    {"LinearAttention", 27, linearAttention},
    {"CausalConvWithState", 27, causalConv},
    {"TensorScatter", 24, tensorScatter},
};

} // namespace

std::span<const OpEntry> stateSpaceOps() { return table; }

Result<Value> writeAt(NodeImport &node, Value cache, Value update, Value starts, int64_t axis, bool circular) {
  Dims places = node.dims(update);
  places.resize(size_t(axis) + 1);
  places.push_back(SizeExpr(1));
  // Index tuples of all places in front of what is written as a whole.
  std::vector<Value> parts;
  for (int64_t i = 0; i <= axis; ++i) {
    KILN_ASSIGN(Value size, node.sizeOf(update, i));
    KILN_ASSIGN(Value at, positions(node, size, size_t(axis + 1 - i)));
    if (i == axis && starts) {
      Dims column{node.dims(update)[0]};
      column.append(size_t(axis + 1), SizeExpr(1));
      KILN_ASSIGN(Value first, node.reshape(starts, column));
      KILN_ASSIGN(at, node.emit("add", {at, first}));
    }
    if (i == axis && circular) {
      KILN_ASSIGN(Value most, node.sizeOf(cache, axis));
      KILN_ASSIGN(at, node.emit("mod", {at, most}));
    }
    KILN_ASSIGN(at, node.expand(at, places));
    parts.push_back(at);
  }
  KILN_ASSIGN(Value indices, node.emit("concat", parts, axisOf(axis + 1)));
  return node.emit("scatter_nd", {cache, indices, update});
}

} // namespace kiln::onnx
