// What a compilation reads: the table of input formats, told apart by their bytes, and how several models become one
// module.

#include "compiler/import/onnx/Importer.h"
#include "compiler/session/Compilation.h"
#include "compiler/session/Entries.h"
#include "compiler/session/States.h"
#include "dialects/kiln/Dialect.h"
#include "dialects/kiln/WeightStore.h"
#include "runtime/base/MappedFile.h"
#include "runtime/plan/Artifact.h"

#include <filesystem>

using namespace mlir;
using namespace kiln;

static bool looksLikeText(StringRef path, StringRef bytes) {
  if (path.ends_with(".mlir"))
    return true;
  StringRef start = bytes.take_front(64).ltrim();
  for (StringRef word : {"module", "//", "#", "func.func", "!", "plan."})
    if (start.starts_with(word))
      return true;
  return false;
}

Status Compilation::read() {
  KILN_TRY(checkEntries(inputs));
  BoundReader *&reader = context.getLoadedDialect<KilnDialect>()->boundReader;
  struct Scope { // nobody reads what is bound once the models are read
    BoundReader *&reader;
    ~Scope() { reader = nullptr; }
  } scope{reader};
  reader = &bound;
  OwningOpRef<ModuleOp> all;
  std::map<std::string, size_t> others; // shapes of what is no input, and of how many models
  for (const CompileInput &next : inputs) {
    input = next;
    otherShapes.clear();
    bound.beginModel(next.entry);
    KILN_TRY(readInput());
    for (const std::string &name : otherShapes)
      if (++others[name] == inputs.size())
        return makeError(ErrorCode::E0501, "a shape is given for \"", name,
                         "\", which is no input of any of the models");
    if (inputs.size() > 1 && reached > Stage::Imported)
      return makeError(ErrorCode::E0313, input.path, ": is at stage ", stageName(reached),
                       "; of several models each must be a model, or IR at stage imported");
    if (!input.entry.empty())
      KILN_TRY(renameEntry(*module, input.entry).withContext(input.path + ": "));
    if (all)
      moveFunctions(*module, *all);
    else
      all = std::move(module);
  }
  module = std::move(all);
  KILN_TRY(bound.finish(*module).withContext(label() + ": "));
  if (inputs.size() > 1)
    KILN_TRY(shareWeights(*module, weights()));
  bool isText = reached != Stage::None;
  if (reached > Stage::Imported && !options.states.empty())
    return makeError(ErrorCode::E0703, input.path, ": states are given, but IR at stage ", stageName(reached),
                     " says its own; give them with the model, or with IR at stage imported");
  KILN_TRY(declareStates(*module, options.states).withContext(label() + ": "));
  // IR text says its stage, and is not dumped again.
  return isText && inputs.size() == 1 ? Status() : end(Stage::Imported);
}

Status Compilation::readInput() {
  struct Format {
    bool (*claims)(StringRef path, StringRef bytes);
    Status (Compilation::*read)(const Source &source);
  };
  // Protobuf has no magic number, so ONNX takes what no other format claims.
  static constexpr Format formats[] = {
      {looksLikeText, &Compilation::readText},
      {[](StringRef, StringRef) { return true; }, &Compilation::readOnnx},
  };

  KILN_TRY(progress("imported", 0, 0));
  Source source;
  if (input.bytes) {
    if (options.weights == "external")
      return makeError(ErrorCode::E0703, input.path,
                       ": is given as bytes, so its weights lie in no file that an artifact could name");
    source = {*input.bytes, nullptr, input.directory};
  } else {
    KILN_ASSIGN(std::shared_ptr<const MappedFile> file, MappedFile::open(input.path));
    std::filesystem::path parent = std::filesystem::path(input.path).parent_path();
    source = {file->bytes(), file, parent.empty() ? "." : parent.string()};
  }
  if (source.bytes.empty())
    return makeError(ErrorCode::E0102, input.path, ": is empty");
  if (Artifact::looksLike(source.bytes))
    return makeError(ErrorCode::E0109, input.path, ": is a compiled artifact already");
  StringRef bytes(reinterpret_cast<const char *>(source.bytes.data()), source.bytes.size());
  for (const Format &format : formats)
    if (format.claims(input.path, bytes))
      return (this->*format.read)(source);
  return makeError(ErrorCode::E0109, input.path, ": is in no known format");
}

Status Compilation::readOnnx(const Source &source) {
  KILN_TRY(removeOldDump(Stage::None));
  ImportOptions importing;
  importing.shapes = shapesOfInput();
  if (inputs.size() > 1)
    importing.otherShapes = &otherShapes;
  importing.bound = bound.empty() ? nullptr : &bound;
  importing.directory = source.directory;
  importing.file = source.file;
  importing.warn = [this](const std::string &text) { message(Severity::Warning, text); };
  KILN_ASSIGN(importing.extraOutputs, extraOutputsOfInput());
  KILN_ASSIGN(module, importOnnx(context, weights(), source.bytes, source.file, importing, input.path));
  return diagnostics.take(ErrorCode::E0901);
}

ShapeOverrides Compilation::shapesOfInput() const {
  if (inputs.size() == 1)
    return options.shapes;
  ShapeOverrides shapes;
  auto isOfEntry = [&](const std::string &name) {
    return llvm::any_of(inputs, [&](const CompileInput &i) { return name.starts_with(i.entry + ":"); });
  };
  for (const auto &[name, dims] : options.shapes)
    if (!isOfEntry(name))
      shapes[name] = dims;
  for (const auto &[name, dims] : options.shapes)
    if (name.starts_with(input.entry + ":"))
      shapes[name.substr(input.entry.size() + 1)] = dims;
  return shapes;
}

Result<std::vector<std::string>> Compilation::extraOutputsOfInput() const {
  if (inputs.size() == 1)
    return options.extraOutputs;
  std::vector<std::string> names;
  for (const std::string &name : options.extraOutputs) {
    if (llvm::none_of(inputs, [&](const CompileInput &i) { return name.starts_with(i.entry + ":"); }))
      return makeError(ErrorCode::E0701, "value \"", name, "\": say of which entry it is, as in ", input.entry, ":",
                       name);
    if (name.starts_with(input.entry + ":"))
      names.push_back(name.substr(input.entry.size() + 1));
  }
  return names;
}
