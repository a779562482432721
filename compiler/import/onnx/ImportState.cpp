#include "compiler/import/onnx/ImportState.h"

#include "dialects/kiln/Ops.h"
#include "runtime/base/Hash.h"

namespace kiln::onnx {

Result<std::string> ImportState::addFile(ByteSpan bytes, const std::string &id, std::shared_ptr<const void> owner,
                                         const std::string &path) {
  std::string name = id;
  for (int number = 2; weights.hasFile(name); ++number)
    name = id + "#" + std::to_string(number);
  KILN_TRY(weights.addFile(name, std::as_bytes(bytes), std::move(owner), path));
  return name;
}

Status ImportState::addModel(ByteSpan bytes, const std::string &id, std::shared_ptr<const void> owner) {
  modelBytes = bytes;
  KILN_ASSIGN(modelId, addFile(bytes, id, std::move(owner), modelFile ? modelFile->path() : ""));
  return Status();
}

Result<mlir::Value> ImportState::constant(const TensorProto &proto, mlir::Location loc) {
  KILN_ASSIGN(TensorData data, readTensorData(proto, external));
  if (!data.inPlace() || data.bytes.size() <= size_t(inlineConstantBytes)) {
    KILN_ASSIGN(Tensor tensor, Tensor::create(data.dtype, data.dims));
    if (!data.bytes.empty())
      std::memcpy(tensor.data(), data.bytes.data(), data.bytes.size());
    return makeConstant(builder, loc, std::move(tensor));
  }
  std::string file = modelId;
  ByteSpan whole = modelBytes;
  if (data.file) {
    whole = byteSpan(data.file->bytes());
    auto known = externalIds.find(data.file.get());
    if (known == externalIds.end()) {
      KILN_ASSIGN(std::string id, addFile(whole, data.file->path(), data.file, data.file->path()));
      known = externalIds.emplace(data.file.get(), id).first;
    }
    file = known->second;
  }
  mlir::MLIRContext *context = builder.getContext();
  auto type = mlir::RankedTensorType::get(data.dims, elementTypeOf(context, data.dtype));
  uint64_t offset = uint64_t(data.bytes.data() - whole.data());
  auto weight =
      WeightAttr::get(context, builder.getStringAttr(file), offset, type, hash64(data.bytes.data(), data.bytes.size()));
  return builder.create<ConstantOp>(loc, type, weight).getResult();
}

Result<mlir::Value> ImportState::initializer(const TensorProto &tensor, mlir::Location loc) {
  KILN_ASSIGN(mlir::Value value, constant(tensor, loc));
  if (!bound)
    return value;
  auto op = value.getDefiningOp<ConstantOp>();
  KILN_ASSIGN(mlir::TypedAttr taken, bound->take(std::string(tensor.name), op.getValue()));
  op.setValueAttr(taken);
  return value;
}

} // namespace kiln::onnx
