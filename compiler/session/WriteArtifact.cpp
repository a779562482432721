// The last stage: machine code, packed weights and the plan into one artifact; and what the dump
// directory holds of each kernel.

#include "compiler/session/Compilation.h"
#include "compiler/session/PackConstants.h"

#include <algorithm>

using namespace mlir;
using namespace kiln;

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

Status Compilation::writeArtifact(ByteSink &sink) {
  if (interpreted() && !module->getOps<plan_ir::KernelOp>().empty())
    return kernelsInterpreted();
  KILN_ASSIGN(BuiltProgram built, buildProgram(*module, families()));
  Program &program = built.program;
  program.producer = "kiln " KILN_VERSION;
  program.target = target ? target->print() : "interpreter";
  program.precision = precisionName(precision);

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
      if (!progress("artifact", i, program.constants.size()))
        return interrupted();
      return constants(i);
    };
    return kiln::writeArtifact(program, code, checked, sink);
  });
}

Status Compilation::dumpKernels(const BuiltProgram &built, std::span<const CompiledKernel> kernels) {
  for (size_t i = 0; i < kernels.size(); ++i) {
    const KernelJob &job = built.kernels[i];
    std::string folder = "kernels/k" + std::to_string(i) + "/", problem = job.problem.print();
    KILN_TRY(dump(folder + "problem.txt", problem + "\n"));
    KILN_TRY(dump(folder + "config.txt", std::string(job.family->name()) + " " + job.config.print() + "\n"));
    KILN_TRY(dump(folder + "kernel.mlir", kernels[i].code));
    KILN_TRY(dump(folder + "kernel.ll", kernels[i].llvmIr));
    KILN_TRY(dump(folder + "kernel.s", kernels[i].assembly));
    // Everything is in quotes that the shell leaves alone: none of the texts holds a quote of this kind.
    KILN_TRY(dump(folder + "bench.sh", "#!/bin/sh\nexec kiln-sweep --target='" + target->print() +
                                           "' --family=" + std::string(job.family->name()) + " --config='" +
                                           job.config.print() + "' \"$@\" '" + problem + "'\n"));
  }
  return Status::success();
}
