// A compilation's module as text, read and printed, and the files that its weights lie in.

#include "codegen/Backend.h"
#include "compiler/import/ExtraOutputs.h"
#include "compiler/session/Compilation.h"
#include "compiler/session/TensorSizes.h"
#include "dialects/kiln/Build.h"
#include "dialects/kiln/Dialect.h"
#include "dialects/kiln/WeightStore.h"
#include "runtime/base/AtomicFile.h"
#include "runtime/base/MappedFile.h"

#include "mlir/IR/AttrTypeSubElements.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/SourceMgr.h"

#include <filesystem>
#include <set>

using namespace mlir;
using namespace kiln;

namespace fs = std::filesystem;

/// Calls `use` for every weight reference of the module.
static void forEachWeight(ModuleOp module, llvm::function_ref<void(WeightAttr)> use) {
  AttrTypeWalker walker;
  walker.addWalk([&](WeightAttr weight) { use(weight); });
  module->walk([&](Operation *op) { walker.walk(op->getAttrDictionary()); });
}

Status Compilation::readText(const Source &source) {
  StringRef text(reinterpret_cast<const char *>(source.bytes.data()), source.bytes.size());
  if (text.contains("llvm.") || text.contains("vector."))
    (target ? target->backend : &cpuBackend())->loadDialects(context); // code of kernels
  llvm::SourceMgr sources;
  sources.AddNewSourceBuffer(llvm::MemoryBuffer::getMemBufferCopy(text, input.path), SMLoc());
  module = parseSourceFile<ModuleOp>(sources, ParserConfig(&context));
  KILN_TRY(diagnostics.take(ErrorCode::E0312));
  if (!module)
    return makeError(ErrorCode::E0312, input.path, ": is no IR text");
  reached = stageOf(*module);
  if (reached == Stage::None)
    return makeError(ErrorCode::E0313, input.path,
                     ": the module has no attribute kiln.stage, such as {kiln.stage = \"imported\"}");
  if (options.stopAfter && *options.stopAfter < reached)
    return makeError(ErrorCode::E0313, input.path, ": is past stage ", stageName(*options.stopAfter),
                     " already: it is at stage ", stageName(reached));
  Status legal = checkStage(*module, reached);
  if (!legal.ok())
    return Status(ErrorCode::E0313, input.path + ": " + legal.message());
  KILN_TRY(checkStageOptions().withContext(input.path + ": "));
  KILN_ASSIGN(std::vector<std::string> extraOutputs, extraOutputsOfInput());
  if (!extraOutputs.empty()) {
    if (reached > Stage::Optimized)
      return makeError(ErrorCode::E0703, input.path, ": values inside the model are asked for, but in IR at stage ",
                       stageName(reached), " they lie inside kernels; give the model, or IR up to stage optimized");
    KILN_TRY(addExtraOutputs(*module, extraOutputs).withContext(input.path + ": "));
  }
  if (!bound.empty())
    return makeError(ErrorCode::E0703, input.path,
                     ": constants are to be bound, but IR text says itself which ones are; give them with the model");
  ShapeOverrides shapes = shapesOfInput();
  if (!shapes.empty()) {
    if (reached != Stage::Imported)
      return makeError(ErrorCode::E0703, input.path, ": shapes are given, but the sizes of IR at stage ",
                       stageName(reached), " are settled; give them with the model, or with IR at stage imported");
    KILN_TRY(applyShapes(shapes, *module).withContext(input.path + ": "));
  }
  if (reached <= Stage::Kernels)
    KILN_TRY(checkTensorSizes(*module).withContext(input.path + ": "));
  KILN_TRY(removeOldDump(reached));
  return openWeightFiles();
}

Status Compilation::openWeightFiles() {
  std::set<std::string> files;
  forEachWeight(*module, [&](WeightAttr weight) { files.insert(weight.getFile().str()); });
  for (const std::string &name : files) {
    if (name == WeightStore::derivedId)
      return makeError(ErrorCode::E0104, input.path,
                       ": refers to derived weights that were not saved; write the text with -o");
    if (weights().hasFile(name))
      continue;
    // Names are relative to the text's folder, or else as they stand.
    fs::path beside = fs::path(input.path).parent_path() / name;
    std::error_code error;
    Result<std::shared_ptr<const MappedFile>> file =
        MappedFile::open(fs::exists(beside, error) ? beside.string() : name);
    if (!file.ok())
      return file.status().withContext(input.path + ": weights: ");
    KILN_TRY(weights().addFile(name, (*file)->bytes(), *file, (*file)->path()));
  }
  return Status::success();
}

std::string Compilation::printModule(const std::string &weightsFile) {
  OwningOpRef<ModuleOp> renamed;
  ModuleOp shown = *module;
  if (!weightsFile.empty() && hasDerivedWeights()) {
    renamed = module->clone();
    shown = *renamed;
    AttrTypeReplacer replacer;
    replacer.addReplacement([&](WeightAttr weight) -> std::optional<mlir::Attribute> {
      if (weight.getFile().getValue() != StringRef(WeightStore::derivedId))
        return std::nullopt;
      return WeightAttr::get(&context, StringAttr::get(&context, weightsFile), weight.getOffset(), weight.getType(),
                             weight.getDigest());
    });
    replacer.recursivelyReplaceElementsIn(shown, /*replaceAttrs=*/true, /*replaceLocs=*/false,
                                          /*replaceTypes=*/false);
  }
  std::string text;
  llvm::raw_string_ostream stream(text);
  shown->print(stream, OpPrintingFlags().enableDebugInfo(true, false));
  stream << "\n";
  return text;
}

bool Compilation::hasDerivedWeights() {
  bool found = false;
  forEachWeight(*module,
                [&](WeightAttr weight) { found |= weight.getFile().getValue() == StringRef(WeightStore::derivedId); });
  return found;
}

Status Compilation::writeDerivedWeights(const std::string &path) {
  std::string bytes;
  Status status;
  std::set<uint64_t> written;
  forEachWeight(*module, [&](WeightAttr weight) {
    if (weight.getFile().getValue() != StringRef(WeightStore::derivedId) ||
        !written.insert(weight.getOffset()).second || !status.ok())
      return;
    Tensor storage;
    llvm::SmallVector<int64_t> dims;
    Result<TensorView> view = viewConstant(weight, storage, dims);
    if (!view.ok()) {
      status = view.status();
      return;
    }
    auto size = static_cast<size_t>(view->bytes());
    bytes.resize(std::max(bytes.size(), weight.getOffset() + size));
    std::memcpy(bytes.data() + weight.getOffset(), view->data, size);
  });
  KILN_TRY(status);
  return writeFile(path + ".weights", std::as_bytes(std::span(bytes)));
}
