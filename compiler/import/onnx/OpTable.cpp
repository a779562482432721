#include "compiler/import/onnx/OpTable.h"

#include "dialects/kiln/OpTable.h"

#include <map>

namespace kiln::onnx {

namespace {

/// An operator that the dialect says maps one to one: operands in order, attributes by name.
Status convertOneToOne(NodeImport &node) {
  const OpInfo *op = findOpByOnnxName(node.opType());
  KILN_TRY(node.expectOperands(size_t(op->minOperands), op->maxOperands < 0 ? SIZE_MAX : size_t(op->maxOperands)));
  Attributes attributes;
  for (const AttributeInfo &info : op->attributes) {
    if (!node.hasAttribute(info.name))
      continue;
    switch (info.kind) {
    case AttributeInfo::Kind::Int: {
      KILN_ASSIGN(int64_t value, node.intAttribute(info.name, 0));
      attributes.set(info.name, value);
      break;
    }
    case AttributeInfo::Kind::Float: {
      KILN_ASSIGN(double value, node.floatAttribute(info.name, 0));
      attributes.set(info.name, value);
      break;
    }
    case AttributeInfo::Kind::String: {
      KILN_ASSIGN(std::string value, node.textAttribute(info.name, ""));
      attributes.set(info.name, Attribute(value));
      break;
    }
    case AttributeInfo::Kind::Ints: {
      KILN_ASSIGN(Ints value, node.intsAttribute(info.name));
      attributes.set(info.name, value);
      break;
    }
    case AttributeInfo::Kind::Floats:
      return makeError(ErrorCode::E0901, "attribute ", info.name, " has no one-to-one form");
    }
  }
  std::vector<Value> operands;
  for (size_t i = 0; i < node.operandCount(); ++i)
    operands.push_back(node.operand(i));
  return node.setResult(node.emit(op->name, operands, attributes));
}

std::vector<std::span<const OpEntry>> lists() {
  return {elementwiseOps(),
          movementOps(),
          partOps(),
          padOps(),
          reduceOps(),
          normOps(),
          matmulOps(),
          windowOps(),
          constantOps(),
          attentionOps(),
          fusedAttentionOps(),
          fusedNodeOps(),
          groupQueryAttentionOps(),
          indexOps(),
          einsumOps(),
          samplingOps(),
          quantizeOps(),
          quantizedNodeOps(),
          packedWeightOps(),
          recurrentOps(),
          visionOps(),
          signalOps(),
          stateSpaceOps(),
          trainingOps()};
}

} // namespace

Converter findConverter(std::string_view domain, std::string_view opType, int64_t opset) {
  for (std::span<const OpEntry> entries : lists())
    for (const OpEntry &entry : entries)
      if (entry.opType == opType && entry.domain == domain)
        return opset >= entry.since ? entry.convert : nullptr;
  return domain.empty() && findOpByOnnxName(opType) ? convertOneToOne : nullptr;
}

std::vector<OpEntry> importedOps() {
  std::map<std::string, OpEntry> byName;
  for (const OpInfo &op : allOps())
    if (!op.onnxName.empty())
      byName[std::string(op.onnxName)] = {op.onnxName, 1, convertOneToOne};
  for (std::span<const OpEntry> entries : lists())
    for (const OpEntry &entry : entries)
      byName[entry.name()] = entry;
  std::vector<OpEntry> all;
  for (const auto &[name, entry] : byName)
    all.push_back(entry);
  return all;
}

} // namespace kiln::onnx
