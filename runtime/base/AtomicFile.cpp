#include "runtime/base/AtomicFile.h"

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace kiln {

static Status cannotWrite(const std::string &path, const char *why) {
  return makeError(ErrorCode::E0106, path, ": cannot be written: ", why);
}

AtomicFile::~AtomicFile() {
  if (fd >= 0)
    close(fd);
  if (!partial.empty())
    unlink(partial.c_str());
}

Status AtomicFile::open(const std::string &given) {
  path = target = given;
  if (char *resolved = realpath(given.c_str(), nullptr)) {
    target = resolved;
    std::free(resolved);
  }
  mode_t mode = 0;
  struct stat info;
  // Checked now: moving a file onto a directory would fail only after all the work, onto a device would replace it.
  if (stat(target.c_str(), &info) == 0) {
    if (S_ISDIR(info.st_mode))
      return cannotWrite(path, std::strerror(EISDIR));
    if (!S_ISREG(info.st_mode))
      return cannotWrite(path, "it is no regular file");
    mode = info.st_mode & 07777;
  }
  static std::atomic<unsigned> serial = 0; // threads may write the same file; the last one stays
  do {
    partial = target + ".partial-" + std::to_string(getpid()) + "-" + std::to_string(serial++);
    fd = ::open(partial.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  } while (fd < 0 && errno == EEXIST);
  if (fd < 0) {
    partial.clear();
    return cannotWrite(path, std::strerror(errno));
  }
  if (mode != 0 && fchmod(fd, mode) != 0)
    return cannotWrite(path, std::strerror(errno));
  return Status();
}

Status AtomicFile::commit() {
  bool written = fsync(fd) == 0;
  written &= close(fd) == 0;
  fd = -1;
  if (!written || rename(partial.c_str(), target.c_str()) != 0)
    return cannotWrite(path, std::strerror(errno));
  partial.clear();
  return Status();
}

Status AtomicFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR)
      continue;
    if (written < 0)
      return cannotWrite(path, std::strerror(errno));
    bytes = bytes.subspan(size_t(written));
  }
  return Status();
}

Status writeFile(const std::string &path, std::span<const std::byte> contents) {
  AtomicFile file;
  KILN_TRY(file.open(path));
  KILN_TRY(file.write(contents));
  return file.commit();
}

bool isSameFile(const std::string &a, const std::string &b) {
  struct stat first, second;
  return stat(a.c_str(), &first) == 0 && stat(b.c_str(), &second) == 0 && first.st_dev == second.st_dev &&
         first.st_ino == second.st_ino;
}

} // namespace kiln
