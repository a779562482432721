// LLVM IR for a target, the short pipeline over it, and its machine code. No MLIR here.
#include "codegen/cpu/Lowering.h"

#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/PassManager.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Target/TargetOptions.h"
#include "llvm/Transforms/InstCombine/InstCombine.h"
#include "llvm/Transforms/Scalar/EarlyCSE.h"
#include "llvm/Transforms/Scalar/LICM.h"
#include "llvm/Transforms/Scalar/LoopPassManager.h"
#include "llvm/Transforms/Scalar/SimplifyCFG.h"
#include "llvm/Transforms/Utils/Cloning.h"

#include <mutex>

namespace kiln::cpu {

static const char *const triple = "x86_64-unknown-linux-gnu";

// A machine per call: they are cheap, and not to be shared between threads.
static Result<std::unique_ptr<llvm::TargetMachine>> makeMachine(const TargetInfo &target, LlvmEffort effort) {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
  });
  std::string error;
  const llvm::Target *registered = llvm::TargetRegistry::lookupTarget(triple, error);
  if (!registered)
    return Status(ErrorCode::E0903, "no code generator for " + std::string(triple) + ": " + error);
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Standard; // only what carries `contract`
  std::unique_ptr<llvm::TargetMachine> machine(registered->createTargetMachine(
      triple, target.llvmCpu(), target.llvmFeatures(), options, llvm::Reloc::PIC_, llvm::CodeModel::Small,
      effort == LlvmEffort::Least ? llvm::CodeGenOptLevel::None : llvm::CodeGenOptLevel::Default));
  if (!machine)
    return Status(ErrorCode::E0903, "no code generator for " + target.print());
  return machine;
}

Result<std::unique_ptr<llvm::Module>> optimizeForTarget(std::unique_ptr<llvm::Module> module, const TargetInfo &target,
                                                        LlvmEffort effort) {
  KILN_ASSIGN(std::unique_ptr<llvm::TargetMachine> machine, makeMachine(target, effort));
  module->setTargetTriple(triple);
  module->setDataLayout(machine->createDataLayout());
  std::string width = std::to_string(target.vectorBits);
  for (llvm::Function &f : *module) {
    if (f.isDeclaration())
      continue;
    f.addFnAttr("target-cpu", target.llvmCpu());
    if (!target.llvmFeatures().empty())
      f.addFnAttr("target-features", target.llvmFeatures());
    f.addFnAttr("prefer-vector-width", width);
    f.addFnAttr("min-legal-vector-width", width);
    f.addFnAttr("no-builtins"); // nothing may become a call of memcpy or memset
    f.addFnAttr(llvm::Attribute::NoUnwind);
    f.setDSOLocal(true);
  }

  if (effort == LlvmEffort::Least)
    return module;
  llvm::PassBuilder builder(machine.get());
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager sccs;
  llvm::ModuleAnalysisManager modules;
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(sccs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, sccs, modules);

  llvm::FunctionPassManager passes;
  passes.addPass(llvm::EarlyCSEPass(/*UseMemorySSA=*/false));
  passes.addPass(llvm::InstCombinePass());
  passes.addPass(llvm::SimplifyCFGPass());
  llvm::LoopPassManager loopPasses;
  loopPasses.addPass(llvm::LICMPass(llvm::LICMOptions()));
  passes.addPass(llvm::createFunctionToLoopPassAdaptor(std::move(loopPasses), /*UseMemorySSA=*/true));
  passes.addPass(llvm::EarlyCSEPass(/*UseMemorySSA=*/true));
  for (llvm::Function &f : *module)
    if (!f.isDeclaration())
      passes.run(f, functions);
  return module;
}

namespace {
// A growing buffer as LLVM's stream.
class VectorStream : public llvm::raw_pwrite_stream {
public:
  explicit VectorStream(std::vector<char> &bytes) : bytes_(bytes) { SetUnbuffered(); }

private:
  void write_impl(const char *data, size_t size) override { bytes_.insert(bytes_.end(), data, data + size); }
  void pwrite_impl(const char *data, size_t size, uint64_t offset) override {
    std::copy(data, data + size, bytes_.begin() + std::ptrdiff_t(offset));
  }
  uint64_t current_pos() const override { return bytes_.size(); }
  std::vector<char> &bytes_;
};
} // namespace

static Status generate(llvm::Module &module, llvm::TargetMachine &machine, llvm::CodeGenFileType type,
                       std::vector<char> &out) {
  VectorStream stream(out);
  llvm::legacy::PassManager passes;
  if (machine.addPassesToEmitFile(passes, stream, nullptr, type, /*DisableVerify=*/true))
    return Status(ErrorCode::E0903, "the code generator cannot write this file type");
  passes.run(module);
  return Status();
}

Result<std::vector<char>> emitObject(llvm::Module &module, const TargetInfo &target, std::string *assembly,
                                     LlvmEffort effort) {
  KILN_ASSIGN(std::unique_ptr<llvm::TargetMachine> machine, makeMachine(target, effort));
  if (assembly) {
    std::vector<char> text;
    std::unique_ptr<llvm::Module> copy = llvm::CloneModule(module);
    KILN_TRY(generate(*copy, *machine, llvm::CodeGenFileType::AssemblyFile, text));
    assembly->assign(text.begin(), text.end());
  }
  std::vector<char> object;
  KILN_TRY(generate(module, *machine, llvm::CodeGenFileType::ObjectFile, object));
  return object;
}

} // namespace kiln::cpu
