#include "compiler/session/AtomicFile.h"

#include "runtime/plan/Artifact.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace kiln;

static Status cannotWrite(const std::string &path) {
  return makeError(ErrorCode::E0106, path, ": cannot be written: ", strerror(errno));
}

AtomicFile::~AtomicFile() {
  if (fd >= 0)
    close(fd);
  if (!partial.empty())
    unlink(partial.c_str());
}

Status AtomicFile::open(const std::string &target) {
  path = target;
  // Checked now: moving a file onto a directory would fail only after all the work.
  struct stat info;
  if (stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) {
    errno = EISDIR;
    return cannotWrite(path);
  }
  std::string name = path + ".partial-" + std::to_string(getpid());
  fd = ::open(name.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0)
    return cannotWrite(path);
  partial = name;
  return Status::success();
}

Status AtomicFile::commit() {
  bool closed = close(fd) == 0;
  fd = -1;
  if (!closed || rename(partial.c_str(), path.c_str()) != 0)
    return cannotWrite(path);
  partial.clear();
  return Status::success();
}

Status kiln::writeFile(const std::string &path, std::string_view contents) {
  AtomicFile file;
  KILN_TRY(file.open(path));
  KILN_TRY(FileSink(file.descriptor()).write(std::as_bytes(std::span(contents))));
  return file.commit();
}
