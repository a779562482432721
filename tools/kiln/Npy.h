// Reading and writing of .npy files (format versions 1 and 2, little endian).

#pragma once

#include "runtime/base/Status.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace kiln::tools {

struct Array {
  std::string dtype; // Kiln's name: "f32", "i64", "bool" ...
  std::vector<int64_t> dims;
  std::vector<std::byte> data;
};

/// Reads `path`. Returns an empty string, or what is wrong with the file and its code.
std::string readNpy(const std::string &path, Array &array);

/// Writes `path` in whole or not at all.
Status writeNpy(const std::string &path, const std::string &dtype, const std::vector<int64_t> &dims, const void *data);

/// A file name, without extension, for a value whose name may hold anything: other characters than letters, digits and
/// "._-" become %XX, so that distinct names get distinct files.
std::string npyFileName(const std::string &name);

/// Bits of one element of a dtype that .npy files can hold; 0 for any other.
int npyBits(const std::string &dtype);

} // namespace kiln::tools
