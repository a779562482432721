// What a compilation reads: the table of input formats, told apart by their bytes.

#include "compiler/import/onnx/Importer.h"
#include "compiler/session/Compilation.h"
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
  importing.shapes = options.shapes;
  importing.directory = source.directory;
  importing.file = source.file;
  importing.warn = [this](const std::string &text) { message(Severity::Warning, text); };
  importing.extraOutputs = options.extraOutputs;
  KILN_ASSIGN(module, importOnnx(context, weights(), source.bytes, source.file, importing, input.path));
  KILN_TRY(diagnostics.take(ErrorCode::E0901));
  return end(Stage::Imported);
}
