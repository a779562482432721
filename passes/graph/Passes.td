// One record per pass, in pipeline order. The header comment of each pass's file shows the IR before and after.
#ifndef KILN_GRAPH_PASSES
#define KILN_GRAPH_PASSES

include "mlir/Pass/PassBase.td"

def Layout : Pass<"kiln-layout", "::mlir::func::FuncOp"> {
  let summary = "Runs convolutions and pools channels-last where their kernels prefer it, with as few transposes as possible";
}

def SinkReshapes : Pass<"kiln-sink-reshapes", "::mlir::func::FuncOp"> {
  let summary = "Moves reshapes behind elementwise ops, so that these stay next to what computes their operands";
}

def FormKernels : Pass<"kiln-form-kernels", "::mlir::func::FuncOp"> {
  let summary = "Groups ops into kiln.kernel regions that a kernel family claims";
}

def Configure : Pass<"kiln-configure", "::mlir::func::FuncOp"> {
  let summary = "Gives every kernel its problem text and its implementation";
}

#endif // KILN_GRAPH_PASSES
