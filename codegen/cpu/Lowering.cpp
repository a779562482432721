#include "codegen/cpu/Lowering.h"

#include "codegen/emit/Emitter.h"

#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/LLVMCommon/ConversionTarget.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVM.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "mlir/Transforms/DialectConversion.h"

namespace kiln::cpu {

static mlir::DialectRegistry kernelDialects() {
  mlir::DialectRegistry registry;
  registry.insert<mlir::arith::ArithDialect, mlir::cf::ControlFlowDialect, mlir::LLVM::LLVMDialect,
                  mlir::math::MathDialect, mlir::scf::SCFDialect, mlir::vector::VectorDialect>();
  mlir::registerBuiltinDialectTranslation(registry);
  mlir::registerLLVMDialectTranslation(registry);
  return registry;
}

void loadKernelDialects(mlir::MLIRContext &context) {
  context.appendDialectRegistry(kernelDialects());
  context.loadAllAvailableDialects();
}

std::unique_ptr<mlir::MLIRContext> makeContext() {
  auto context = std::make_unique<mlir::MLIRContext>(kernelDialects(), mlir::MLIRContext::Threading::DISABLED);
  context->loadAllAvailableDialects();
  return context;
}

// Collects what MLIR would print, so that it ends up in the error instead of on a terminal.
class DiagnosticText {
public:
  explicit DiagnosticText(mlir::MLIRContext *context)
      : handler_(context, [this](mlir::Diagnostic &d) {
          if (!text_.empty())
            text_ += "; ";
          text_ += d.str();
        }) {}
  const std::string &text() const { return text_; }

private:
  std::string text_;
  mlir::ScopedDiagnosticHandler handler_;
};

Status lowerToLLVMDialect(mlir::ModuleOp module) {
  mlir::MLIRContext *context = module.getContext();
  if (auto why = module->getAttrOfType<mlir::StringAttr>(emit::emissionErrorName))
    return Status(ErrorCode::E0907, "a kernel's sizes cannot be computed: " + why.str());
  DiagnosticText diagnostics(context);
  if (mlir::failed(mlir::verify(module)))
    return Status(ErrorCode::E0902, "emitted kernel does not verify: " + diagnostics.text());

  mlir::LLVMTypeConverter converter(context);
  mlir::RewritePatternSet patterns(context);
  mlir::populateSCFToControlFlowConversionPatterns(patterns);
  mlir::cf::populateControlFlowToLLVMConversionPatterns(converter, patterns);
  mlir::arith::populateArithToLLVMConversionPatterns(converter, patterns);
  mlir::populateMathToLLVMConversionPatterns(converter, patterns);
  mlir::populateVectorToLLVMConversionPatterns(converter, patterns, /*reassociateFPReductions=*/true);
  mlir::LLVMConversionTarget target(*context);
  target.addLegalOp<mlir::ModuleOp>();
  if (mlir::failed(mlir::applyFullConversion(module, target, std::move(patterns))))
    return Status(ErrorCode::E0902, "emitted kernel does not lower to the LLVM dialect: " + diagnostics.text());
  return Status();
}

Result<std::unique_ptr<llvm::Module>> translateModule(mlir::ModuleOp module, llvm::LLVMContext &context) {
  DiagnosticText diagnostics(module.getContext());
  auto translated = mlir::translateModuleToLLVMIR(module, context, "kernel");
  if (!translated)
    return Status(ErrorCode::E0902, "emitted kernel does not translate to LLVM IR: " + diagnostics.text());
  return translated;
}

} // namespace kiln::cpu
