#include "runtime/base/ReadFile.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace kiln {

static Status cannotRead(const std::string &path, const char *why) {
  return makeError(ErrorCode::E0101, path, ": cannot be opened: ", why);
}

Result<int> openForReading(const std::string &path) {
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); // a pipe would wait for its writer
  if (fd < 0)
    return cannotRead(path, std::strerror(errno));
  struct stat info;
  const char *why = nullptr;
  if (fstat(fd, &info) != 0)
    why = std::strerror(errno);
  else if (S_ISDIR(info.st_mode))
    why = std::strerror(EISDIR);
  else if (!S_ISREG(info.st_mode))
    why = "it is no regular file";
  if (!why)
    return fd;
  close(fd);
  return cannotRead(path, why);
}

Result<std::string> readFile(const std::string &path) {
  KILN_ASSIGN(int fd, openForReading(path));
  std::string contents;
  char buffer[1 << 16];
  ssize_t count;
  while ((count = ::read(fd, buffer, sizeof buffer)) > 0 || (count < 0 && errno == EINTR))
    if (count > 0)
      contents.append(buffer, size_t(count));
  int error = errno;
  close(fd);
  if (count < 0)
    return makeError(ErrorCode::E0101, path, ": cannot be read: ", std::strerror(error));
  return contents;
}

} // namespace kiln
