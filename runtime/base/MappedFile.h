// A file's bytes, mapped.
#pragma once

#include "runtime/base/Status.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

struct stat;

namespace kiln {

/// A read-only private mapping of a whole regular file.
class MappedFile {
public:
  static Result<std::shared_ptr<const MappedFile>> open(const std::string &path);
  /// Of an open descriptor, which stays the caller's; `path` names it in errors.
  static Result<std::shared_ptr<const MappedFile>> map(int fd, const std::string &path);
  ~MappedFile();
  MappedFile(const MappedFile &) = delete;
  MappedFile &operator=(const MappedFile &) = delete;

  std::span<const std::byte> bytes() const { return {data, size}; }
  const std::string &path() const { return name; }
  /// Whether `info` is of this file.
  bool is(const struct stat &info) const;

private:
  MappedFile(std::string name, const std::byte *data, const struct stat &info);

  std::string name;
  const std::byte *data;
  size_t size;
  uint64_t device, inode;
};

} // namespace kiln
