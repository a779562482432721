#include "compiler/session/Compiler.h"

#include "compiler/pipeline/Pipeline.h"
#include "dialects/kiln/WeightStore.h"
#include "runtime/base/AtomicFile.h"
#include "runtime/plan/Artifact.h"

#include <filesystem>

using namespace kiln;

static Status writeText(Compilation &c, const CompileOutput &output) {
  std::string weightsFile =
      output.path.empty() ? "" : std::filesystem::path(output.path).filename().string() + ".weights";
  std::string text = c.printModule(weightsFile);
  if (output.bytes) {
    auto bytes = std::as_bytes(std::span(text));
    output.bytes->assign(bytes.begin(), bytes.end());
  }
  if (output.path.empty()) {
    if (c.hasDerivedWeights() && c.options.message)
      c.options.message(Severity::Note,
                        "constants that passes computed are not in this text; to read it back, write it to a file");
    return Status::success();
  }
  if (c.hasDerivedWeights())
    KILN_TRY(c.writeDerivedWeights(output.path));
  return writeFile(output.path, std::as_bytes(std::span(text)));
}

/// A file that the model or its weights were read from is not to be replaced by what is made of it.
static Status keepInputs(Compilation &c, const std::string &path) {
  std::vector<std::string> read = c.weights().fileIds();
  for (const CompileInput &input : c.inputs)
    read.push_back(input.path);
  for (const std::string &file : read)
    if (isSameFile(path, file))
      return makeError(ErrorCode::E0703, path,
                       ": the model is read from this file; choose another name for the output");
  return Status();
}

Status kiln::compileModel(const CompileInput &input, const CompileOptions &options, const CompileOutput &output) {
  return compileModels({input}, options, output);
}

Status kiln::compileModels(std::vector<CompileInput> inputs, const CompileOptions &given, const CompileOutput &output) {
  CompileOptions options = given;
  if (options.stopAfter == Stage::Artifact)
    options.stopAfter.reset();
  KILN_ASSIGN(std::unique_ptr<Compilation> c, Compilation::create(options, std::move(inputs)));
  KILN_TRY(runPipeline(*c));
  KILN_TRY(keepInputs(*c, output.path));
  if (c->stopped())
    return writeText(*c, output);
  if (output.path.empty()) {
    MemorySink sink;
    KILN_TRY(c->writeArtifact(sink, ""));
    if (output.bytes)
      *output.bytes = std::move(sink.bytes);
    return Status::success();
  }
  AtomicFile file;
  KILN_TRY(file.open(output.path));
  FileSink sink(file.descriptor(), output.path);
  std::filesystem::path folder = std::filesystem::path(output.path).parent_path();
  KILN_TRY(c->writeArtifact(sink, folder.empty() ? "." : folder.string()));
  return file.commit();
}
