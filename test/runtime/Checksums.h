// Damaged artifacts whose checksums do not show it.
#pragma once

#include "runtime/plan/ArtifactHeader.h"

#include <cstddef>
#include <cstring>
#include <span>

namespace kiln::test {

/// Makes the checksums right again, so that the parser itself is what meets the damage; not those of weights, and none
/// where the header no longer says what they are of.
inline void repairChecksums(std::span<std::byte> bytes) {
  ArtifactHeader header;
  if (bytes.size() < sizeof header)
    return;
  std::memcpy(&header, bytes.data(), sizeof header);
  auto inside = [&](uint64_t offset, uint64_t size) { return offset <= bytes.size() && size <= bytes.size() - offset; };
  if (!inside(header.planOffset, header.planBytes) || !inside(header.codeOffset, header.codeBytes))
    return;
  header.fileBytes = bytes.size();
  header.planHash = hash64(bytes.data() + header.planOffset, header.planBytes);
  header.codeHash = hash64(bytes.data() + header.codeOffset, header.codeBytes);
  header.headerHash = header.computeHash();
  std::memcpy(bytes.data(), &header, sizeof header);
}

} // namespace kiln::test
