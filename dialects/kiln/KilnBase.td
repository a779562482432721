// What every op definition of the kiln dialect builds on.
//
// A definition is the one place that says what an op takes, what it is called elsewhere, and how it may be fused. The ODS classes come from
// mlir-tblgen; name tables, the attribute table, scalar bodies and docs/ops.md come from tools/gen/op_tables.py over `llvm-tblgen --dump-json`.
#ifndef KILN_BASE_TD
#define KILN_BASE_TD

include "mlir/IR/OpBase.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/BuiltinAttributeInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "dialects/kiln/KilnDialect.td"
include "dialects/kiln/KilnInterfaces.td"

// How an op may take part in a kernel; see FusionRole.h.
class FusionRole<string name> { string cppName = name; }
def Role_Elementwise : FusionRole<"Elementwise">;
def Role_Reduction   : FusionRole<"Reduction">;
def Role_Contraction : FusionRole<"Contraction">;
def Role_Window      : FusionRole<"Window">;
def Role_Movement    : FusionRole<"Movement">;
def Role_View        : FusionRole<"View">;
def Role_Source      : FusionRole<"Source">;
def Role_Structure   : FusionRole<"Structure">;

// Attribute kinds: what runtime/base/Attributes.h can hold.
class Default<Attr attr, string value> : DefaultValuedAttr<attr, value>;
class DefaultStr<string value> : DefaultValuedStrAttr<StrAttr, value>;

// The element types (of the first operand) for which an elementwise op is defined; see ScalarBody in OpTable.h.
class ElementTypes<string name> { string cppName = name; }
def Types_Any      : ElementTypes<"Any">; // booleans too
def Types_Numbers  : ElementTypes<"Numbers">;
def Types_Floats   : ElementTypes<"Floats">;
def Types_Integers : ElementTypes<"Integers">;
def Types_Bool     : ElementTypes<"Bool">;

// The result element of an elementwise op in terms of operand and attribute names: a Python expression over the scalar functions that
// tools/gen/op_tables.py lists. A literal takes the type of the first operand that is not boolean. `cost` is in instructions per vector, roughly: 1 for an
// addition, tens for transcendental functions.
class Body<string expression_, ElementTypes types_, int cost_, int flops_ = 1> {
  string expression = expression_;
  string types = types_.cppName;
  int cost = cost_;
  int flops = flops_;
}

class Kiln_Op<string mnemonic, FusionRole role_, bit sizeValues = 0, list<Trait> traits = []>
    : Op<Kiln_Dialect, mnemonic, traits # [DeclareOpInterfaceMethods<MemoryEffectsOpInterface>, KilnOpInterface]> {
  FusionRole role = role_;
  // Names where the op maps one to one (operands and attributes in the same order and meaning); empty otherwise.
  string onnxName = "";
  string atenName = "";
  // Elementwise ops: from Body.
  string body = "";
  string bodyTypes = "None";
  int bodyCost = 0;
  // Floating-point operations per element: of the result for elementwise ops, of the first operand for reductions. Those that move elements do none;
  // contractions and windows have a formula each, in Flops.cpp.
  int flops = -1;
  // Computes row after row of the first operand, giving rows of the same dims; other operands are read for every row. So it may overwrite that operand.
  bit rowwise = 0;
  // Changes a part of the first operand and leaves the rest: the result may be the same memory, of which the rest is not touched.
  bit updatesInPlace = 0;
  // With one operand the result is a strided view of it: cheaper read through than stored.
  bit stridedView = 0;
  // The importer and the reference kernels leave this op out: it exists between passes only.
  bit structural = 0;

  // An op may have several results, always all of them; one that nobody wants is left unused. An op of more than one optional operand needs
  // AttrSizedOperandSegments, and any of those may be absent (operandsOf in Build.h).
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;

  // Every op defines its shape rule; ops that can compute small integer tensors symbolically define `inferSizeValues` too.
  let extraClassDeclaration = [{
    ::kiln::Result<::kiln::ResultShapes> inferShapes(::kiln::ShapeContext &context);
    static ::kiln::FusionRole getFusionRole() { return ::kiln::FusionRole::}] # role_.cppName # [{; }
  }] # !if(sizeValues, [{
    std::optional<::kiln::SizeValues> inferSizeValues(::kiln::ShapeContext &context);
  }], "");
  // The verifier is the shape rule, run without knowing any size values.
  code verifyCode = [{
    ::llvm::LogicalResult $cppClass::verify() { return ::kiln::verifyByShapeRule(getOperation()); }
  }];
  // No op has effects but its results, and the sizes that it tells.
  code effectsCode = [{
    void $cppClass::getEffects(
        ::llvm::SmallVectorImpl<::mlir::SideEffects::EffectInstance<::mlir::MemoryEffects::Effect>> &effects) {
      if (::kiln::mayTellSize(getOperation()))
        effects.emplace_back(::mlir::MemoryEffects::Write::get());
    }
  }];
  code shapeCode = "";
  let extraClassDefinition = verifyCode # effectsCode # shapeCode;
}

#endif // KILN_BASE_TD
