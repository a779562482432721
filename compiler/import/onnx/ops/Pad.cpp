// Pad, whose amounts, value and axes may each be attributes, constants or computed.
#include "compiler/import/onnx/OpTable.h"
#include "compiler/import/onnx/ops/Shared.h"

namespace kiln::onnx {
namespace {

/// Amounts that only run time knows, for some of the axes: laid out for all of them.
Status padAxesDynamic(NodeImport &node, const Ints &axes, const Attributes &attributes) {
  Value x = node.operand(0), pads = node.operand(1);
  size_t rank = size_t(node.rank(x)), count = axes.size();
  KILN_ASSIGN(pads, node.withLength(pads, int64_t(2 * count)));
  std::vector<Value> pieces(2 * rank, node.intsConstant({0}));
  for (size_t i = 0; i < count; ++i) {
    KILN_ASSIGN(int64_t axis, node.normalizeAxis(axes[i], int64_t(rank)));
    KILN_ASSIGN(pieces[size_t(axis)], node.slice(pads, 0, int64_t(i), int64_t(i) + 1));
    KILN_ASSIGN(pieces[rank + size_t(axis)], node.slice(pads, 0, int64_t(count + i), int64_t(count + i) + 1));
  }
  KILN_ASSIGN(Value full, node.emit("concat", pieces, axisOf(0)));
  std::vector<Value> operands{x, full};
  if (node.has(2) && attributes.getString("mode") == "constant")
    operands.push_back(node.operand(2));
  return node.setResult(node.emit("pad", operands, attributes));
}

/// Axes that only a run tells: amounts are laid out for all of them.
Status padAtRunTime(NodeImport &node, const Attributes &attributes) {
  Value x = node.operand(0), pads = node.operand(1), axes = node.operand(3);
  KILN_ASSIGN(int64_t count, axisCount(node, axes));
  KILN_ASSIGN(pads, node.withLength(pads, 2 * count));
  std::vector<Value> halves;
  for (int64_t half : {0, 1}) {
    KILN_ASSIGN(Value amounts, node.slice(pads, 0, half * count, (half + 1) * count));
    KILN_ASSIGN(halves.emplace_back(),
                node.emit("scatter_elements", {node.intsConstant(Ints(size_t(node.rank(x)), 0)), axes, amounts}));
  }
  KILN_ASSIGN(Value full, node.emit("concat", halves, axisOf(0)));
  std::vector<Value> operands{x, full};
  if (node.has(2) && attributes.getString("mode") == "constant")
    operands.push_back(node.operand(2));
  return node.setResult(node.emit("pad", operands, attributes));
}

/// Amounts and value are attributes up to opset 10, then operands; opset 18 adds axes.
Status pad(NodeImport &node) {
  KILN_TRY(node.expectOperands(1, 4));
  Value x = node.operand(0);
  size_t rank = size_t(node.rank(x));
  KILN_ASSIGN(std::string mode, node.textAttribute("mode", "constant"));
  if (mode != "constant" && mode != "reflect" && mode != "edge" && mode != "wrap")
    return makeError(ErrorCode::E0411, "mode is \"", mode,
                     "\"; expected \"constant\", \"reflect\", \"edge\" or \"wrap\"");
  Attributes attributes;
  attributes.set("mode", mode.c_str());
  std::optional<Ints> pads;
  std::optional<double> value = 0.0;
  if (const char *name = node.opset() < 2 ? "paddings" : "pads"; node.hasAttribute(name)) {
    KILN_ASSIGN(pads, node.intsAttribute(name));
    KILN_ASSIGN(value, node.floatAttribute("value", 0.0));
  } else {
    KILN_TRY(node.expectOperands(2, 4));
    pads = node.knownInts(node.operand(1));
    if (node.has(2) && mode == "constant")
      value = node.knownScalar(node.operand(2));
    if (node.has(3)) {
      std::optional<Ints> known = node.knownInts(node.operand(3));
      if (!known)
        return padAtRunTime(node, attributes);
      const Ints &axes = *known;
      if (!pads)
        return padAxesDynamic(node, axes, attributes);
      if (pads->size() != 2 * axes.size())
        return makeError(ErrorCode::E0404, "pads has ", pads->size(), " entries for ", axes.size(), " axes");
      Ints full(2 * rank, 0);
      for (size_t i = 0; i < axes.size(); ++i) {
        KILN_ASSIGN(int64_t axis, node.normalizeAxis(axes[i], int64_t(rank)));
        full[size_t(axis)] = (*pads)[i];
        full[rank + size_t(axis)] = (*pads)[axes.size() + i];
      }
      pads = full;
    }
  }
  if (pads && pads->size() != 2 * rank)
    return makeError(ErrorCode::E0404, "pads has ", pads->size(), " entries; rank ", rank, " needs ", 2 * rank);
  if (pads && value) {
    attributes.set("pads", *pads);
    attributes.set("value", *value);
    return node.setResult(node.emit("pad", {x}, attributes));
  }
  std::vector<Value> operands{x, pads ? node.intsConstant(*pads) : node.operand(1)};
  if (node.has(2) && mode == "constant")
    operands.push_back(node.operand(2));
  return node.setResult(node.emit("pad", operands, attributes));
}

constexpr OpEntry table[] = {{"Pad", 1, pad}};

} // namespace

std::span<const OpEntry> padOps() { return table; }

} // namespace kiln::onnx
