#ifndef KILN_ATTRIBUTES_TD
#define KILN_ATTRIBUTES_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/BuiltinAttributeInterfaces.td"
include "mlir/IR/TensorEncoding.td"
include "dialects/kiln/KilnDialect.td"

class Kiln_Attr<string name, string mnemonic_, list<Trait> traits = []> : AttrDef<Kiln_Dialect, name, traits> {
  let mnemonic = mnemonic_;
}

def Kiln_DimsAttr : Kiln_Attr<"Dims", "dims", [DeclareAttrInterfaceMethods<VerifiableTensorEncoding>]> {
  let summary = "The dims of a tensor: integers and symbols of the function's size table; never layout";
  let parameters = (ins ArrayRefParameter<"::mlir::Attribute", "IntegerAttr (i64) or StringAttr (a symbol)">:$dims);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def Kiln_WeightAttr : Kiln_Attr<"Weight", "weight", [TypedAttrInterface]> {
  let summary = "A large constant: a span of a file of the weight store, with the digest of its bytes";
  let parameters = (ins "::mlir::StringAttr":$file, "uint64_t":$offset, AttributeSelfTypeParameter<"">:$type, "uint64_t":$digest);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def Kiln_BoundAttr : Kiln_Attr<"Bound", "bound", [TypedAttrInterface]> {
  let summary = "A constant that the host binds by name before it runs: of type `source` then, and packed by `recipe`. Nobody knows its elements";
  let parameters = (ins "::mlir::StringAttr":$name, "::mlir::Type":$source, "::mlir::StringAttr":$recipe, AttributeSelfTypeParameter<"">:$type);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// The constant after one more step, whose result has that type.
    BoundAttr then(const ::kiln::RecipeStep &step, ::mlir::Type type) const;
  }];
}

#endif // KILN_ATTRIBUTES_TD
