// kiln-mutate: damaged models through the whole compiler and damaged artifacts through the loader, each in a process of
// its own with a time limit. What it looks for: crashes, reports of the sanitizers that it is built with, hangs, and
// internal errors (E09xx). Case K of a seed is the same whatever the other options are.
#include "compiler/import/onnx/OnnxModel.h"
#include "compiler/session/Compiler.h"
#include "runtime/base/AtomicFile.h"
#include "runtime/base/ReadFile.h"
#include "runtime/exec/ExecutionContext.h"
#include "test/fuzz/Mutation.h"
#include "test/fuzz/SeedModels.h"
#include "test/runtime/Checksums.h"

#include <CLI/CLI.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <sys/wait.h>
#include <unistd.h>

using namespace kiln;
using test::Random;

namespace {

constexpr int seconds = 120; // of one case
constexpr double mostWork = 1e8;

struct Seed {
  std::string name, bytes;
  std::vector<std::pair<size_t, size_t>> weights; // places in the bytes where damage would change values alone
};

/// Finds the weights of a model.
Seed modelSeed(std::string name, std::string bytes) {
  Seed seed{std::move(name), std::move(bytes), {}};
  const auto *start = reinterpret_cast<const uint8_t *>(seed.bytes.data());
  if (auto model = onnx::parseModel({start, seed.bytes.size()}); model.ok() && model->graph)
    for (const onnx::TensorProto &tensor : model->graph->initializers)
      if (tensor.rawData)
        seed.weights.emplace_back(tensor.rawData->data() - start, tensor.rawData->size());
  return seed;
}

/// Mostly where the structure is: a weight that changed is still a weight.
std::string damage(const Seed &seed, Random &random) {
  std::string bytes = seed.bytes;
  for (size_t count = 1 + random.below(3) / 2; count > 0; --count) {
    size_t at = random.below(bytes.size());
    for (auto [begin, size] : seed.weights)
      if (at >= begin && at - begin < size && random.below(16) != 0)
        at = random.below(2) ? begin - 1 - random.below(std::min<size_t>(begin, 64)) : begin + size + random.below(64);
    test::mutate(bytes, random, at);
  }
  return bytes;
}

std::span<const std::byte> asBytes(const std::string &text) { return std::as_bytes(std::span(text)); }

/// Sizes that the model leaves open, as small as they may be.
std::map<std::string, int64_t> smallSizes(const Function &program) {
  std::map<std::string, int64_t> sizes;
  for (const ProgramSymbol &symbol : program.symbols)
    if (symbol.isBound())
      sizes[symbol.name] = std::clamp<int64_t>(2, symbol.low, symbol.high);
    else
      sizes[symbol.name] = symbol.value.evaluate(sizes).ok() ? *symbol.value.evaluate(sizes) : 1;
  return sizes;
}

/// Runs an artifact on zeros, if that takes little. `execute` is false for one whose plan or code may be damaged: it is
/// trusted as code.
Status load(std::span<const std::byte> bytes, bool execute) {
  KILN_ASSIGN(std::shared_ptr<const Artifact> artifact, Artifact::fromBytes(bytes));
  (void)artifact->verifyWeights();
  const Program &all = artifact->program();
  const Function &program = all.entry();
  std::map<std::string, int64_t> sizes = smallSizes(program);
  (void)printProgram(all);
  (void)countWork(all, program, sizes);
  KILN_ASSIGN(std::shared_ptr<const LoadedModel> model, LoadedModel::create(artifact));
  std::vector<std::vector<int64_t>> dims;
  std::vector<InputShape> shapes;
  double work = 0;
  for (const Port &input : program.inputs) {
    std::vector<int64_t> &own = dims.emplace_back();
    for (const SizeExpr &dim : program.views[input.view].dims) {
      KILN_ASSIGN(int64_t size, dim.evaluate(sizes));
      own.push_back(size);
    }
    work += double(byteCount(program.views[input.view].dtype, own).value_or(INT64_MAX));
  }
  for (size_t i = 0; i < dims.size(); ++i)
    shapes.push_back({program.views[program.inputs[i].view].dtype, dims[i]});
  KILN_ASSIGN(std::shared_ptr<const Instance> instance, model->bind(all.entries[0].function, shapes));
  work += double(instance->arenaBytes) + double(instance->scratchBytes);
  for (size_t i = 0; i < instance->steps.size(); ++i)
    work += instance->flops[i] + instance->bytes[i];
  for (const std::vector<int64_t> &output : instance->outputDims)
    work += double(byteCount(DType::F64, output).value_or(0)); // of some only a run tells the size
  if (!execute || work > mostWork)
    return Status();
  std::vector<Tensor> inputs;
  std::vector<TensorView> views;
  for (const InputShape &shape : shapes) {
    KILN_ASSIGN(Tensor tensor, Tensor::zeros(shape.dtype, shape.dims));
    inputs.push_back(std::move(tensor));
  }
  for (const Tensor &input : inputs)
    views.push_back(input.view());
  return ExecutionContext(model, 1).run(views).status();
}

/// Half of the models become programs of reference kernels and run; half become plans for a CPU, all but machine code,
/// which sanitizers do not see.
Status compile(const std::string &model, bool interpret) {
  CompileOptions options;
  options.target = interpret ? "interpreter" : "x86-64-v3";
  options.threads = 1;
  if (!interpret)
    options.stopAfter = Stage::Planned;
  CompileInput input;
  input.path = "model.onnx";
  input.bytes = asBytes(model);
  AlignedBytes artifact;
  CompileOutput output;
  output.bytes = &artifact;
  KILN_TRY(compileModel(input, options, output));
  return interpret ? load(artifact, true) : Status();
}

Result<Seed> artifactSeed(const Seed &model, const char *target) {
  CompileOptions options;
  options.target = target;
  CompileInput input;
  input.path = model.name;
  input.bytes = asBytes(model.bytes);
  AlignedBytes artifact;
  CompileOutput output;
  output.bytes = &artifact;
  KILN_TRY(compileModel(input, options, output));
  ArtifactHeader header;
  std::memcpy(&header, artifact.data(), sizeof header);
  Seed seed{model.name + " for " + target, {reinterpret_cast<const char *>(artifact.data()), artifact.size()}, {}};
  seed.weights.emplace_back(header.weightsOffset, header.weightsBytes);
  seed.weights.emplace_back(header.codeOffset, header.codeBytes);
  return seed;
}

struct Tally {
  size_t done = 0, refused = 0, failed = 0;
};

/// Runs one case in a child. `body` gives its outcome.
template <typename Body> void runCase(const std::string &name, const std::string &bytes, Tally &tally, Body body) {
  constexpr int refused = 10, internal = 11;
  fflush(nullptr);
  pid_t child = fork();
  if (child == 0) {
    Status status = body();
    bool isInternal = errorNumber(status.code()) / 100 == 9;
    if (isInternal)
      fprintf(stderr, "%s: %s\n", name.c_str(), formatError(status).c_str());
    fflush(nullptr);
    _exit(isInternal ? internal : status.ok() ? 0 : refused);
  }
  auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  int outcome = 0;
  bool hung = false;
  while (child > 0 && waitpid(child, &outcome, WNOHANG) == 0) {
    if (!hung && std::chrono::steady_clock::now() > end)
      hung = kill(child, SIGKILL) == 0;
    usleep(500);
  }
  if (child > 0 && WIFEXITED(outcome) && (WEXITSTATUS(outcome) == 0 || WEXITSTATUS(outcome) == refused)) {
    ++(WEXITSTATUS(outcome) ? tally.refused : tally.done);
    return;
  }
  ++tally.failed;
  bool isInternal = child > 0 && WIFEXITED(outcome) && WEXITSTATUS(outcome) == internal;
  std::string path = "mutation-" + name + ".bytes";
  std::replace_if(path.begin(), path.end(), [](char c) { return c == ' ' || c == '/'; }, '-');
  Status saved = writeFile(path, asBytes(bytes));
  printf("%s: %s; its bytes are in %s\n", name.c_str(),
         child < 0    ? "no process"
         : hung       ? "hangs"
         : isInternal ? "internal error"
                      : "crashes",
         saved.ok() ? path.c_str() : "no file");
}

void printTally(const char *what, const Tally &tally) {
  printf("%zu mutated %s: %zu done, %zu refused, %zu failed\n", tally.done + tally.refused + tally.failed, what,
         tally.done, tally.refused, tally.failed);
}

} // namespace

int main(int argc, char **argv) {
  CLI::App app{"Damages models and artifacts, compiles or loads them, and reports crashes, hangs and internal errors."};
  std::vector<std::string> paths;
  uint64_t seed = 1;
  size_t modelCount = 2000, artifactCount = 500, first = 0;
  app.add_option("MODELS", paths, "ONNX files, beside two small models of its own");
  app.add_option("--seed", seed, "of all cases")->capture_default_str();
  app.add_option("--models", modelCount, "how many damaged models")->capture_default_str();
  app.add_option("--artifacts", artifactCount, "how many damaged artifacts")->capture_default_str();
  app.add_option("--first", first, "number of the first case, to run one again")->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  std::vector<Seed> models, artifacts;
  for (const std::string &path : paths) {
    Result<std::string> bytes = readFile(path);
    if (!bytes.ok()) {
      fprintf(stderr, "%s\n", formatError(bytes.status()).c_str());
      return 2;
    }
    models.push_back(modelSeed(path.substr(path.find_last_of('/', path.rfind('/') - 1) + 1), std::move(*bytes)));
  }
  std::vector<std::string> own = onnx::test::seedModels();
  for (size_t i = 0; i < 2; ++i)
    models.push_back(modelSeed("small" + std::to_string(i), own[i]));
  for (size_t i = models.size() - 2; artifactCount > 0 && i < models.size(); ++i)
    for (const char *target : {"interpreter", "x86-64-v3"})
      if (Result<Seed> artifact = artifactSeed(models[i], target); artifact.ok()) {
        artifacts.push_back(std::move(*artifact));
      } else {
        fprintf(stderr, "%s\n", formatError(artifact.status()).c_str());
        return 1;
      }

  Tally modelTally, artifactTally;
  for (size_t i = first; i < first + modelCount; ++i) {
    const Seed &model = models[i % models.size()];
    Random random{seed << 32 | i};
    std::string bytes = damage(model, random);
    runCase("model " + std::to_string(i) + " of " + model.name, bytes, modelTally,
            [&] { return compile(bytes, i / models.size() % 2); });
  }
  printTally("models", modelTally);
  for (size_t i = first; i < first + artifactCount; ++i) {
    const Seed &artifact = artifacts[i % artifacts.size()];
    Random random{~seed << 32 | i};
    std::string bytes = damage(artifact, random);
    bool repair = i / artifacts.size() % 2;
    if (repair)
      test::repairChecksums(std::as_writable_bytes(std::span(bytes)));
    runCase("artifact " + std::to_string(i) + " of " + artifact.name, bytes, artifactTally,
            [&] { return load(asBytes(bytes), !repair); });
  }
  printTally("artifacts", artifactTally);
  return modelTally.failed + artifactTally.failed ? 1 : 0;
}
