// Reading of regular files. Folders, devices and pipes, which may never end, are refused before they are read.
#pragma once

#include "runtime/base/Status.h"

#include <string>

namespace kiln {

/// A descriptor, open for reading, which the caller closes; E0101 when there is none to be had.
Result<int> openForReading(const std::string &path);
/// A whole file.
Result<std::string> readFile(const std::string &path);

} // namespace kiln
