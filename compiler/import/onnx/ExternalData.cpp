#include "compiler/import/onnx/ExternalData.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace kiln::onnx {

namespace fs = std::filesystem;

Result<std::shared_ptr<const MappedFile>> MappedFile::open(const std::string &path) {
  // O_NONBLOCK: a pipe under a model's name must not hang the reader.
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0)
    return makeError(ErrorCode::E0101, path, ": ", std::strerror(errno));
  struct stat info{};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(fd);
    return makeError(ErrorCode::E0101, path, ": not a regular file");
  }
  size_t size = static_cast<size_t>(info.st_size);
  void *data = nullptr;
  if (size > 0)
    data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  int mapError = errno;
  ::close(fd);
  if (data == MAP_FAILED)
    return makeError(ErrorCode::E0101, path, ": cannot be mapped: ", std::strerror(mapError));
  return std::shared_ptr<const MappedFile>(new MappedFile(path, static_cast<const uint8_t *>(data), size));
}

MappedFile::~MappedFile() {
  if (size > 0)
    ::munmap(const_cast<uint8_t *>(data), size);
}

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
