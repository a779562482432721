#include "runtime/base/MappedFile.h"

#include "runtime/base/ReadFile.h"

#include <cerrno>
#include <cstring>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace kiln {

Result<std::shared_ptr<const MappedFile>> MappedFile::open(const std::string &path) {
  KILN_ASSIGN(int fd, openForReading(path));
  Result<std::shared_ptr<const MappedFile>> file = map(fd, path);
  ::close(fd);
  return file;
}

Result<std::shared_ptr<const MappedFile>> MappedFile::map(int fd, const std::string &path) {
  struct stat info{};
  void *data = nullptr;
  if (::fstat(fd, &info) != 0)
    data = MAP_FAILED;
  else if (!S_ISREG(info.st_mode))
    return makeError(ErrorCode::E0101, path, ": is no regular file");
  else if (info.st_size > 0)
    data = ::mmap(nullptr, size_t(info.st_size), PROT_READ, MAP_PRIVATE, fd, 0);
  if (data == MAP_FAILED)
    return makeError(ErrorCode::E0101, path, ": cannot be mapped: ", std::strerror(errno));
  return std::shared_ptr<const MappedFile>(new MappedFile(path, static_cast<const std::byte *>(data), info));
}

MappedFile::MappedFile(std::string name, const std::byte *data, const struct stat &info)
    : name(std::move(name)), data(data), size(static_cast<size_t>(info.st_size)), device(info.st_dev),
      inode(info.st_ino) {}

bool MappedFile::is(const struct stat &info) const { return info.st_dev == device && info.st_ino == inode; }

MappedFile::~MappedFile() {
  if (size > 0)
    ::munmap(const_cast<std::byte *>(data), size);
}

} // namespace kiln
