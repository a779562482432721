#include "compiler/import/onnx/ExternalData.h"

#include <filesystem>

namespace kiln::onnx {

namespace fs = std::filesystem;

Result<std::shared_ptr<const MappedFile>> ExternalData::open(std::string_view location) {
  if (auto found = files.find(location); found != files.end())
    return found->second;
  auto refuse = [&](const char *why) { return makeError(ErrorCode::E0104, "external data \"", location, "\" ", why); };
  if (directory.empty())
    return refuse("cannot be found: the model came as bytes, without a directory");
  if (location.empty() || location.find('\0') != std::string_view::npos)
    return refuse("is no file name");
  fs::path relative(location);
  if (relative.is_absolute())
    return refuse("is an absolute path; it must be relative to the model's directory");
  for (const fs::path &part : relative)
    if (part == "..")
      return refuse("leads outside the model's directory");
  std::error_code failure;
  fs::path base = fs::canonical(directory, failure);
  if (failure)
    return refuse("cannot be found: the model's directory is gone");
  fs::path full = fs::canonical(base / relative, failure);
  if (failure)
    return refuse("is missing");
  fs::path beneath = full.lexically_relative(base);
  if (beneath.empty() || *beneath.begin() == "..")
    return refuse("is a symbolic link that leads outside the model's directory");
  auto file = MappedFile::open(full.string());
  if (!file.ok())
    return refuse("cannot be read: it is no readable regular file");
  files.emplace(std::string(location), *file);
  return file;
}

} // namespace kiln::onnx
