#ifndef KILN_INTERFACES_TD
#define KILN_INTERFACES_TD

include "mlir/IR/OpBase.td"

def KilnOpInterface : OpInterface<"KilnOpInterface"> {
  let cppNamespace = "::kiln";
  let description = [{What passes ask any op of the dialect.}];
  let methods = [
    InterfaceMethod<"How the op may take part in a kernel.", "::kiln::FusionRole", "getFusionRole", (ins)>,
    InterfaceMethod<[{
      The shape rule: dims of the results, as expressions over the symbols that the operands' types name, and element types, from operand types,
      attributes and (for shape-like operands) symbolic integer values. A rule names nothing: who makes types of its results (SizeTable::tensorType)
      does. The result types that the op has already are read only where they carry what no operand says (reshape, expand and tile without their
      shape operand).
    }], "::kiln::Result<::kiln::ResultShapes>", "inferShapes", (ins "::kiln::ShapeContext &":$context)>,
    InterfaceMethod<[{
      The result's elements as size expressions, when the op (of one result) computes a small i64 or bool tensor from sizes.
    }], "std::optional<::kiln::SizeValues>", "inferSizeValues", (ins "::kiln::ShapeContext &":$context), "", [{ return std::nullopt; }]>,
  ];
}

#endif // KILN_INTERFACES_TD
