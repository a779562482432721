// ONNX models to the `kiln` dialect: a module at stage `imported`.
//
//   module attributes {kiln.stage = "imported"} {
//     func.func @main(%x: tensor<?x3xf32, #kiln.dims<[N, 3]>> {kiln.name = "x"})
//         -> (tensor<...> {kiln.name = "y"}) attributes {kiln.sizes = ["N", ...]}
//
// Every op carries its model node's name as location; large weights are references into the mapped
// model or its external data files. Names and order of inputs and outputs are the graph's;
// initializers are constants, never inputs. Any bytes are safe to pass: errors come back as Status,
// with the file, the node and the operator named. Operators, types and features that are not
// supported are collected over the whole model and reported at once (E02xx).
#pragma once

#include "compiler/import/BoundConstants.h"
#include "compiler/import/ShapeOverrides.h"
#include "dialects/kiln/WeightStore.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "runtime/base/MappedFile.h"
#include "runtime/base/Status.h"

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace kiln {

struct ImportOptions {
  ShapeOverrides shapes = {};
  /// Where set, a shape of something that is no input is no error, and its name goes here.
  std::set<std::string> *otherShapes = nullptr;
  /// Where the model's external data lies; empty: none is allowed.
  std::string directory = {};
  /// The model's own file in that directory; null where it came as bytes.
  std::shared_ptr<const MappedFile> file = {};
  /// Called with what is wrong about the model and was taken all the same; may be empty.
  std::function<void(const std::string &)> warn = {};
  /// Values inside the graph, or nodes (whose first output is meant), that become outputs as well, after the graph's.
  std::vector<std::string> extraOutputs = {};
  /// Initializers that are bound later; null: none. It outlives the import and is the dialect's boundReader.
  BoundConstants *bound = nullptr;
};

/// Imports the bytes of a model. `owner` keeps them alive (the module refers to them); `name` is the file's path, or
/// what stands for it in errors and locations.
Result<mlir::OwningOpRef<mlir::ModuleOp>> importOnnx(mlir::MLIRContext &context, WeightStore &weights,
                                                     std::span<const std::byte> bytes,
                                                     std::shared_ptr<const void> owner,
                                                     const ImportOptions &options = {},
                                                     const std::string &name = "model.onnx");

} // namespace kiln
