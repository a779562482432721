// Many elements to one, along axes.
include "dialects/kiln/KilnBase.td"

def Kiln_ReduceOp : Kiln_Op<"reduce", Role_Reduction, 1> {
  let summary = "reduction over `axes` (sorted, not negative)";
  let description = [{
    `kind` is one of sum, mean, max, min, prod, l1, l2, sum_square, log_sum, log_sum_exp. No axes: every element is its own group.
  }];
  let arguments = (ins AnyRankedTensor:$x, StrAttr:$kind, DenseI64ArrayAttr:$axes, Default<I64Attr, "1">:$keepdims);
  let flops = 1;
}

def Kiln_ReduceAlongOp : Kiln_Op<"reduce_along", Role_Reduction> {
  let summary = "reduction as of reduce over the axes in a vector of integers, in any order, each once; negative ones count from the end";
  let arguments = (ins AnyRankedTensor:$x, AnyRankedTensor:$axes, StrAttr:$kind, Default<I64Attr, "1">:$keepdims);
  let flops = 1;
}

class Kiln_ArgReduce<string mnemonic, string what> : Kiln_Op<mnemonic, Role_Reduction> {
  let flops = 0; // comparisons
  let summary = "i64 position of the " # what # " along `axis`; the last of equals if `select_last`";
  let arguments = (ins AnyRankedTensor:$x, Default<I64Attr, "0">:$axis, Default<I64Attr, "1">:$keepdims,
                       Default<I64Attr, "0">:$select_last);
  let shapeCode = [{
    Result<ResultShapes> $cppClass::inferShapes(ShapeContext &context) { return inferArgReduce(getOperation(), context); }
  }];
}
def Kiln_ArgMaxOp : Kiln_ArgReduce<"argmax", "maximum">;
def Kiln_ArgMinOp : Kiln_ArgReduce<"argmin", "minimum">;

class Kiln_Cumulative<string mnemonic, string what> : Kiln_Op<mnemonic, Role_Reduction> {
  let summary = what # " of the elements up to each along `axis`, without itself if `exclusive`; from the end if `reverse`";
  let description = [{`axis` is an attribute or, where only a run tells it, the operand along (one integer).}];
  let flops = 1;
  let arguments = (ins AnyRankedTensor:$x, Optional<AnyRankedTensor>:$along, Default<I64Attr, "0">:$axis,
                       Default<I64Attr, "0">:$exclusive, Default<I64Attr, "0">:$reverse);
  let shapeCode = [{
    Result<ResultShapes> $cppClass::inferShapes(ShapeContext &context) { return inferCumulative(getOperation(), context); }
  }];
}
def Kiln_CumsumOp : Kiln_Cumulative<"cumsum", "sum">;
def Kiln_CumprodOp : Kiln_Cumulative<"cumprod", "product">;

def Kiln_TopkOp : Kiln_Op<"topk", Role_Reduction> {
  let summary = "the k largest (smallest unless `largest`) elements along `axis`, in order, and their i64 positions";
  let description = [{
    `k` is an attribute or, where it is computed, the operand count (one integer). Equal elements come in the order of x; NaN is larger than every number.
  }];
  let flops = 0; // comparisons
  let arguments = (ins AnyRankedTensor:$x, Optional<AnyRankedTensor>:$count, Default<I64Attr, "0">:$k,
                       Default<I64Attr, "-1">:$axis, Default<I64Attr, "1">:$largest);
  let results = (outs AnyRankedTensor:$values, AnyRankedTensor:$indices);
}

class Kiln_SoftmaxLike<string mnemonic> : Kiln_Op<mnemonic, Role_Reduction> {
  let flops = 5; // max, subtract, exp, sum, divide
  let rowwise = 1;
  let arguments = (ins AnyRankedTensor:$x, I64Attr:$axis);
  let shapeCode = [{
    Result<ResultShapes> $cppClass::inferShapes(ShapeContext &context) { return inferSoftmax(getOperation(), context); }
  }];
}
def Kiln_SoftmaxOp : Kiln_SoftmaxLike<"softmax"> { let summary = "exp(x) over its sum along `axis`, without overflow"; }
def Kiln_LogSoftmaxOp : Kiln_SoftmaxLike<"log_softmax"> { let summary = "logarithm of softmax"; }
