// kiln-opt: runs single passes over IR text, for pass tests and for looking at what one pass does.

#include "dialects/kiln/Dialect.h"
#include "dialects/plan/PlanDialect.h"
#include "passes/plan/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  registry.insert<mlir::func::FuncDialect, kiln::KilnDialect, kiln::plan_ir::PlanDialect>();
  mlir::registerCSEPass();
  mlir::registerCanonicalizerPass();
  kiln::registerKilnPlanPasses();
  return mlir::asMainReturnCode(mlir::MlirOptMain(argc, argv, "Kiln's passes\n", registry));
}
