// Deterministic damage to bytes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>

namespace kiln::test {

struct Random {
  uint64_t state;
  uint64_t next() {
    uint64_t z = state += 0x9E3779B97F4A7C15;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
  }
  size_t below(size_t n) { return n ? size_t(next() % n) : 0; }
};

/// Changes one place, `at` or before the end.
inline void mutate(std::string &bytes, Random &random, size_t at) {
  static const std::string_view bombs[] = {"\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "\xff\xff\xff\x7f",
                                           "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
                                           "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"};
  at = std::min(at, bytes.empty() ? 0 : bytes.size() - 1);
  switch (random.below(7)) {
  case 0: bytes.resize(at); break;
  case 1:
  case 2:
    if (!bytes.empty())
      bytes[at] = char(bytes[at] ^ (1 << random.below(8)));
    break;
  case 3:
    if (!bytes.empty())
      bytes[at] = char(random.next());
    break;
  case 4: { // a huge length or number
    std::string_view bomb = bombs[random.below(std::size(bombs))];
    bytes.replace(at, std::min(bomb.size(), bytes.size() - at), bomb);
    break;
  }
  case 5: { // a piece again, elsewhere
    std::string piece = bytes.substr(at, random.below(64));
    bytes.insert(random.below(bytes.size() + 1), piece);
    break;
  }
  case 6: bytes.erase(at, random.below(16)); break;
  }
}

/// Anywhere.
inline void mutate(std::string &bytes, Random &random) { mutate(bytes, random, random.below(bytes.size())); }

} // namespace kiln::test
