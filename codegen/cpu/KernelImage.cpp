#include "codegen/cpu/KernelImage.h"

#include "codegen/cpu/Relocator.h"

#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/raw_ostream.h"

namespace kiln {

Result<KernelImage> compileEmission(Emission &emission, const TargetInfo &target, const KernelTexts &texts,
                                    cpu::LlvmEffort effort) {
  KILN_TRY(cpu::lowerToLLVMDialect(*emission.module));
  llvm::LLVMContext context;
  KILN_ASSIGN(std::unique_ptr<llvm::Module> module, cpu::translateModule(*emission.module, context));
  KILN_ASSIGN(module, cpu::optimizeForTarget(std::move(module), target, effort));
  if (texts.llvmIr) {
    llvm::raw_string_ostream stream(*texts.llvmIr);
    module->print(stream, nullptr);
  }
  KILN_ASSIGN(std::vector<char> object, cpu::emitObject(*module, target, texts.assembly, effort));
  return imageOfObject(emission, object);
}

Result<KernelImage> imageOfObject(const Emission &emission, std::span<const char> object) {
  KILN_ASSIGN(cpu::LinkedImage linked, cpu::linkImage(object));
  KernelImage image;
  image.bytes = std::move(linked.bytes);
  for (const KernelInterface::Launch &launch : emission.interface.launches) {
    auto symbol = linked.symbols.find(launch.name);
    if (symbol == linked.symbols.end())
      return makeError(ErrorCode::E0903, "launch of '", launch.name, "', which the kernel does not define");
    image.entries.push_back(symbol->second);
  }
  return image;
}

} // namespace kiln
