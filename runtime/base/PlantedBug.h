// Miscompiles on purpose, in builds that are made to test what finds them; PlantedBugs.def lists them. No other build
// holds any of it.
#pragma once

#include "runtime/base/PlantedConfig.h"

#include <cstdint>
#include <optional>
#include <string_view>

namespace kiln {

#ifdef KILN_PLANTED_BUGS
/// Whether the environment variable KILN_PLANTED_BUG asks for this one. An unknown name there ends the program. Asked
/// last, where all that the bug waits for is there: KILN_PLANTED_LOG names a file that gets a line each time.
bool plantedBug(std::string_view name);
#else
constexpr bool plantedBug(std::string_view) { return false; }
#endif

/// The same, for problems where `size` is known and leaves `rest` when divided by `modulus`.
inline bool plantedBug(std::string_view name, std::optional<int64_t> size, int64_t modulus, int64_t rest) {
  return size && *size % modulus == rest && plantedBug(name);
}

} // namespace kiln
