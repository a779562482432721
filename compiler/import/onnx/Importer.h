// ONNX models to the `kiln` dialect: a module at stage `imported`.
//
//   module attributes {kiln.stage = "imported"} {
//     func.func @main(%x: tensor<?x3xf32, #kiln.dims<[N, 3]>> {kiln.name = "x"}) -> (tensor<...>
//     {kiln.name = "y"})
//         attributes {kiln.sizes = ["N", ...]}
//
// Every op carries its model node's name as location; large weights are references into the mapped
// model or its external data files. Names and order of inputs and outputs are the graph's;
// initializers are constants, never inputs. Any bytes are safe to pass: errors come back as Status,
// with the file, the node and the operator named. Operators, types and features that are not
// supported are collected over the whole model and reported at once (E02xx).
#pragma once

#include "dialects/kiln/WeightStore.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "runtime/base/Status.h"

#include <map>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace kiln {

/// What a caller says about one dim of an input: a size, a symbol's name, or a range of sizes.
struct SizeRange {
  int64_t low, high;
};
using DimOverride = std::variant<int64_t, std::string, SizeRange>;

struct ImportOptions {
  /// Input name -> one entry per dim. An override of a named dim holds for every input that shares
  /// the name.
  std::map<std::string, std::vector<DimOverride>> shapes = {};
  /// Where the external data of a model from memory lies; empty: none is allowed. A file's lies
  /// beside it.
  std::string directory = {};
};

/// Imports the model in a file; its external data is looked for beside it.
Result<mlir::OwningOpRef<mlir::ModuleOp>> importOnnx(mlir::MLIRContext &context, WeightStore &weights,
                                                     const std::string &path, const ImportOptions &options = {});

/// Imports a model from memory. `owner` keeps the bytes alive (the module refers to them); `name`
/// stands for the file in errors and locations.
Result<mlir::OwningOpRef<mlir::ModuleOp>> importOnnx(mlir::MLIRContext &context, WeightStore &weights,
                                                     std::span<const std::byte> bytes,
                                                     std::shared_ptr<const void> owner,
                                                     const ImportOptions &options = {},
                                                     const std::string &name = "model.onnx");

} // namespace kiln
