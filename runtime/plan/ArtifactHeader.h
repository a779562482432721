// The first bytes of an artifact. Little-endian, as the machines that run it.
#pragma once

#include "runtime/base/Hash.h"

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace kiln {

struct ArtifactHeader {
  // Like PNG's: a byte with the high bit set and both line ends show transfers that mangle text.
  static constexpr unsigned char expectedMagic[8] = {0x8b, 'K', 'I', 'L', 'N', '\r', '\n', 0x1a};

  unsigned char magic[8];
  uint32_t version;
  uint32_t kernelAbi;
  uint64_t fileBytes;
  uint64_t codeOffset, codeBytes, codeHash;
  uint64_t weightsOffset, weightsBytes;
  uint64_t planOffset, planBytes, planHash;
  uint64_t reserved[4];
  uint64_t headerHash; // of all bytes before it

  uint64_t computeHash() const { return hash64(this, offsetof(ArtifactHeader, headerHash)); }
  bool magicMatches() const { return std::memcmp(magic, expectedMagic, sizeof magic) == 0; }
};
static_assert(sizeof(ArtifactHeader) == 128, "the layout is frozen");

/// Sections start at multiples of this, so that code can be mapped from the file.
inline constexpr uint64_t artifactPage = 4096;

} // namespace kiln
