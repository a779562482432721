// Files that a model's tensors live in. A location is relative to the model's directory and may not leave it: no
// absolute path, no ".." beyond it, no symbolic link that leads outside. There is one exception: where the model's own
// name is a link (into the blob store of a cache, say), the folder in which the model really lies counts as its
// directory too. Files are opened relative to directories that are held open, without following links any more, so
// names that change meanwhile cannot lead elsewhere.
#pragma once

#include "runtime/base/MappedFile.h"
#include "runtime/base/Status.h"

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace kiln::onnx {

class ExternalData {
public:
  /// `directory` is the model's; empty when the model came as bytes, then every location is
  /// refused. `model` is its file, null where there is none.
  explicit ExternalData(std::string directory, std::shared_ptr<const MappedFile> model = nullptr)
      : directory(std::move(directory)), model(std::move(model)) {}
  ~ExternalData();
  ExternalData(const ExternalData &) = delete;
  ExternalData &operator=(const ExternalData &) = delete;

  /// The file at `location`, mapped once.
  Result<std::shared_ptr<const MappedFile>> open(std::string_view location);

private:
  /// A directory that files may lie in, held open.
  struct Root {
    std::filesystem::path path; // without links
    int fd;
  };
  void openRoots();
  void addRoot(const std::filesystem::path &path, const std::filesystem::path &modelName, int flags);

  std::string directory;
  std::shared_ptr<const MappedFile> model;
  std::vector<Root> roots;
  bool opened = false;
  std::map<std::string, std::shared_ptr<const MappedFile>, std::less<>> files;
};

} // namespace kiln::onnx
