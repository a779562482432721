// The plan section of an artifact: a string table, then the program as a record. A record is a row of fields, each with
// a number of its own that it keeps for ever; fields that hold their default are left out. A field says whether a
// reader that does not know it may go on without it, so that a newer writer's plan is read where it can be and refused
// where it cannot. Numbers are of variable length (LEB128, signed ones zigzag).
#pragma once

#include "runtime/plan/Program.h"

#include <cstddef>
#include <span>
#include <vector>

namespace kiln {

std::vector<std::byte> encodeProgram(const Program &program);
/// Any bytes are safe: what does not parse is E0603, a field that must be known and is not E0602. The result is not
/// checked yet (checkProgram).
Result<Program> decodeProgram(std::span<const std::byte> bytes);

} // namespace kiln
