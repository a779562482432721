#include "passes/Stages.h"

#include "dialects/kiln/Build.h"
#include "dialects/kiln/Ops.h"
#include "dialects/kiln/SizeTable.h"
#include "dialects/plan/PlanDialect.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"

#include <set>

using namespace mlir;

namespace kiln {
namespace {

constexpr StageInfo stages[] = {
    {Stage::Imported, "imported",
     "kiln ops only; every op carries its model node's name; weights are references into the "
     "mapped file"},
    {Stage::Canonical, "canonical",
     "sizes are integers or symbols, constants are folded, dead code is gone, spelled-out "
     "composites are raised"},
    {Stage::Optimized, "optimized", "casts are eliminated and layouts chosen, as explicit ops"},
    {Stage::Kernels, "kernels", "every tensor op lies in one kernel region that names its family, or is a host step"},
    {Stage::Configured, "configured", "every kernel has its problem text and the chosen implementation"},
    {Stage::Planned, "planned", "a host program: buffers with places, launches and host calls in order"},
    {Stage::Lowered, "lowered", "the host program with vector-level code of every kernel"},
    {Stage::Artifact, "artifact", "the .kiln file"},
};

// The legality table. An op is named by dialect ("plan.*") or in full; of kiln.kernel the
// attributes that must be there are checked too.
struct Legality {
  Stage stage;
  SmallVector<StringRef> ops;
  bool knownSizes; // every dim of a tensor is an integer or a symbol
  SmallVector<StringRef> kernelAttributes;
};

const Legality &legalityOf(Stage stage) {
  static const Legality table[] = {
      {Stage::Imported, {"func.*", "kiln.*", "!kiln.kernel", "!kiln.yield"}, false, {}},
      {Stage::Canonical, {"func.*", "kiln.*", "!kiln.kernel", "!kiln.yield"}, true, {}},
      {Stage::Optimized, {"func.*", "kiln.*", "!kiln.kernel", "!kiln.yield"}, true, {}},
      {Stage::Kernels, {"func.*", "kiln.*"}, true, {"family"}},
      {Stage::Configured, {"func.*", "kiln.*"}, true, {"family", "problem", "config", "interface", "sizes"}},
      {Stage::Planned, {"plan.*"}, false, {}},
      {Stage::Lowered, {"plan.*", "builtin.module"}, false, {}},
  };
  return table[static_cast<int>(stage) - 1];
}

bool allowed(const Legality &legality, OperationName name) {
  bool ok = false;
  for (StringRef entry : legality.ops) {
    if (entry.consume_front("!")) {
      if (entry == name.getStringRef())
        return false;
    } else if (entry == name.getStringRef() ||
               (entry.ends_with(".*") && entry.drop_back(2) == name.getDialectNamespace())) {
      ok = true;
    }
  }
  return ok;
}

bool sizesKnown(Type type) {
  return llvm::none_of(getDims(type), [](const SizeExpr &dim) { return dim.isInvalid(); });
}

/// Refuses a value whose type, or a size whose definition, names a size that the function's size table does not have:
/// nothing would say what it is, and a name that is made up later could be the same. Before sizes are known the table
/// need not list those of arguments.
Status checkSizeNames(func::FuncOp function, bool knownSizes,
                      llvm::function_ref<void(Operation *, const std::string &)> refuse) {
  KILN_ASSIGN(SizeTable sizes, SizeTable::read(function));
  std::set<std::string> used;
  for (Type type : function.getArgumentTypes())
    for (const SizeExpr &dim : getDims(type))
      if (auto name = dim.asSymbol()) {
        used.insert(*name);
        if (!knownSizes)
          sizes.declareStored(*name);
      }
  for (const SizeTable::Symbol &symbol : sizes.symbols())
    if (symbol.definition)
      symbol.definition->collectSymbols(used);
  for (const SizeTable::Check &check : sizes.checks()) {
    check.a.collectSymbols(used);
    check.b.collectSymbols(used);
  }
  for (const std::string &name : used)
    if (!sizes.find(name)) {
      refuse(function, name);
      return Status();
    }
  function.walk([&](Operation *op) {
    for (Type type : op->getResultTypes())
      for (const SizeExpr &dim : getDims(type))
        if (auto name = dim.asSymbol(); name && !sizes.find(*name)) {
          refuse(op, *name);
          return WalkResult::interrupt();
        }
    return WalkResult::advance();
  });
  return Status();
}

/// What is wrong with the type of a value of a kiln function, or nothing.
StringRef wrongType(Type type, bool knownSizes) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor || !dtypeOf(tensor.getElementType()))
    return "has a value that is no ranked tensor of a known element type";
  return knownSizes && !sizesKnown(type) ? "has a value of unknown size" : "";
}

} // namespace

std::span<const StageInfo> allStages() { return stages; }

std::string_view stageName(Stage stage) {
  return stage == Stage::None ? "none" : stages[static_cast<int>(stage) - 1].name;
}

std::optional<Stage> parseStage(std::string_view name) {
  for (const StageInfo &info : stages)
    if (info.name == name)
      return info.stage;
  return std::nullopt;
}

Stage stageOf(ModuleOp module) {
  auto name = module->getAttrOfType<StringAttr>(stageAttrName);
  return name ? parseStage(std::string_view(name.getValue())).value_or(Stage::None) : Stage::None;
}

void setStage(ModuleOp module, Stage stage) {
  module->setAttr(stageAttrName, StringAttr::get(module.getContext(), llvm::StringRef(stageName(stage))));
}

Status checkStage(ModuleOp module, Stage stage) {
  if (stage == Stage::None || stage == Stage::Artifact)
    return Status::success();
  const Legality &legality = legalityOf(stage);
  Status status;
  auto refuse = [&](Operation *op, const std::string &why) {
    status = makeError(ErrorCode::E0902, op->getName().getStringRef().str(), " ", why, " at stage ", stageName(stage));
    return WalkResult::interrupt();
  };
  module->walk<WalkOrder::PreOrder>([&](Operation *op) {
    if (op == module)
      return WalkResult::advance();
    if (isa<ModuleOp>(op) && allowed(legality, op->getName()))
      return WalkResult::skip(); // a kernel's code, checked by its own verifier
    if (!allowed(legality, op->getName()))
      return refuse(op, "does not belong");
    if (stage >= Stage::Planned)
      return WalkResult::advance();
    if (auto function = dyn_cast<func::FuncOp>(op)) {
      if (!function.getBody().hasOneBlock())
        return refuse(op, "has not exactly one block");
      Status sizes = checkSizeNames(function, legality.knownSizes, [&](Operation *wrong, const std::string &name) {
        refuse(wrong, "has a value of size " + name + ", which " + sizesAttrName.str() + " does not list");
      });
      if (!sizes.ok())
        status = sizes;
      if (!status.ok())
        return WalkResult::interrupt();
    }
    for (Region &region : op->getRegions())
      for (BlockArgument argument : region.getArguments())
        if (StringRef wrong = wrongType(argument.getType(), legality.knownSizes); !wrong.empty())
          return refuse(op, wrong.str());
    for (Type type : op->getResultTypes())
      if (StringRef wrong = wrongType(type, legality.knownSizes); !wrong.empty())
        return refuse(op, wrong.str());
    if (isa<KernelOp>(op))
      for (StringRef name : legality.kernelAttributes)
        if (!op->hasAttr(name))
          return refuse(op, "has no attribute " + name.str());
    return WalkResult::advance();
  });
  return status;
}

} // namespace kiln
