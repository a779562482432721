#include "compiler/import/ExtraOutputs.h"

#include "dialects/kiln/AttributeNames.h"
#include "dialects/kiln/NodeName.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringRef.h"

#include <set>

namespace kiln {

Status unknownValue(std::string_view name, const std::vector<std::string> &known) {
  std::string nearest;
  unsigned least = unsigned(name.size()) / 2 + 1; // further away is no misspelling
  for (const std::string &candidate : known)
    if (unsigned distance = llvm::StringRef(name).edit_distance(candidate, true, least); distance < least) {
      nearest = candidate;
      least = distance;
    }
  std::string advice = nearest.empty() ? "" : "; did you mean \"" + nearest + "\"?";
  return makeError(ErrorCode::E0501, "the model has no value \"", name, "\"", advice);
}

Status addExtraOutputs(mlir::ModuleOp module, std::span<const std::string> names) {
  for (auto function : module.getOps<mlir::func::FuncOp>()) {
    if (function.isExternal())
      continue;
    llvm::MapVector<mlir::StringAttr, mlir::Value> values;
    mlir::Builder builder(module.getContext());
    for (mlir::BlockArgument argument : function.getArguments())
      if (auto name = function.getArgAttrOfType<mlir::StringAttr>(argument.getArgNumber(), nameAttrName))
        values[name] = argument;
    for (mlir::Operation &op : function.front())
      for (mlir::OpResult result : op.getResults())
        if (std::string name = nodeName(op.getLoc()); !name.empty())
          values[builder.getStringAttr(result.getResultNumber() ? name + ":" + std::to_string(result.getResultNumber())
                                                                : name)] = result;

    std::set<std::string> present;
    for (unsigned i = 0; i < function.getNumResults(); ++i)
      if (auto name = function.getResultAttrOfType<mlir::StringAttr>(i, nameAttrName))
        present.insert(name.getValue().str());
    mlir::Operation *terminator = function.front().getTerminator();
    for (const std::string &name : names) {
      if (!present.insert(name).second)
        continue;
      auto found = values.find(builder.getStringAttr(name));
      if (found == values.end()) {
        std::vector<std::string> known;
        for (auto &[value, _] : values)
          known.push_back(value.getValue().str());
        return unknownValue(name, known);
      }
      function.insertResult(function.getNumResults(), found->second.getType(), {});
      function.setResultAttr(function.getNumResults() - 1, nameAttrName, builder.getStringAttr(name));
      terminator->insertOperands(terminator->getNumOperands(), found->second);
    }
  }
  return Status();
}

} // namespace kiln
