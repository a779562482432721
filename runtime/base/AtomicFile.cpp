#include "runtime/base/AtomicFile.h"

#include "runtime/base/ReadFile.h"

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace kiln {

static Status cannotWrite(const std::string &path, const char *why) {
  return makeError(ErrorCode::E0106, path, ": cannot be written: ", why);
}

/// How the names of files being written begin; they do not hold the target's name, which may be as long as a name can
/// be. They do hold the running kernel, because only within one are locks sure to be seen. Empty where that is unknown.
static const std::string &ownPrefix() {
  static const std::string prefix = [] {
    Result<std::string> boot = readFile("/proc/sys/kernel/random/boot_id");
    return boot.ok() && boot->size() >= 36 ? "kiln.partial-" + boot->substr(0, 36) + "-" : std::string();
  }();
  return prefix;
}

static bool lock(int fd, int operation) {
  int failed;
  do
    failed = flock(fd, operation);
  while (failed && errno == EINTR);
  return !failed;
}

static bool isSame(const struct stat &a, const struct stat &b) { return a.st_dev == b.st_dev && a.st_ino == b.st_ino; }

/// Removes one file in `folder` if its writer is dead. A writer's lock lives as long as the writer, whoever gets its
/// process id afterwards; what cannot be locked is left alone.
static void removeIfDead(int folder, const char *name) {
  int fd = openat(folder, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) // it may have the mode of a read-only target
    fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0)
    return;
  struct stat opened, named;
  // The name may have gone to another file in between; whoever holds the lock is the only one to remove it.
  if (lock(fd, LOCK_EX | LOCK_NB) && fstat(fd, &opened) == 0 && S_ISREG(opened.st_mode) &&
      fstatat(folder, name, &named, AT_SYMLINK_NOFOLLOW) == 0 && isSame(opened, named))
    unlinkat(folder, name, 0);
  close(fd);
}

static void removeLeftovers(const std::string &folder) {
  DIR *entries = ownPrefix().empty() ? nullptr : opendir(folder.c_str());
  if (!entries)
    return;
  while (const dirent *entry = readdir(entries))
    if (std::string_view(entry->d_name).starts_with(ownPrefix()))
      removeIfDead(dirfd(entries), entry->d_name);
  closedir(entries);
}

AtomicFile::~AtomicFile() {
  if (!partial.empty())
    unlink(partial.c_str());
  if (fd >= 0)
    close(fd);
}

/// Makes the partial file, locked; errno tells why not.
bool AtomicFile::create(const std::string &folder) {
  static std::atomic<unsigned> serial = 0; // threads may write the same file; the last one stays
  const std::string prefix = folder + (ownPrefix().empty() ? "kiln.partial-" : ownPrefix());
  while (true) {
    partial = prefix + std::to_string(getpid()) + "-" + std::to_string(serial++);
    fd = ::open(partial.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0) {
      // Another writer may have taken it for a leftover before it was locked.
      struct stat info;
      lock(fd, LOCK_EX);
      if (fstat(fd, &info) != 0 || info.st_nlink > 0)
        return true;
      close(fd);
      fd = -1;
    } else if (errno != EEXIST) {
      partial.clear();
      return false;
    }
  }
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
  } else if (errno == ENAMETOOLONG) {
    return cannotWrite(path, std::strerror(ENAMETOOLONG));
  }
  size_t slash = target.rfind('/');
  std::string folder = slash == std::string::npos ? "./" : target.substr(0, slash + 1);
  removeLeftovers(folder);
  if (!create(folder))
    return cannotWrite(path, std::strerror(errno));
  if (mode != 0 && fchmod(fd, mode) != 0)
    return cannotWrite(path, std::strerror(errno));
  return Status();
}

Status AtomicFile::commit() {
  // Moved before it is closed: without the lock it would pass for a leftover.
  if (fsync(fd) != 0 || rename(partial.c_str(), target.c_str()) != 0)
    return cannotWrite(path, std::strerror(errno));
  partial.clear();
  close(fd);
  fd = -1;
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
  return stat(a.c_str(), &first) == 0 && stat(b.c_str(), &second) == 0 && isSame(first, second);
}

} // namespace kiln
