#include "runtime/plan/Packing.h"

#include <catch2/catch.hpp>
#include <random>

using namespace kiln;

namespace {
void requireValid(const std::vector<PackInterval> &v, const Packing &p) {
  REQUIRE(p.offsets.size() == v.size());
  for (size_t i = 0; i < v.size(); ++i) {
    REQUIRE(p.offsets[i] >= 0);
    REQUIRE(p.offsets[i] % 64 == 0);
    REQUIRE(p.offsets[i] + v[i].bytes <= p.total);
    for (size_t j = 0; j < i; ++j) {
      bool inTime = v[i].first <= v[j].last && v[j].first <= v[i].last;
      bool inSpace = p.offsets[i] < p.offsets[j] + v[j].bytes && p.offsets[j] < p.offsets[i] + v[i].bytes;
      bool both = inTime && inSpace && v[i].bytes && v[j].bytes;
      REQUIRE(!both);
    }
  }
}
} // namespace

TEST_CASE("a chain needs its two largest neighbours") {
  std::vector<PackInterval> v;
  int64_t sizes[] = {6400, 6400, 12800, 3200, 6400, 640};
  for (int64_t i = 0; i < 6; ++i)
    v.push_back({sizes[i], i, i + 1});
  Packing p = packOffsets(v);
  requireValid(v, p);
  CHECK(p.total == 6400 + 12800);
  CHECK(p.total == packingLowerBound(v));
}

TEST_CASE("packing edge cases") {
  CHECK(packOffsets({}).total == 0);
  std::vector<PackInterval> v{{0, 0, 5}, {1, 0, 0}, {65, 0, 0}};
  Packing p = packOffsets(v);
  requireValid(v, p);
  CHECK(p.total == 64 + 128);
  CHECK(packOffsets(std::vector<PackInterval>{{INT64_MAX, 0, 0}, {64, 1, 1}}).total == -1);
}

TEST_CASE("random programs pack validly and close to the bound") {
  std::mt19937 rng(7);
  double worst = 1, sum = 0;
  for (int round = 0; round < 20; ++round) {
    std::vector<PackInterval> v;
    int n = 20 + int(rng() % 150);
    for (int i = 0; i < n; ++i) {
      int64_t length = rng() % 8 == 0 ? int64_t(rng() % 60) : int64_t(rng() % 5);
      v.push_back({int64_t(64 * (1 + rng() % (rng() % 4 ? 50 : 1000))), i, i + length});
    }
    Packing p = packOffsets(v), again = packOffsets(v);
    requireValid(v, p);
    CHECK(p.offsets == again.offsets);
    double ratio = double(p.total) / double(packingLowerBound(v));
    worst = std::max(worst, ratio);
    sum += ratio;
  }
  INFO("worst " << worst << ", mean " << sum / 20);
  CHECK(worst < 1.12);
  CHECK(sum / 20 < 1.03);
}

TEST_CASE("thousands of buffers pack in bounded time") {
  std::mt19937 rng(3);
  std::vector<PackInterval> v;
  for (int i = 0; i < 4000; ++i)
    v.push_back({int64_t(64 * (1 + rng() % 500)), i, i + int64_t(rng() % 300)});
  requireValid(std::vector<PackInterval>(v.begin(), v.begin() + 500), packOffsets({v.data(), 500}));
  Packing p = packOffsets(v);
  CHECK(double(p.total) / double(packingLowerBound(v)) < 1.2);
}
