// kiln-opt: runs single passes over IR text, for pass tests and for looking at what one pass does.

#include "TestFamilies.h"

#include "codegen/Backend.h"
#include "codegen/CodegenOracle.h"
#include "dialects/kiln/Dialect.h"
#include "dialects/plan/PlanDialect.h"
#include "passes/graph/Passes.h"
#include "passes/plan/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"

#include "llvm/Support/CommandLine.h"

static llvm::cl::opt<std::string>
    families("kiln-families", llvm::cl::init("cpu"),
             llvm::cl::desc("Kernel families that passes ask: cpu, test (simple fixed rules) or none"));
static llvm::cl::opt<std::string> targetText("kiln-target", llvm::cl::init("x86-64-v3"),
                                             llvm::cl::desc("Target of the chosen implementations"));

/// Only what is registered from here on, and this file's own options, are of use here; the rest came with LLVM.
static void hideLlvmOptions() {
  for (auto &[name, option] : llvm::cl::getRegisteredOptions())
    if (option != &families && option != &targetText && name != "help" && name != "version")
      option->setHiddenFlag(llvm::cl::Hidden);
}

/// IR is shown with the names of nodes unless --mlir-print-debuginfo=false.
static void showNodeNames() {
  mlir::registerAsmPrinterCLOptions();
  auto option = llvm::cl::getRegisteredOptions().find("mlir-print-debuginfo");
  if (option != llvm::cl::getRegisteredOptions().end())
    static_cast<llvm::cl::opt<bool> *>(option->second)->setInitialValue(true);
}

int main(int argc, char **argv) {
  hideLlvmOptions();
  showNodeNames();
  mlir::DialectRegistry registry;
  registry.insert<mlir::func::FuncDialect, kiln::KilnDialect, kiln::plan_ir::PlanDialect>();
  mlir::registerCSEPass();
  mlir::registerCanonicalizerPass();
  kiln::registerKilnGraphPasses();
  kiln::registerKilnPlanPasses();

  // Options are parsed by the time the dialect is loaded.
  static std::unique_ptr<kiln::KernelOracle> oracle;
  registry.addExtension(+[](mlir::MLIRContext *, kiln::KilnDialect *dialect) {
    if (families == "none")
      return;
    if (!oracle) {
      kiln::ChooseOptions options;
      auto target = kiln::findTarget(targetText);
      if (!target.ok()) {
        llvm::errs() << kiln::formatError(target.status()) << "\n";
        std::exit(1);
      }
      options.target = target->info;
      options.families = target->backend->families();
      if (families == "test")
        options.families = kiln::testFamilies();
      oracle = std::make_unique<kiln::CodegenOracle>(std::move(options));
    }
    dialect->oracle = oracle.get();
  });
  return mlir::asMainReturnCode(mlir::MlirOptMain(argc, argv, "Kiln's passes\n", registry));
}
