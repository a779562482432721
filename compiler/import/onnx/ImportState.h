// What all nodes of one import share: the builder, the function's size table, the model's bytes and
// its external files.
#pragma once

#include "compiler/import/onnx/Importer.h"
#include "compiler/import/onnx/TensorData.h"
#include "dialects/kiln/Build.h"
#include "dialects/kiln/WeightStore.h"

#include <map>
#include <set>

namespace kiln::onnx {

class ImportState {
public:
  ImportState(mlir::MLIRContext *context, WeightStore &weights, const ImportOptions &options)
      : builder(context), shapes(sizes), external(options.directory, options.file), weights(weights),
        modelFile(options.file), bound(options.bound) {
    shapes.rememberValues(); // an import erases no op
  }

  /// Registers the model's bytes, under `id` or a name like it that is still free.
  Status addModel(ByteSpan bytes, const std::string &id, std::shared_ptr<const void> owner);

  /// A constant: inline where it is small, a reference into the mapped file where its bytes lie
  /// there as they are.
  Result<mlir::Value> constant(const TensorProto &tensor, mlir::Location loc);
  /// That of an initializer, which may be bound later.
  Result<mlir::Value> initializer(const TensorProto &tensor, mlir::Location loc);

  mlir::OpBuilder builder;
  SizeTable sizes;
  ShapeContext shapes;
  ExternalData external;
  /// Ranks that the graph's value infos and outputs declare, by value name.
  std::map<std::string_view, int64_t> declaredRanks;
  /// The node belongs to an inlined function, whose value names are not the graph's.
  bool inFunction = false;
  /// What is wrong and taken all the same: what, and where (names of nodes or values).
  std::map<std::string, std::set<std::string>> irregular;
  /// Of the node being imported.
  mlir::Location location = mlir::UnknownLoc::get(builder.getContext());
  std::string nodeLabel() const {
    auto name = llvm::dyn_cast<mlir::NameLoc>(location);
    return name ? name.getName().str() : "";
  }

private:
  Result<std::string> addFile(ByteSpan bytes, const std::string &id, std::shared_ptr<const void> owner,
                              const std::string &path);

  WeightStore &weights;
  std::shared_ptr<const MappedFile> modelFile;
  BoundConstants *bound;
  ByteSpan modelBytes;
  std::string modelId;
  std::map<const MappedFile *, std::string> externalIds;
};

} // namespace kiln::onnx
