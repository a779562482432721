// The last stage: machine code, packed weights and the plan into one artifact; and what the dump
// directory holds of each kernel.

#include "compiler/session/Compilation.h"
#include "compiler/session/PackConstants.h"
#include "runtime/plan/Transfers.h"

#include <algorithm>
#include <filesystem>

using namespace mlir;
using namespace kiln;

// Where the dump directory holds the kernels, each in a folder k0, k1 ..., and the files there.
constexpr const char *kernelsFolder = "kernels";
constexpr const char *kernelFiles[] = {"problem.txt", "config.txt", "kernel.mlir", "kernel.ll", "kernel.s", "bench.sh"};

/// Joins the images; each starts on a cache line.
static std::vector<std::byte> joinCode(std::span<const CompiledKernel> kernels, Program &program) {
  std::vector<std::byte> code;
  for (size_t i = 0; i < kernels.size(); ++i) {
    const KernelImage &image = kernels[i].image;
    code.resize((code.size() + 63) / 64 * 64);
    Kernel &kernel = program.kernels[i];
    kernel.codeOffset = code.size();
    kernel.codeBytes = image.bytes.size();
    kernel.entries = image.entries;
    auto bytes = std::as_bytes(std::span(image.bytes));
    code.insert(code.end(), bytes.begin(), bytes.end());
  }
  return code;
}

/// What launches run on, as Program::device.
static std::string deviceOf(const CompileOptions &options, const std::optional<BackendTarget> &target) {
  if (!options.device.empty() || !target)
    return options.device;
  return std::string(target->backend->device());
}

/// How an artifact in `folder` names a file: relative where the file lies there or below, so that both may move.
static std::string nameFrom(const std::string &folder, const std::string &path) {
  namespace fs = std::filesystem;
  fs::path file = fs::absolute(path).lexically_normal();
  if (folder.empty())
    return file.string();
  fs::path relative = file.lexically_relative(fs::absolute(folder).lexically_normal());
  return relative.empty() || *relative.begin() == ".." ? file.string() : relative.string();
}

Status Compilation::writeArtifact(ByteSink &sink, const std::string &folder) {
  KILN_TRY(refuseKernelsOfInterpreter());
  KILN_ASSIGN(BuiltProgram built, buildProgram(*module, families(), options.weights == "external"));
  Program &program = built.program;
  for (WeightFile &file : program.files)
    file.path = nameFrom(folder, file.path);
  program.producer = "kiln " KILN_VERSION;
  program.target = target ? target->info.print() : "interpreter";
  program.precision = precisionName(precision);

  if (std::string device = deviceOf(options, target); !device.empty())
    moveToDevice(program, device);

  bool dump = !options.dumpDirectory.empty();
  std::vector<CompiledKernel> kernels;
  if (!built.kernels.empty()) {
    auto report = [&](size_t done, size_t total) { return progress("lowered", done, total); };
    KILN_ASSIGN(kernels, compileKernels(built.kernels, *target, threads, dump, report));
  }
  if (dump)
    KILN_TRY(dumpKernels(built, kernels));
  std::vector<std::byte> code = joinCode(kernels, program);
  return withConstants(built, threads, [&](const ConstantBytes &constants) {
    auto checked = [&](size_t i) -> Result<std::span<const std::byte>> {
      KILN_TRY(progress("artifact", i, program.constants.size()));
      return constants(i);
    };
    return kiln::writeArtifact(program, code, checked, sink);
  });
}

Status Compilation::removeOldDump(Stage read) {
  namespace fs = std::filesystem;
  if (options.dumpDirectory.empty())
    return Status::success();
  fs::path folder = options.dumpDirectory;
  std::error_code error, ignored;
  auto remove = [&](const fs::path &path) { // a folder only when it is empty
    if (!error)
      fs::remove(path, error);
  };
  for (const StageInfo &stage : allStages())
    if (stage.stage > read) {
      remove(folder / dumpName(stage.stage));
      remove(folder / (dumpName(stage.stage) + ".weights"));
    }
  std::vector<fs::path> kernels;
  for (const fs::directory_entry &entry : fs::directory_iterator(folder / kernelsFolder, ignored))
    if (std::string name = entry.path().filename().string();
        name.size() > 1 && name[0] == 'k' && name.find_first_not_of("0123456789", 1) == std::string::npos)
      kernels.push_back(entry.path());
  for (const fs::path &kernel : kernels) {
    for (const char *name : kernelFiles)
      remove(kernel / name);
    if (fs::is_empty(kernel, ignored))
      remove(kernel);
  }
  if (error)
    return makeError(ErrorCode::E0106, folder.string(), ": an earlier dump cannot be removed: ", error.message());
  return Status::success();
}

Status Compilation::dumpKernels(const BuiltProgram &built, std::span<const CompiledKernel> kernels) {
  for (size_t i = 0; i < kernels.size(); ++i) {
    const KernelJob &job = built.kernels[i];
    std::string problem = job.problem.print(), family(job.family->name()), config = job.config.print();
    // Everything is in quotes that the shell leaves alone: none of the texts holds a quote of this kind.
    std::string bench = "#!/bin/sh\nexec kiln-sweep --target='" + target->info.print() + "' --family=" + family +
                        " --config='" + config + "' \"$@\" '" + problem + "'\n";
    const std::string texts[] = {problem + "\n",    family + " " + config + "\n", kernels[i].code,
                                 kernels[i].llvmIr, kernels[i].assembly,          bench};
    static_assert(std::size(texts) == std::size(kernelFiles));
    for (size_t k = 0; k < std::size(texts); ++k)
      KILN_TRY(dump(kernelsFolder + ("/k" + std::to_string(i) + "/") + kernelFiles[k], texts[k]));
  }
  return Status::success();
}
