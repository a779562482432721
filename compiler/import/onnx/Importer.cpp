#include "compiler/import/onnx/Importer.h"

#include "compiler/import/onnx/GraphImport.h"
#include "compiler/import/onnx/ImportState.h"

#include "dialects/kiln/AttributeNames.h"
#include "dialects/kiln/Dialect.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <filesystem>

namespace kiln {

Result<mlir::OwningOpRef<mlir::ModuleOp>> importOnnx(mlir::MLIRContext &context, WeightStore &weights,
                                                     std::span<const std::byte> bytes,
                                                     std::shared_ptr<const void> owner, const ImportOptions &options,
                                                     const std::string &name) {
  context.loadDialect<KilnDialect, mlir::func::FuncDialect>();
  std::string label = std::filesystem::path(name).filename().string();
  onnx::ByteSpan message = onnx::byteSpan(bytes);
  Result<onnx::ModelProto> model = onnx::parseModel(message);
  if (!model.ok())
    return model.status().withContext(label + ": ");
  onnx::ImportState state(&context, weights, options);
  if (Status status = state.addModel(message, name, std::move(owner)); !status.ok())
    return status.withContext(label + ": ");
  auto loc = mlir::FileLineColLoc::get(&context, label, 0, 0);
  mlir::OwningOpRef<mlir::ModuleOp> module = mlir::ModuleOp::create(loc);
  (*module)->setAttr(stageAttrName, state.builder.getStringAttr("imported"));
  state.builder.setInsertionPointToEnd(module->getBody());
  if (Status status = onnx::importModel(state, *model, options, label); !status.ok())
    return status;
  return module;
}

} // namespace kiln
