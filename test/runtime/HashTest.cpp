#include "runtime/base/Hash.h"

#include <catch2/catch.hpp>
#include <string>

using namespace kiln;

TEST_CASE("hash64 is XXH64") {
  // Vectors of the algorithm's reference implementation.
  CHECK(hash64("") == 0xEF46DB3751D8E999);
  CHECK(hash64("a") == 0xD24EC4F1A98C6E5B);
  CHECK(hash64("abc") == 0x44BC2CF5AD770999);
  CHECK(hash64("Nobody inspects the spammish repetition") == 0xFBCEA83C8A378BF1);
  CHECK(printHash(0xAB) == "00000000000000ab");
}

TEST_CASE("hash in pieces equals hash at once") {
  std::string data;
  for (int i = 0; i < 300; ++i)
    data += char(i * 7 + i / 5);
  for (size_t n = 0; n <= data.size(); ++n)
    for (size_t piece : {1, 7, 31, 32, 33, 100}) {
      Hasher h(5);
      for (size_t i = 0; i < n; i += piece)
        h.update(std::string_view(data).substr(i, std::min(piece, n - i)));
      REQUIRE(h.digest() == hash64(std::string_view(data).substr(0, n), 5));
    }
}
