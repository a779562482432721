// The `plan` dialect: the host program of a compiled model.
//
// One `plan.program` per entry. Its single block is the order of execution; values are views of memory, never tensors. Sizes are
// symbolic expressions in their text form ("N*3", see runtime/base/SizeExpr.h), so the same plan serves every size.

#ifndef KILN_PLAN_DIALECT
#define KILN_PLAN_DIALECT

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/DialectBase.td"
include "mlir/IR/OpBase.td"
include "mlir/IR/RegionKindInterface.td"
include "mlir/IR/SymbolInterfaces.td"

def Plan_Dialect : Dialect {
  let name = "plan";
  let cppNamespace = "::kiln::plan_ir";
  let summary = "Host program: sizes, buffers, launches, host calls";
  let useDefaultTypePrinterParser = 1;
}

def Plan_View : TypeDef<Plan_Dialect, "View"> {
  let mnemonic = "view";
  let summary = "A dense row-major view of memory: `!plan.view<\"f32[N,3,224,224]\">`";
  let parameters = (ins StringRefParameter<"element type and dims">:$text);
  let assemblyFormat = "`<` $text `>`";
  let genVerifyDecl = 1;
  let builders = [TypeBuilder<(ins "::kiln::DType":$dtype, "::llvm::ArrayRef<::kiln::SizeExpr>":$dims)>];
  let extraClassDeclaration = [{
    ::kiln::DType getDType() const;
    ::std::vector<::kiln::SizeExpr> getDims() const;
    /// The bytes that the view covers: the product of the dims times the element size.
    ::kiln::SizeExpr getBytes() const;
  }];
}

// Printed as a bare integer.
def PlainI64 : TypedSignlessIntegerAttrBase<I64, "int64_t", "64-bit integer">;

class Plan_Op<string mnemonic, list<Trait> traits = []> : Op<Plan_Dialect, mnemonic, traits>;

def Plan_InProgram : ParentOneOf<["ProgramOp"]>;

def Plan_ProgramOp : Plan_Op<"program", [NoTerminator, SingleBlock, Symbol, NoRegionArguments, IsolatedFromAbove]> {
  let summary = "One entry of a model: its steps in execution order";
  let arguments = (ins SymbolNameAttr:$sym_name);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$sym_name attr-dict-with-keyword $body";
}

def Plan_KernelOp : Plan_Op<"kernel", [Symbol]> {
  let summary = "A compiled kernel: what it computes, and the implementation chosen for it";
  let description = [{
    `problem` is the canonical one-line text of the computation and `config` the chosen configuration of `family`; together with the
    target they determine the code. `interface` says how to call it (runtime/base/KernelInterface.h), `source` who chose
    the configuration and why, `price` what a call is estimated to take, in nanoseconds. Kernels with equal texts are one `plan.kernel`.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, StrAttr:$family, StrAttr:$config, StrAttr:$problem, StrAttr:$interface,
                       DefaultValuedAttr<StrAttr, "\"\"">:$source, DefaultValuedAttr<PlainI64, "0">:$price);
  let assemblyFormat = "$sym_name `family` $family `config` $config `problem` $problem `interface` $interface attr-dict";
  let hasVerifier = 1;
  let extraClassDeclaration = [{ ::kiln::KernelInterface readInterface(); }];
}

def Plan_BindShapeOp : Plan_Op<"bind_shape", [Plan_InProgram]> {
  let summary = "Binds a symbol to one dim of an input or state, and checks what is known of it";
  let arguments = (ins StrAttr:$symbol, Plan_View:$input, PlainI64:$dim, PlainI64:$low, OptionalAttr<PlainI64>:$high, PlainI64:$divisor);
  let assemblyFormat = [{
    $symbol `=` $input `[` $dim `]` `low` $low (`high` $high^)? `divisor` $divisor attr-dict `:` qualified(type($input))
  }];
  let hasVerifier = 1;
}

def Plan_ParameterOp : Plan_Op<"parameter", [Plan_InProgram]> {
  let summary = "Binds a symbol to a size that the caller of the function hands over, and checks what is known of it";
  let arguments = (ins StrAttr:$symbol, PlainI64:$index, PlainI64:$low, OptionalAttr<PlainI64>:$high, PlainI64:$divisor);
  let assemblyFormat = "$symbol `=` $index `low` $low (`high` $high^)? `divisor` $divisor attr-dict";
}

def Plan_DefineOp : Plan_Op<"define", [Plan_InProgram]> {
  let summary = "Defines a symbol by an expression over earlier symbols, and checks what must hold of it";
  let arguments = (ins StrAttr:$symbol, StrAttr:$value, DefaultValuedAttr<PlainI64, "0">:$low, OptionalAttr<PlainI64>:$high,
                       DefaultValuedAttr<PlainI64, "1">:$divisor);
  let assemblyFormat = "$symbol `=` $value (`low` $low^)? (`high` $high^)? (`divisor` $divisor^)? attr-dict";
  let hasVerifier = 1;
}

def Plan_CheckOp : Plan_Op<"check", [Plan_InProgram]> {
  let summary = "Refuses the bound inputs unless two sizes are `equal`, `broadcast` (equal, or one of them 1), or the first is `at_most` the second";
  let arguments = (ins StrAttr:$kind, StrAttr:$lhs, StrAttr:$rhs);
  let assemblyFormat = "$kind $lhs `,` $rhs attr-dict";
  let hasVerifier = 1;
}

def Plan_InputOp : Plan_Op<"input", [Plan_InProgram]> {
  let summary = "Memory of a named graph input; never written";
  let arguments = (ins StrAttr:$name);
  let results = (outs Plan_View:$view);
  let assemblyFormat = "$name attr-dict `:` qualified(type($view))";
}

def Plan_OutputOp : Plan_Op<"output", [Plan_InProgram]> {
  let summary = "Memory of a named graph output, bound by the caller or owned by the context";
  let arguments = (ins StrAttr:$name);
  let results = (outs Plan_View:$view);
  let assemblyFormat = "$name attr-dict `:` qualified(type($view))";
}

def Plan_StateOp : Plan_Op<"state", [Plan_InProgram]> {
  let summary = "Memory of a named tensor that outlives runs; `reads`: its value before the run counts, `writes`: a run leaves a new one";
  let description = [{
    The view shows the value before the run. A state that grows `along` an axis of the model's dims has that axis first in all views. The value that a run leaves is
    shown by a view of the type `grown`, from the start of the memory on, which has room for it.
  }];
  let arguments = (ins StrAttr:$name, UnitAttr:$reads, UnitAttr:$writes, OptionalAttr<I64Attr>:$growing, OptionalAttr<TypeAttrOf<Plan_View>>:$grown);
  let results = (outs Plan_View:$view);
  let assemblyFormat = "$name (`reads` $reads^)? (`writes` $writes^)? (`along` $growing^)? (`to` $grown^)? attr-dict `:` qualified(type($view))";
  let hasVerifier = 1;
}

def Plan_ConstantOp : Plan_Op<"constant", [Plan_InProgram]> {
  let summary = "Constant memory: a weight, packed by a recipe";
  let description = [{
    `source` names the bytes (a weight reference, small inline elements, or a constant that is bound later); `recipe` is applied to them when the artifact is written, or when they are there.
    The view's type is the type after the recipe.
  }];
  let arguments = (ins AnyAttr:$source, StrAttr:$recipe);
  let results = (outs Plan_View:$view);
  let assemblyFormat = "$source `recipe` $recipe attr-dict `:` qualified(type($view))";
}

def Plan_AllocOp : Plan_Op<"alloc", [Plan_InProgram]> {
  let summary = "A buffer for intermediate results";
  let description = [{
    `place` is "arena" (packed with the others by live interval), "workspace" (the same, for the launches of one kernel call) or "returned" (made by the called
    function, whose sizes it alone knows; the view's dims name them). Buffers get their offsets in the arena when the artifact is written; those of a program with
    unknown sizes are packed when inputs are bound.
  }];
  let arguments = (ins StrAttr:$place);
  let results = (outs Plan_View:$view);
  let assemblyFormat = "$place attr-dict `:` qualified(type($view))";
  let hasVerifier = 1;
}

def Plan_AliasOp : Plan_Op<"alias", [Plan_InProgram]> {
  let summary = "Another view of the same memory, from a byte offset on: reshape, an update in place, a part of a concatenation";
  let arguments = (ins Plan_View:$base, StrAttr:$offset);
  let results = (outs Plan_View:$view);
  let assemblyFormat = "$base `[` $offset `]` attr-dict `:` qualified(type($base)) `->` qualified(type($view))";
  let hasVerifier = 1;
}

def Plan_LaunchOp : Plan_Op<"launch", [Plan_InProgram]> {
  let summary = "Runs a kernel: all launches of its interface, in order";
  let description = [{
    The operands are those of the kernel's interface, in its order (KernelInterface::operands); `sizes` are the values of its symbols.
  }];
  let arguments = (ins FlatSymbolRefAttr:$kernel, Variadic<Plan_View>:$buffers, StrArrayAttr:$sizes);
  let assemblyFormat = "$kernel `(` $buffers `)` `sizes` $sizes attr-dict `:` `(` qualified(type($buffers)) `)`";
  let hasVerifier = 1;
}

def Plan_HostCallOp : Plan_Op<"host_call", [Plan_InProgram, AttrSizedOperandSegments]> {
  let summary = "Runs an operator's reference kernel on the host";
  let description = [{
    `present` has one letter per operand of the operator, `1` for present and `0` for an absent optional operand; only present ones are
    in `inputs`. `op_attributes` is the text form of the operator's attributes.
  }];
  let arguments = (ins StrAttr:$callee, Variadic<Plan_View>:$inputs, Variadic<Plan_View>:$outputs, StrAttr:$present, StrAttr:$op_attributes,
      StrAttr:$flops, StrAttr:$bytes);
  let assemblyFormat = [{
    $callee `(` $inputs `)` `into` `(` $outputs `)` `present` $present `with` $op_attributes `flops` $flops `bytes` $bytes attr-dict
    `:` `(` qualified(type($inputs)) `)` `into` `(` qualified(type($outputs)) `)`
  }];
  let hasVerifier = 1;
}

def Plan_CallOp : Plan_Op<"call", [Plan_InProgram, AttrSizedOperandSegments]> {
  let summary = "Calls another program; `sizes` are the values of its parameters";
  let arguments = (ins FlatSymbolRefAttr:$callee, Variadic<Plan_View>:$inputs, Variadic<Plan_View>:$outputs, StrArrayAttr:$sizes);
  let assemblyFormat = "$callee `(` $inputs `)` `into` `(` $outputs `)` `sizes` $sizes attr-dict `:` functional-type(operands, results)";
}

def Plan_IfOp : Plan_Op<"if", [Plan_InProgram, AttrSizedOperandSegments]> {
  let summary = "Calls one of two programs";
  let arguments = (ins Plan_View:$condition, FlatSymbolRefAttr:$thenProgram, Variadic<Plan_View>:$thenInputs, FlatSymbolRefAttr:$elseProgram,
      Variadic<Plan_View>:$elseInputs, Variadic<Plan_View>:$outputs);
  let assemblyFormat = [{
    $condition `then` $thenProgram `(` $thenInputs `)` `else` $elseProgram `(` $elseInputs `)` `into` `(` $outputs `)` attr-dict
    `:` functional-type(operands, results)
  }];
}

def Plan_LoopOp : Plan_Op<"loop", [Plan_InProgram, AttrSizedOperandSegments]> {
  let summary = "Calls a program again and again (LoopStep of runtime/plan/Program.h)";
  let arguments = (ins FlatSymbolRefAttr:$body, Optional<Plan_View>:$count, Optional<Plan_View>:$condition, Variadic<Plan_View>:$initial,
      Variadic<Plan_View>:$inputs, Variadic<Plan_View>:$outputs);
  let assemblyFormat = [{
    $body (`count` $count^)? (`while` $condition^)? `carry` `(` $initial `)` `with` `(` $inputs `)` `into` `(` $outputs `)` attr-dict
    `:` functional-type(operands, results)
  }];
}

def Plan_CopyOp : Plan_Op<"copy", [Plan_InProgram]> {
  let summary = "Copies a view";
  let arguments = (ins Plan_View:$source, Plan_View:$target);
  let assemblyFormat = "$source `to` $target attr-dict `:` qualified(type($source)) `to` qualified(type($target))";
  let hasVerifier = 1;
}

#endif
