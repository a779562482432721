#include "compiler/import/BoundConstants.h"

#include "dialects/kiln/Build.h"
#include "dialects/kiln/Dialect.h"
#include "dialects/kiln/Movement.h"

#include <cstring>

using namespace mlir;

namespace kiln {

BoundConstants::BoundConstants(const std::vector<std::string> &given) : names(given.begin(), given.end()) {
  all = names.erase("all") > 0;
}

/// What "all" means: not the scalars that exporters write as initializers, nor what steers sizes.
static bool isWeight(TypedAttr value) {
  auto type = cast<RankedTensorType>(value.getType());
  return isa<FloatType>(type.getElementType()) && type.getNumElements() > 1;
}

static Result<bool> isSame(TypedAttr a, TypedAttr b) {
  if (a == b || a.getType() != b.getType())
    return a == b;
  Tensor storageOfA, storageOfB;
  SmallVector<int64_t> dimsOfA, dimsOfB;
  KILN_ASSIGN(TensorView viewOfA, viewConstant(a, storageOfA, dimsOfA));
  KILN_ASSIGN(TensorView viewOfB, viewConstant(b, storageOfB, dimsOfB));
  return viewOfA.bytes() == 0 || std::memcmp(viewOfA.data, viewOfB.data, size_t(viewOfA.bytes())) == 0;
}

Result<TypedAttr> BoundConstants::take(const std::string &initializer, TypedAttr value) {
  std::string own = entry + ":" + initializer;
  std::string name = names.count(own) ? own : initializer;
  bool byName = names.count(name) != 0;
  if (byName)
    found.insert(name);
  else if (!all || !isWeight(value))
    return value;
  for (int number = 2;; ++number) {
    auto [known, isNew] = constants.try_emplace(name, Known{value, byName});
    if (isNew)
      break;
    KILN_ASSIGN(bool same, isSame(known->second.value, value));
    if (same)
      break;
    if (byName)
      return makeError(ErrorCode::E0703, "constant \"", name,
                       "\" is to be bound, and two constants of that name differ; name that of one entry, as in ",
                       entry.empty() ? "ENTRY" : entry, ":", initializer);
    name = initializer + "#" + std::to_string(number);
  }
  MLIRContext *context = value.getContext();
  return TypedAttr(BoundAttr::get(context, StringAttr::get(context, name), value.getType(),
                                  StringAttr::get(context, ""), value.getType()));
}

TypedAttr BoundConstants::read(BoundAttr constant) {
  auto known = constants.find(constant.getName().str());
  if (known == constants.end())
    return {};
  known->second.read = true;
  return known->second.value;
}

Status BoundConstants::finish(ModuleOp module) {
  for (const std::string &name : names)
    if (!found.count(name))
      return makeError(ErrorCode::E0501, "constant \"", name,
                       "\" is to be bound, and no model uses an initializer of that name");
  for (const auto &[name, known] : constants)
    if (known.read && known.byName)
      return makeError(ErrorCode::E0701, "constant \"", name,
                       "\" cannot be bound later: sizes or attributes of the model are read from it");
  module.walk([&](ConstantOp op) {
    auto bound = dyn_cast<BoundAttr>(op.getValue());
    if (!bound)
      return;
    if (auto known = constants.find(bound.getName().str()); known != constants.end() && known->second.read)
      op.setValueAttr(known->second.value);
  });
  return Status();
}

} // namespace kiln
