// The elements of a TensorProto: in place where the file holds them dense and little-endian
// (raw_data, packed float_data and double_data, external data), else decoded. Every size is checked
// against the type and dims.
#pragma once

#include "compiler/import/onnx/ExternalData.h"
#include "compiler/import/onnx/OnnxModel.h"

#include <memory>

namespace kiln::onnx {

struct TensorData {
  DType dtype = DType::F32;
  std::vector<int64_t> dims;
  ByteSpan bytes;
  /// The external file that holds `bytes`; null when they lie in the model or in `decoded`.
  std::shared_ptr<const MappedFile> file;
  /// Owns `bytes` when the tensor had to be decoded (at most 8 bytes per byte of the model).
  std::vector<uint8_t> decoded;

  TensorData() = default;
  TensorData(TensorData &&) = default;
  TensorData &operator=(TensorData &&) = default;

  bool inPlace() const { return decoded.empty(); }
};

/// Errors: E0203 element type, E0204 segments, E0104 external data, E0105 sizes.
Result<TensorData> readTensorData(const TensorProto &tensor, ExternalData &external);

/// The elements of a small integer tensor (any integer type or bool), as they steer imports: axes,
/// shapes, pads.
Result<std::vector<int64_t>> integerElements(const TensorData &data);

} // namespace kiln::onnx
