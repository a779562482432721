#include "compiler/import/onnx/Importer.h"

#include "compiler/import/onnx/GraphImport.h"
#include "compiler/import/onnx/ImportState.h"

#include "dialects/kiln/Dialect.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <filesystem>

namespace kiln {

namespace {

using Module = mlir::OwningOpRef<mlir::ModuleOp>;

Result<Module> importBytes(mlir::MLIRContext &context, WeightStore &weights, onnx::ByteSpan bytes,
                           std::shared_ptr<const void> owner, const ImportOptions &options, const std::string &label,
                           const std::string &fileId, const std::string &directory) {
  context.loadDialect<KilnDialect, mlir::func::FuncDialect>();
  Result<onnx::ModelProto> model = onnx::parseModel(bytes);
  if (!model.ok())
    return model.status().withContext(label + ": ");
  onnx::ImportState state(&context, weights, directory);
  if (Status status = state.addModel(bytes, fileId, std::move(owner)); !status.ok())
    return status.withContext(label + ": ");
  auto loc = mlir::FileLineColLoc::get(&context, label, 0, 0);
  Module module = mlir::ModuleOp::create(loc);
  (*module)->setAttr("kiln.stage", state.builder.getStringAttr("imported"));
  state.builder.setInsertionPointToEnd(module->getBody());
  if (Status status = onnx::importModel(state, *model, options, label); !status.ok())
    return status;
  return module;
}

} // namespace

Result<Module> importOnnx(mlir::MLIRContext &context, WeightStore &weights, const std::string &path,
                          const ImportOptions &options) {
  KILN_ASSIGN(std::shared_ptr<const onnx::MappedFile> file, onnx::MappedFile::open(path));
  std::filesystem::path parent = std::filesystem::path(path).parent_path();
  std::string directory = parent.empty() ? "." : parent.string();
  std::string label = std::filesystem::path(path).filename().string();
  return importBytes(context, weights, file->bytes(), file, options, label, path, directory);
}

Result<Module> importOnnx(mlir::MLIRContext &context, WeightStore &weights, std::span<const std::byte> bytes,
                          std::shared_ptr<const void> owner, const ImportOptions &options, const std::string &name) {
  onnx::ByteSpan unsignedBytes(reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size());
  return importBytes(context, weights, unsignedBytes, std::move(owner), options, name, name, options.directory);
}

} // namespace kiln
