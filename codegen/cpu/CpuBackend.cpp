#include "codegen/Backend.h"
#include "codegen/cpu/CpuEmitter.h"
#include "codegen/cpu/Lowering.h"
#include "codegen/cpu/ObjectImage.h"
#include "codegen/families/CpuFamilies.h"

#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/raw_ostream.h"

namespace kiln {
namespace {

class CpuBackend final : public Backend {
public:
  std::string_view device() const override { return ""; }
  Result<TargetInfo> parseTarget(std::string_view text) const override { return TargetInfo::parse(text); }
  Result<TargetInfo> hostTarget() const override { return kiln::hostTarget(); }
  std::span<const KernelFamily *const> families() const override { return cpuFamilies(); }

  void loadDialects(mlir::MLIRContext &context) const override { cpu::loadKernelDialects(context); }
  std::unique_ptr<mlir::MLIRContext> makeContext() const override { return cpu::makeContext(); }

  Result<KernelImage> compile(Emission &emission, const TargetInfo &target, const KernelTexts &texts,
                              LlvmEffort effort) const override {
    KILN_TRY(cpu::lowerToLLVMDialect(*emission.module));
    llvm::LLVMContext context;
    KILN_ASSIGN(std::unique_ptr<llvm::Module> module, cpu::translateModule(*emission.module, context));
    KILN_ASSIGN(module, cpu::optimizeForTarget(std::move(module), target, effort));
    if (texts.llvmIr) {
      llvm::raw_string_ostream stream(*texts.llvmIr);
      module->print(stream, nullptr);
    }
    KILN_ASSIGN(std::vector<char> object, cpu::emitObject(*module, target, texts.assembly, effort));
    return cpu::imageOfObject(emission, object);
  }

protected:
  std::unique_ptr<emit::Emitter> makeEmitter(mlir::MLIRContext &context, const TargetInfo &target) const override {
    return std::make_unique<cpu::Emitter>(context, target);
  }
};

} // namespace

const Backend &cpuBackend() {
  static const CpuBackend backend;
  return backend;
}

} // namespace kiln
