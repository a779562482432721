// Files that a model's tensors live in. A location is relative to the model's directory and may not
// leave it: no absolute path, no "..", no symbolic link that leads outside.
#pragma once

#include "runtime/base/MappedFile.h"
#include "runtime/base/Status.h"

#include <map>
#include <memory>
#include <string>

namespace kiln::onnx {

class ExternalData {
public:
  /// `directory` is the model's; empty when the model came as bytes, then every location is
  /// refused.
  explicit ExternalData(std::string directory) : directory(std::move(directory)) {}

  /// The file at `location`, mapped once.
  Result<std::shared_ptr<const MappedFile>> open(std::string_view location);

private:
  std::string directory;
  std::map<std::string, std::shared_ptr<const MappedFile>, std::less<>> files;
};

} // namespace kiln::onnx
