// Ops that hold other ops together: regions that stand for kernels, between kernel forming and planning, and calls of functions: control flow.
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "dialects/kiln/KilnBase.td"

def Kiln_KernelOp : Kiln_Op<"kernel", Role_Structure, 0, [IsolatedFromAbove, SingleBlock]> {
  let summary = "one kernel-to-be: operands are the entry block's arguments, results what kiln.yield names";
  let description = [{
    `family` names the kernel family that claimed the body. From stage `configured` on, `problem` is its text, `config` the chosen implementation, `source`
    who chose it and why, `price` its estimated nanoseconds at nominal sizes, `interface` how it is called (runtime/base/KernelInterface.h) and `sizes` the values of the problem's symbols.
    The body is unfused kiln ops.
  }];
  let arguments = (ins Variadic<AnyRankedTensor>:$inputs, OptionalAttr<StrAttr>:$family, OptionalAttr<StrAttr>:$problem,
                       OptionalAttr<StrAttr>:$config, OptionalAttr<StrAttr>:$source, OptionalAttr<StrAttr>:$interface, OptionalAttr<I64Attr>:$price,
                       OptionalAttr<StrArrayAttr>:$sizes);
  let results = (outs Variadic<AnyRankedTensor>:$outputs);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "operands attr-dict-with-keyword `:` functional-type(operands, results) $body";
  let structural = 1;
  let verifyCode = "";
}

def Kiln_YieldOp : Kiln_Op<"yield", Role_Structure, 0, [Terminator, ReturnLike, HasParent<"KernelOp">]> {
  let summary = "the results of the kernel around it";
  let arguments = (ins Variadic<AnyRankedTensor>:$values);
  let results = (outs);
  let assemblyFormat = "operands attr-dict `:` type(operands)";
  let structural = 1;
  let verifyCode = "";
}

// Control flow. What a branch or a loop's body does is a function of its own, private to the one op that calls it, from import on: so it has sizes of its own,
// and what it requires of them counts only where it is called. Values from outside are handed over as arguments.
class Kiln_ControlOp<string mnemonic, list<Trait> traits = []> : Kiln_Op<mnemonic, Role_Structure, 0, traits> {
  let results = (outs Variadic<AnyRankedTensor>:$outputs);
  let structural = 1;
  let verifyCode = "";
}

def Kiln_CallOp : Kiln_ControlOp<"call"> {
  let summary = "what a function returns";
  let description = [{`sizes` are the values of the function's `kiln.parameters`: sizes that no input shows.}];
  let arguments = (ins FlatSymbolRefAttr:$callee, Variadic<AnyRankedTensor>:$inputs, OptionalAttr<StrArrayAttr>:$sizes);
  let assemblyFormat = "$callee `(` $inputs `)` (`sizes` $sizes^)? attr-dict `:` functional-type(operands, results)";
}

def Kiln_IfOp : Kiln_ControlOp<"if", [AttrSizedOperandSegments]> {
  let summary = "what one of two functions returns, as a bool says";
  let arguments = (ins AnyRankedTensor:$condition, Variadic<AnyRankedTensor>:$thenInputs, Variadic<AnyRankedTensor>:$elseInputs,
                       FlatSymbolRefAttr:$thenFunction, FlatSymbolRefAttr:$elseFunction);
  let assemblyFormat = [{
    $condition `then` $thenFunction `(` $thenInputs `)` `else` $elseFunction `(` $elseInputs `)` attr-dict `:` functional-type(operands, results)
  }];
}

def Kiln_LoopOp : Kiln_ControlOp<"loop", [AttrSizedOperandSegments]> {
  let summary = "a function called again and again, as ONNX's Loop does";
  let description = [{
    The function takes the iteration's number (i64), the condition (bool), the carried values and `inputs`; it returns the next condition, the carried values and
    scanned values. Results are the last carried values and the scanned values of all iterations, stacked. `varying` lists the dims of carried values that change
    from iteration to iteration: value * 64 + dim. `counted`: nothing but the count ends the loop.
  }];
  let arguments = (ins Optional<AnyRankedTensor>:$count, Optional<AnyRankedTensor>:$condition, Variadic<AnyRankedTensor>:$initial,
                       Variadic<AnyRankedTensor>:$inputs, FlatSymbolRefAttr:$body, Default<DenseI64ArrayAttr, "{}">:$varying,
                       UnitAttr:$counted);
  let assemblyFormat = [{
    $body (`count` $count^)? (`while` $condition^)? `carry` `(` $initial `)` `with` `(` $inputs `)` attr-dict `:` functional-type(operands, results)
  }];
}
