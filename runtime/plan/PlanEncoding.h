// The plan section of an artifact: a string table, then the program's fields as variable-length
// integers and string references. Version 1; another layout is another artifact version.
#pragma once

#include "runtime/plan/Program.h"

#include <cstddef>
#include <span>
#include <vector>

namespace kiln {

std::vector<std::byte> encodeProgram(const Program &program);
/// Any bytes are safe: what does not parse is E0603. The result is not checked yet (checkProgram).
Result<Program> decodeProgram(std::span<const std::byte> bytes);

} // namespace kiln
