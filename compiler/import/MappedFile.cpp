#include "compiler/import/MappedFile.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace kiln {

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
  return std::shared_ptr<const MappedFile>(new MappedFile(path, static_cast<const std::byte *>(data), size));
}

MappedFile::~MappedFile() {
  if (size > 0)
    ::munmap(const_cast<std::byte *>(data), size);
}

} // namespace kiln
