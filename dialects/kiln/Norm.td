// Normalisations. They stay whole from import (or raising) to kernel forming.
include "dialects/kiln/KilnBase.td"

class Kiln_Norm<string mnemonic, FusionRole role = Role_Reduction> : Kiln_Op<mnemonic, role> {
  let shapeCode = [{
    Result<ResultShapes> $cppClass::inferShapes(ShapeContext &context) { return inferNorm(getOperation(), context); }
  }];
}

def Kiln_LayerNormOp : Kiln_Norm<"layer_norm"> {
  let summary = "(x - mean) / sqrt(variance + epsilon) * scale + bias over the dims from `axis` on";
  let flops = 7; // sum, subtract, square, sum, scale twice, shift; the root is shared
  let rowwise = 1;
  let arguments = (ins AnyRankedTensor:$x, AnyRankedTensor:$scale, Optional<AnyRankedTensor>:$bias,
                       Default<I64Attr, "-1">:$axis, Default<F64Attr, "1e-05">:$epsilon);
}
def Kiln_RmsNormOp : Kiln_Norm<"rms_norm"> {
  let summary = "x / sqrt(mean(x*x) + epsilon) * scale over the dims from `axis` on";
  let flops = 4; // square, sum, scale twice
  let rowwise = 1;
  let arguments = (ins AnyRankedTensor:$x, AnyRankedTensor:$scale, Default<I64Attr, "-1">:$axis,
                       Default<F64Attr, "1e-05">:$epsilon);
}
def Kiln_BatchNormOp : Kiln_Norm<"batch_norm", Role_Elementwise> {
  let summary = "(x - mean) / sqrt(variance + epsilon) * scale + bias with given statistics per channel";
  let flops = 2; // as a factor and a term per channel
  let arguments = (ins AnyRankedTensor:$x, AnyRankedTensor:$scale, AnyRankedTensor:$bias, AnyRankedTensor:$mean,
                       AnyRankedTensor:$variance, Default<F64Attr, "1e-05">:$epsilon, Default<I64Attr, "1">:$channel_axis);
}
def Kiln_GroupNormOp : Kiln_Norm<"group_norm"> {
  let summary = "normalisation per sample and group of channels (dim 1), scale and bias per channel";
  let flops = 7; // sum, subtract, square, sum, scale twice, shift; the root is shared
  let arguments = (ins AnyRankedTensor:$x, AnyRankedTensor:$scale, AnyRankedTensor:$bias, I64Attr:$groups,
                       Default<F64Attr, "1e-05">:$epsilon);
}
