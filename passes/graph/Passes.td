// The passes over kiln graphs, in the order of the pipeline.
#ifndef KILN_GRAPH_PASSES_TD
#define KILN_GRAPH_PASSES_TD

include "mlir/Pass/PassBase.td"

class GraphPass<string flag> : Pass<flag, "::mlir::func::FuncOp"> {
  let dependentDialects = ["::kiln::KilnDialect"];
}

def SetOptLimit : Pass<"kiln-opt-limit", "::mlir::ModuleOp"> {
  let summary = "lets the passes that follow do only so many rewrites, to bisect a miscompile";
  let dependentDialects = ["::kiln::KilnDialect"];
  let options = [Option<"limit", "limit", "int64_t", /*default=*/"-1", "number of rewrites; -1: no limit">];
}

def InferShapes : Pass<"kiln-infer-shapes", "::mlir::ModuleOp"> {
  let dependentDialects = ["::kiln::KilnDialect"];
  let summary = "gives every value its dims over symbols, and shape operands that became known their static form";
}
def ConstantFold : GraphPass<"kiln-constant-fold"> {
  let summary = "evaluates ops of constants with the reference kernels, within a budget of bytes and work";
  let options = [
    Option<"maxBytes", "max-bytes", "int64_t", /*default=*/"268435456", "bytes of results that one run may make">,
    Option<"maxWork", "max-work", "int64_t", /*default=*/"1000000000", "element operations that one run may do">,
    Option<"keepDequantized", "keep-dequantized", "bool", /*default=*/"false",
           "leave weights as bytes where a product of dequantised numbers takes them">,
  ];
}
def Specialize : Pass<"kiln-specialize", "::mlir::ModuleOp"> {
  let summary = "gives functions that control flow calls the constants they are handed, and drops branches that are never taken";
}
def LoopInvariantMotion : Pass<"kiln-loop-invariant-motion", "::mlir::ModuleOp"> {
  let summary = "computes before a loop what all its iterations compute alike";
}
def StoreGrowingStates : Pass<"kiln-store-growing-states", "::mlir::ModuleOp"> {
  let dependentDialects = ["::kiln::KilnDialect"];
  let summary = "stores states that grow with their growing axis first, so that what a run adds lies behind what was there";
}
def DeadCode : GraphPass<"kiln-dead-code"> { let summary = "removes ops whose results nobody uses"; }
def CommonSubexpressions : GraphPass<"kiln-cse"> { let summary = "replaces an op by an equal one before it"; }
def CastElimination : GraphPass<"kiln-cast-elimination"> { let summary = "removes casts that change nothing, and merges lossless ones"; }
def AlgebraicSimplify : GraphPass<"kiln-algebraic-simplify"> {
  let summary = "identities, merged movement, constants moved into weights: each result is cheaper than what it replaces";
}
def RaiseLayerNorm : GraphPass<"kiln-raise-layer-norm"> { let summary = "makes layer_norm and rms_norm of their spelled-out forms"; }
def RaiseGelu : GraphPass<"kiln-raise-gelu"> { let summary = "makes gelu, silu and hard_swish of their spelled-out forms"; }
def LowerConvTranspose : GraphPass<"kiln-lower-conv-transpose"> { let summary = "makes transposed convolutions convolutions and movement"; }
def LowerDft : GraphPass<"kiln-lower-dft"> { let summary = "makes Fourier transforms of known lengths products"; }
def QuantizedProducts : GraphPass<"kiln-quantized-products"> {
  let summary = "makes products of dequantised bytes products of integers, whose factor takes in the scale of the result";
}
def QuantizedMovement : GraphPass<"kiln-quantized-movement"> {
  let summary = "moves bytes where they were dequantised, moved and quantised again by one scale";
}
def RaiseAttention : GraphPass<"kiln-raise-attention"> {
  let summary = "makes attention of softmax(q @ k^T * scale + mask) @ v where a kernel family claims it";
  let options = [Option<"assumeClaimed", "assume-claimed", "bool", /*default=*/"false", "raise without asking; for tests">];
}

def Layout : Pass<"kiln-layout", "::mlir::func::FuncOp"> {
  let summary = "Runs convolutions and pools channels-last where their kernels prefer it, with as few transposes as possible";
}

def SinkReshapes : Pass<"kiln-sink-reshapes", "::mlir::func::FuncOp"> {
  let summary = "Moves reshapes behind elementwise ops, so that these stay next to what computes their operands";
}

def FormKernels : Pass<"kiln-form-kernels", "::mlir::func::FuncOp"> {
  let summary = "Groups ops into kiln.kernel regions that a kernel family claims";
  let options = [
    Option<"fuse", "fuse", "bool", "true", "let several ops form a kernel">,
    ListOption<"keepOut", "keep-out", "std::string", "model nodes whose ops form no kernels">,
  ];
}

def Configure : Pass<"kiln-configure", "::mlir::func::FuncOp"> {
  let summary = "Gives every kernel its problem text and its implementation";
}

#endif // KILN_GRAPH_PASSES_TD
