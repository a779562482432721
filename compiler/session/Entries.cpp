#include "compiler/session/Entries.h"

#include "dialects/kiln/Build.h"
#include "dialects/kiln/Dialect.h"
#include "dialects/kiln/Movement.h"
#include "dialects/kiln/WeightStore.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

#include <cstring>
#include <map>
#include <set>

using namespace mlir;
using namespace kiln;

static bool isName(const std::string &text) {
  return !text.empty() && llvm::isAlpha(text[0]) &&
         llvm::all_of(text, [](char c) { return llvm::isAlnum(c) || c == '_' || c == '-'; });
}

Status kiln::checkEntries(std::span<const CompileInput> inputs) {
  if (inputs.empty())
    return makeError(ErrorCode::E0701, "no model is given");
  std::set<std::string> names;
  for (const CompileInput &input : inputs) {
    if (input.entry.empty() && inputs.size() == 1)
      return Status();
    if (input.entry.empty())
      return makeError(ErrorCode::E0701, input.path,
                       ": of several models each needs a name, as in decode=", input.path);
    if (!isName(input.entry))
      return makeError(ErrorCode::E0701, "entry \"", input.entry,
                       "\": a name begins with a letter and has letters, digits, _ and - only");
    if (!names.insert(input.entry).second)
      return makeError(ErrorCode::E0703, "entry \"", input.entry, "\" is given twice");
  }
  return Status();
}

Status kiln::renameEntry(ModuleOp module, const std::string &entry) {
  auto functions = llvm::to_vector(module.getOps<func::FuncOp>());
  if (llvm::count_if(functions, [](func::FuncOp f) { return f.isPublic(); }) != 1)
    return makeError(ErrorCode::E0703, "is no single model, so it cannot be entry \"", entry, "\"");
  for (func::FuncOp function : functions) {
    std::string name = function.isPublic() ? entry : entry + "." + function.getSymName().str();
    auto attr = StringAttr::get(module.getContext(), name);
    if (failed(SymbolTable::replaceAllSymbolUses(function, attr, module)))
      return makeError(ErrorCode::E0901, "function @", function.getSymName().str(), " cannot be renamed");
    function.setSymNameAttr(attr);
  }
  return Status();
}

void kiln::moveFunctions(ModuleOp from, ModuleOp to) {
  for (auto function : llvm::make_early_inc_range(from.getOps<func::FuncOp>()))
    function->moveBefore(to.getBody(), to.getBody()->end());
}

Status kiln::shareWeights(ModuleOp module, const WeightStore &weights) {
  auto bytesOf = [&](WeightAttr weight) -> Result<std::span<const std::byte>> {
    auto type = cast<RankedTensorType>(weight.getType());
    std::optional<int64_t> bytes = byteCount(*dtypeOf(type.getElementType()), type.getShape());
    return weights.bytes(std::string_view(weight.getFile().getValue()), weight.getOffset(),
                         uint64_t(bytes.value_or(0)));
  };
  std::map<std::pair<uint64_t, const void *>, std::vector<WeightAttr>> known; // by digest and type
  Status status;
  module.walk([&](ConstantOp constant) {
    auto weight = dyn_cast<WeightAttr>(constant.getValue());
    if (!weight)
      return WalkResult::advance();
    std::vector<WeightAttr> &alike = known[{weight.getDigest(), weight.getType().getAsOpaquePointer()}];
    for (WeightAttr other : alike) {
      if (other == weight)
        return WalkResult::advance();
      auto own = bytesOf(weight), others = bytesOf(other);
      status = !own.ok() ? own.status() : others.status();
      if (!status.ok())
        return WalkResult::interrupt();
      if (std::memcmp(own->data(), others->data(), own->size()) == 0) { // of one type, so as many
        constant.setValueAttr(other);
        return WalkResult::advance();
      }
    }
    alike.push_back(weight);
    return WalkResult::advance();
  });
  return status;
}
