// Regions that stand for kernels, between kernel forming and planning.
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "dialects/kiln/KilnBase.td"

def Kiln_KernelOp : Kiln_Op<"kernel", Role_Structure, 0, [IsolatedFromAbove, SingleBlock]> {
  let summary = "one kernel-to-be: operands are the entry block's arguments, results what kiln.yield names";
  let description = [{
    `family` names the kernel family that claimed the body. From stage `configured` on, `problem` is its text, `config` the chosen implementation, `source`
    who chose it (forced, cache or default), `interface` how it is called (runtime/base/KernelInterface.h) and `sizes` the values of the problem's symbols.
    The body is unfused kiln ops.
  }];
  let arguments = (ins Variadic<AnyRankedTensor>:$inputs, OptionalAttr<StrAttr>:$family, OptionalAttr<StrAttr>:$problem,
                       OptionalAttr<StrAttr>:$config, OptionalAttr<StrAttr>:$source, OptionalAttr<StrAttr>:$interface,
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
