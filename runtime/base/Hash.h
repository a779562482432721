// The one 64-bit content hash (XXH64): digests of weights, checksums of artifacts, keys of caches.
// Stable for ever: its values are stored in files. Not cryptographic.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace kiln {

uint64_t hash64(const void *data, size_t bytes, uint64_t seed = 0);
inline uint64_t hash64(std::string_view text, uint64_t seed = 0) { return hash64(text.data(), text.size(), seed); }

/// The same value for data that comes in pieces.
class Hasher {
public:
  explicit Hasher(uint64_t seed = 0);
  void update(const void *data, size_t bytes);
  void update(std::string_view text) { update(text.data(), text.size()); }
  uint64_t digest() const;

private:
  uint64_t seed, lanes[4], total = 0;
  unsigned char buffer[32];
  size_t buffered = 0;
};

/// 16 lower-case hex digits.
std::string printHash(uint64_t hash);

} // namespace kiln
