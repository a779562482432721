// The passes that turn kernels and host steps into a host program, in the order in which the pipeline runs them.

#ifndef KILN_PLAN_PASSES
#define KILN_PLAN_PASSES

include "mlir/Pass/PassBase.td"

def SplitAtData : Pass<"kiln-split-at-data", "::mlir::ModuleOp"> {
  let summary = "Moves what needs a size that only a step tells into a function that is called when the size is known";
}

def Schedule : Pass<"kiln-schedule", "::mlir::func::FuncOp"> {
  let summary = "Orders kernels and host steps so that little memory is live at a time";
}

def Bufferize : Pass<"kiln-bufferize", "::mlir::ModuleOp"> {
  let summary = "Replaces tensors by views of memory: reshapes alias, updates happen in place, outputs are written where they are bound";
  let dependentDialects = ["::kiln::plan_ir::PlanDialect"];
  let options = [Option<"reuse", "reuse", "bool", "true", "let buffers share bytes: outputs of a kernel take over the buffer of an input that ends there, "
                                                          "and those that are not in use together may lie in one place">];
}

#endif
