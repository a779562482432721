// A file that appears whole or not at all: written beside its place under a name of its own, then moved there.
#pragma once

#include "runtime/base/Status.h"

#include <cstddef>
#include <span>
#include <string>

namespace kiln {

class AtomicFile {
public:
  AtomicFile() = default;
  AtomicFile(const AtomicFile &) = delete;
  AtomicFile &operator=(const AtomicFile &) = delete;
  /// Removes what was not committed.
  ~AtomicFile();

  /// Opens an empty file that is to become `path`, or what a link there points to. E0106 when that cannot be, also when
  /// something else than a regular file (a folder, a device) is there. Removes what writers on this host left in the
  /// same folder when they were killed.
  Status open(const std::string &path);
  int descriptor() const { return fd; }
  /// Appends.
  Status write(std::span<const std::byte> bytes);
  /// Puts the file, on the disk by then, in its place; it keeps the mode of the one that was there.
  Status commit();

private:
  bool create(const std::string &folder);

  std::string path;    // as given, for messages
  std::string target;  // links resolved
  std::string partial; // being written; locked for as long as it has this name
  int fd = -1;
};

/// Writes a file whole.
Status writeFile(const std::string &path, std::span<const std::byte> contents);
/// Whether both paths exist and name one file.
bool isSameFile(const std::string &a, const std::string &b);

} // namespace kiln
