#include "tools/reduce/OtherCompilers.h"

#include "codegen/cpu/ObjectImage.h"
#include "runtime/base/AtomicFile.h"
#include "runtime/base/ReadFile.h"

#include <cstdlib>

namespace kiln::reduce {

/// The tool's name of this release of LLVM, or without it; empty where it is not installed.
static std::string findTool(const std::string &name) {
  for (const std::string &candidate : {name + "-19", name})
    if (std::system(("command -v " + candidate + " >/dev/null 2>&1").c_str()) == 0)
      return candidate;
  return "";
}

static Status runTool(const std::string &command) {
  if (std::system(command.c_str()) != 0)
    return makeError(ErrorCode::E0903, "fails: ", command);
  return Status();
}

/// One pass per dialect, in upstream's order, instead of Kiln's one conversion.
static constexpr const char *loweringPasses =
    " --convert-vector-to-scf --convert-scf-to-cf --convert-vector-to-llvm=reassociate-fp-reductions=true"
    " --convert-math-to-llvm --convert-arith-to-llvm --convert-cf-to-llvm --reconcile-unrealized-casts ";

struct Tools {
  std::string opt = findTool("mlir-opt"), translate = findTool("mlir-translate"), llc = findTool("llc"),
              objcopy = findTool("objcopy");
  bool complete() const { return !opt.empty() && !translate.empty() && !llc.empty() && !objcopy.empty(); }
};

static Result<KernelImage> makeWithTools(Emission &emission, const TargetInfo &target, const Tools &tools,
                                         const std::string &level, const std::string &folder) {
  std::string text, stem = "'" + folder + "'/other";
  llvm::raw_string_ostream(text) << **emission.module;
  KILN_TRY(writeFile(folder + "/other.mlir", std::as_bytes(std::span(text))));
  KILN_TRY(runTool(tools.opt + loweringPasses + stem + ".mlir -o " + stem + ".llvm.mlir"));
  KILN_TRY(runTool(tools.translate + " --mlir-to-llvmir " + stem + ".llvm.mlir -o " + stem + ".ll"));
  KILN_TRY(runTool(tools.llc + " " + level + " --relocation-model=pic -filetype=obj -mcpu=" + target.llvmCpu() +
                   " -mattr='" + target.llvmFeatures() + "' " + stem + ".ll -o " + stem + ".o"));
  // Kiln's functions never unwind, which it says in a way that is lost here.
  KILN_TRY(runTool(tools.objcopy + " --remove-section=.eh_frame --remove-section=.rela.eh_frame " + stem + ".o"));
  KILN_ASSIGN(std::string object, readFile(folder + "/other.o"));
  return cpu::imageOfObject(emission, object);
}

std::vector<OtherCompiler> otherCompilers(const std::string &folder) {
  std::vector<OtherCompiler> all{{"LLVM without optimisation", [](Emission &emission, const TargetInfo &target) {
                                    return cpuBackend().compile(emission, target, {}, LlvmEffort::Least);
                                  }}};
  Tools tools;
  if (!tools.complete())
    return all;
  for (const std::string level : {"-O0", "-O3"})
    all.push_back({"mlir-opt, llc " + level, [=](Emission &emission, const TargetInfo &target) {
                     return makeWithTools(emission, target, tools, level, folder);
                   }});
  return all;
}

} // namespace kiln::reduce
