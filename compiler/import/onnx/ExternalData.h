// Files that a model's tensors live in. A location is relative to the model's directory and may not
// leave it: no absolute path, no "..", no symbolic link that leads outside.
#pragma once

#include "compiler/import/onnx/WireReader.h"
#include "runtime/base/Status.h"

#include <map>
#include <memory>
#include <string>

namespace kiln::onnx {

/// A read-only private mapping of a whole regular file.
class MappedFile {
public:
  static Result<std::shared_ptr<const MappedFile>> open(const std::string &path);
  ~MappedFile();
  MappedFile(const MappedFile &) = delete;
  MappedFile &operator=(const MappedFile &) = delete;

  ByteSpan bytes() const { return {data, size}; }
  const std::string &path() const { return name; }

private:
  MappedFile(std::string name, const uint8_t *data, size_t size) : name(std::move(name)), data(data), size(size) {}

  std::string name;
  const uint8_t *data;
  size_t size;
};

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
