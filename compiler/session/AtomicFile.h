// A file that appears whole or not at all: written beside its place under another name, then moved
// there.

#pragma once

#include "runtime/base/Status.h"

#include <string>

namespace kiln {

class AtomicFile {
public:
  AtomicFile() = default;
  AtomicFile(const AtomicFile &) = delete;
  AtomicFile &operator=(const AtomicFile &) = delete;
  /// Removes what was not committed.
  ~AtomicFile();

  /// Opens an empty file that is to become `path`.
  Status open(const std::string &path);
  int descriptor() const { return fd; }
  /// Puts the file in its place, replacing what was there.
  Status commit();

private:
  std::string path, partial;
  int fd = -1;
};

/// Writes a file whole.
Status writeFile(const std::string &path, std::string_view contents);

} // namespace kiln
