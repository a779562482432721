#ifndef KILN_DIALECT_TD
#define KILN_DIALECT_TD

include "mlir/IR/DialectBase.td"

def Kiln_Dialect : Dialect {
  let name = "kiln";
  let cppNamespace = "::kiln";
  let summary = "Tensor graphs: what a model computes, before any kernel is chosen";
  let description = [{
    Every value is a ranked, dense, row-major tensor. Dims that are not integers are symbols of the function's size table
    (`kiln.sizes`), written `tensor<?x3xf32, #kiln.dims<[N, 3]>>`. Every op has a shape rule over symbols, a reference kernel of the same name,
    and a location that names its model node.
  }];
  let useDefaultAttributePrinterParser = 1;
  // Attributes live in the op's dictionary: they are plain data that travels to problems and plans.
  let usePropertiesForAttributes = 0;
  let hasConstantMaterializer = 1;
  let extraClassDeclaration = [{
    /// The bytes behind `#kiln.weight`; one store per context.
    ::kiln::WeightStore &weights() { return *weightStore; }
    /// Code generation's opinion, for passes that ask; null when no code generator is present.
    ::kiln::KernelOracle *oracle = nullptr;
    /// Of constants that are bound later, while models are read; null after that.
    ::kiln::BoundReader *boundReader = nullptr;
    /// Fuel of the rewriting passes.
    ::kiln::RewriteBudget rewrites;

  private:
    std::shared_ptr<::kiln::WeightStore> weightStore;

  public:
  }];
}

#endif // KILN_DIALECT_TD
