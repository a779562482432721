#include "codegen/tune/TuningCache.h"

#include <catch2/catch.hpp>

using namespace kiln;

static TuningKey key(const char *target = "x86-64-v4+vnni") {
  return {"v1 default; %0 = in f32[2]; %1 = neg(%0) f32[2]; out %1", target, "elementwise", 3};
}
static const Attributes fast{{"unroll", int64_t(4)}}, slow{{"unroll", int64_t(1)}};

static TuningCache cacheOf(std::initializer_list<std::string> lines) {
  std::string text = "kiln-tune v1\n";
  for (const std::string &line : lines)
    text += line + "\n";
  return TuningCache::fromText(text);
}

TEST_CASE("a hit needs every factor") {
  TuningCache cache =
      cacheOf({TuningCache::formatEntry(key(), slow, 2e-3), TuningCache::formatEntry(key(), fast, 1e-3)});
  CHECK(cache.size() == 2);
  auto found = cache.lookup(key());
  REQUIRE(found.hit);
  CHECK(found.hit->config == fast);
  CHECK(found.hit->exactTarget);

  TuningKey other = key();
  other.problem += " ";
  CHECK(cache.lookup(other).missReason == "problem not in the cache");
  other = key();
  other.family = "matmul";
  CHECK(cache.lookup(other).missReason == "other family");
  other = key();
  other.familyVersion = 4;
  CHECK(cache.lookup(other).missReason == "other family version");
  CHECK(cache.lookup(key("x86-64-v3")).missReason == "other target");
  other = key();
  other.policy = "threads=2 warm";
  CHECK(cache.lookup(other).missReason == "other policy");
  CHECK(TuningCache().lookup(key()).missReason == "no cache");
}

TEST_CASE("the same level serves where the target itself is missing") {
  TuningCache cache = cacheOf({TuningCache::formatEntry(key("x86-64-v4"), fast, 1e-3)});
  auto found = cache.lookup(key());
  REQUIRE(found.hit);
  CHECK(!found.hit->exactTarget);
}

TEST_CASE("damage costs one entry, never more") {
  std::string good = TuningCache::formatEntry(key(), fast, 1e-3);
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] ^= 1;
    TuningCache cache = cacheOf({bad, good});
    CHECK(cache.size() == 1);
    CHECK(cache.lookup(key()).hit);
  }
  CHECK(cacheOf({"", "rubbish", good.substr(0, 40)}).damaged().size() == 2);
  CHECK(TuningCache::fromText("kiln-tune v2\n" + good).size() == 0);
  CHECK(TuningCache::fromText("").size() == 0);
  CHECK(TuningCache::open("/nonexistent/cache").status().code() == ErrorCode::E0801);
}
