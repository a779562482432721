#include "compiler/import/onnx/ExternalData.h"

#include <fcntl.h>
#include <optional>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace kiln::onnx {

namespace fs = std::filesystem;

namespace {

/// The path from `root` to `path`, both free of links; nothing where that leads out of it.
std::optional<fs::path> beneath(const fs::path &root, const fs::path &path) {
  fs::path relative = path.lexically_relative(root);
  if (relative.empty() || *relative.begin() == "..")
    return std::nullopt;
  return relative;
}

/// Opens a file for reading; no part of `relative` may be a link by now.
int openBeneath(int directory, const fs::path &relative) {
  int at = ::fcntl(directory, F_DUPFD_CLOEXEC, 0);
  for (auto part = relative.begin(); at >= 0 && part != relative.end();) {
    fs::path name = *part;
    ++part;
    // O_NONBLOCK: a pipe must not hang the reader.
    int flags = part == relative.end() ? O_RDONLY | O_NONBLOCK : O_PATH | O_DIRECTORY;
    int next = ::openat(at, name.c_str(), flags | O_NOFOLLOW | O_CLOEXEC);
    ::close(at);
    at = next;
  }
  return at;
}

} // namespace

ExternalData::~ExternalData() {
  for (const Root &root : roots)
    ::close(root.fd);
}

/// Counts a directory only if the model lies in it under that name (`flags` say whether as a link): its path may lead
/// elsewhere than when the model was opened.
void ExternalData::addRoot(const fs::path &path, const fs::path &modelName, int flags) {
  int fd = ::open(path.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0)
    return;
  struct stat info{};
  if (model && (::fstatat(fd, modelName.c_str(), &info, flags) != 0 || !model->is(info)))
    ::close(fd);
  else
    roots.push_back({path, fd});
}

void ExternalData::openRoots() {
  std::error_code failure;
  fs::path given = fs::canonical(directory, failure);
  if (failure)
    return;
  fs::path name = model ? fs::path(model->path()) : fs::path();
  addRoot(given, name.filename(), 0);
  if (!model)
    return;
  fs::path real = fs::canonical(name, failure);
  if (!failure && real.parent_path() != given)
    addRoot(real.parent_path(), real.filename(), AT_SYMLINK_NOFOLLOW);
}

Result<std::shared_ptr<const MappedFile>> ExternalData::open(std::string_view location) {
  if (auto found = files.find(location); found != files.end())
    return found->second;
  auto refuse = [&](const char *why) { return makeError(ErrorCode::E0104, "external data \"", location, "\" ", why); };
  if (directory.empty())
    return refuse("cannot be found: the model came as bytes, without a directory");
  if (location.empty() || location.find('\0') != std::string_view::npos)
    return refuse("is no file name");
  fs::path relative = fs::path(location).lexically_normal();
  if (relative.is_absolute())
    return refuse("is an absolute path; it must be relative to the model's directory");
  if (*relative.begin() == "..")
    return refuse("leads outside the model's directory");
  if (!std::exchange(opened, true))
    openRoots();
  if (roots.empty())
    return refuse("cannot be found: the model's directory is gone, or holds another model by now");
  std::error_code failure;
  fs::path full;
  for (const Root &root : roots)
    if (full = fs::canonical(root.path / relative, failure); !failure)
      break;
  if (failure)
    return refuse("is missing");
  for (const Root &root : roots) {
    std::optional<fs::path> inside = beneath(root.path, full);
    if (!inside)
      continue;
    int fd = openBeneath(root.fd, *inside);
    if (fd >= 0) {
      Result<std::shared_ptr<const MappedFile>> file = MappedFile::map(fd, full.string());
      ::close(fd);
      if (file.ok())
        return files.emplace(std::string(location), *file).first->second;
    }
    return refuse("cannot be read: it is no readable regular file");
  }
  return refuse("is a symbolic link that leads outside the model's directory");
}

} // namespace kiln::onnx
