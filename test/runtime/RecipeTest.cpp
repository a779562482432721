#include "runtime/base/Recipe.h"
#include "runtime/base/Float16.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <numeric>

using namespace kiln;

namespace {
Tensor iota(std::vector<int64_t> dims) {
  Tensor t = *Tensor::create(DType::F32, dims);
  std::iota(t.as<float>(), t.as<float>() + t.size(), 0.f);
  return t;
}
} // namespace

TEST_CASE("recipe text reads back") {
  std::string text = "permute[2,3,1,0]; reshape[576,64]; pad[0,0,0,8]; cast[f32]; winograd[4]; sums[]";
  auto r = Recipe::parse(text);
  REQUIRE(r.ok());
  CHECK(r->print() == text);
  CHECK(Recipe::parse("")->steps.empty());
  CHECK(Recipe::parse("reshape[]")->print() == "reshape[]");
  for (const char *bad :
       {"perm[1]", "permute", "permute[", "permute[a]", "cast[x]", "pad[0,0];", "pad[0] pad[0]", "cast[]"})
    CHECK(!Recipe::parse(bad).ok());
}

TEST_CASE("permute and pad place every element") {
  Tensor t = iota({2, 3, 4});
  auto r = applyRecipe(t.view(), Recipe().permute({2, 0, 1}).pad({0, 1, 0, 1, 0, 2}));
  REQUIRE(r.ok());
  REQUIRE(std::vector<int64_t>(r->dims().begin(), r->dims().end()) == std::vector<int64_t>{5, 3, 5});
  for (int64_t i = 0; i < 5; ++i)
    for (int64_t j = 0; j < 3; ++j)
      for (int64_t k = 0; k < 5; ++k) {
        float want = i < 4 && j >= 1 && k < 3 ? float((j - 1) * 12 + k * 4 + i) : 0.f;
        REQUIRE(r->as<float>()[(i * 3 + j) * 5 + k] == want);
      }
}

TEST_CASE("sums of quads of bytes lie behind them") {
  Tensor t = *Tensor::create(DType::U8, std::vector<int64_t>{2, 3, 2, 4});
  for (int64_t i = 0; i < t.size(); ++i)
    t.as<uint8_t>()[i] = uint8_t(37 * i);
  auto r = applyRecipe(t.view(), Recipe().sums());
  REQUIRE(r.ok());
  REQUIRE(r->dtype() == DType::I8);
  REQUIRE(std::vector<int64_t>(r->dims().begin(), r->dims().end()) == std::vector<int64_t>{2, 4, 2, 4});
  for (int64_t n = 0; n < 2; ++n)
    for (int64_t column = 0; column < 2; ++column) {
      int32_t want = 0, sum;
      for (int64_t k = 0; k < 3; ++k)
        for (int64_t quad = 0; quad < 4; ++quad) {
          int number = int(t.as<uint8_t>()[((n * 3 + k) * 2 + column) * 4 + quad]) - 128;
          CHECK(r->as<int8_t>()[((n * 4 + k) * 2 + column) * 4 + quad] == number);
          want += number;
        }
      std::memcpy(&sum, r->as<int8_t>() + ((n * 4 + 3) * 2 + column) * 4, 4);
      CHECK(sum == want);
    }
  Tensor f = iota({1, 1, 1, 4}), triples = *Tensor::create(DType::I8, std::vector<int64_t>{1, 1, 1, 3});
  CHECK(!applyRecipe(f.view(), Recipe().sums()).ok());
  CHECK(!applyRecipe(triples.view(), Recipe().sums()).ok());
}

TEST_CASE("recipes that do not fit are errors") {
  Tensor t = iota({2, 3});
  for (const char *text : {"permute[0]", "permute[0,0]", "permute[0,2]", "reshape[5]", "pad[0,0]", "pad[-1,0,0,0]",
                           "pad[0,0,0,9223372036854775807]", "reshape[-2,-3]", "pad[0,0,0,4611686018427387904]"}) {
    INFO(text);
    CHECK(!applyRecipe(t.view(), *Recipe::parse(text)).ok());
  }
}

TEST_CASE("empty and scalar tensors") {
  Tensor t = iota({0, 3});
  auto r = applyRecipe(t.view(), Recipe().permute({1, 0}).pad({0, 1, 0, 1}));
  REQUIRE(r.ok());
  CHECK(r->size() == 6);
  CHECK(r->as<float>()[5] == 0);
  Tensor s = iota({});
  CHECK(applyRecipe(s.view(), Recipe().permute({}).reshape({1, 1}))->dims().size() == 2);
}

TEST_CASE("conversions saturate, wrap and round as documented") {
  std::vector<float> in{NAN, INFINITY, -INFINITY, 1e10f, -1e10f, 2.9f, -2.9f, 128.f};
  Tensor t = *Tensor::of<float>(DType::F32, {8}, in);
  auto i8 = applyRecipe(t.view(), Recipe().cast(DType::I8));
  CHECK(std::vector<int>(i8->as<int8_t>(), i8->as<int8_t>() + 8) ==
        std::vector<int>{0, 127, -128, 127, -128, 2, -2, 127});
  auto u64 = applyRecipe(t.view(), Recipe().cast(DType::U64));
  CHECK(u64->as<uint64_t>()[1] == UINT64_MAX);
  CHECK(u64->as<uint64_t>()[2] == 0);
  auto b = applyRecipe(t.view(), Recipe().cast(DType::Bool));
  CHECK(b->as<uint8_t>()[0] == 1);
  std::vector<int64_t> ints{-1, 300, INT64_MAX};
  Tensor ti = *Tensor::of<int64_t>(DType::I64, {3}, ints);
  auto u8 = applyRecipe(ti.view(), Recipe().cast(DType::U8));
  CHECK(std::vector<int>(u8->as<uint8_t>(), u8->as<uint8_t>() + 3) == std::vector<int>{255, 44, 255}); // the low bits
}

TEST_CASE("16-bit floats round-trip and round to nearest even") {
  for (uint32_t h = 0; h < 65536; ++h) {
    float f = f16ToFloat(uint16_t(h)), g = bf16ToFloat(uint16_t(h));
    if (!std::isnan(f))
      REQUIRE(floatToF16(f) == h);
    else
      REQUIRE(std::isnan(f16ToFloat(floatToF16(f))));
    if (!std::isnan(g))
      REQUIRE(floatToBf16(g) == h);
    else
      REQUIRE(std::isnan(bf16ToFloat(floatToBf16(g))));
  }
  CHECK(floatToF16(65519.f) == 0x7bff);
  CHECK(floatToF16(65520.f) == 0x7c00);
  CHECK(floatToF16(0x1p-25f) == 0);
  CHECK(floatToF16(0x1.8p-25f) == 1);
  CHECK(floatToF16(1.f + 0x1p-11f) == 0x3c00);
  CHECK(floatToF16(1.f + 0x3p-11f) == 0x3c02);
  // 1 + 2^-11 + 2^-40 lies above the tie; going through a nearest f32 would land on it.
  CHECK(doubleToF16(1 + 0x1p-11 + 0x1p-40) == 0x3c01);
  CHECK(doubleToBf16(-(1 + 0x1p-8 + 0x1p-40)) == 0xbf81);
}

TEST_CASE("filters for minimal filtering") {
  // The filter's side of F(2, 3) along one dim: g0, (g0+g1+g2)/2, (g0-g1+g2)/2, g2, up to sign.
  Tensor t = *Tensor::create(DType::F32, {1, 3, 3});
  const float filter[] = {0, 0, 0, 1, 2, 4, 0, 0, 0};
  std::copy(std::begin(filter), std::end(filter), t.as<float>());
  auto r = applyRecipe(t.view(), Recipe().winograd(2));
  REQUIRE(r.ok());
  REQUIRE(std::vector<int64_t>(r->dims().begin(), r->dims().end()) == std::vector<int64_t>{1, 4, 4});
  const float row[] = {-1, 3.5, 1.5, 4}, column[] = {0, 0.5, -0.5, 0};
  for (int i = 0; i < 4; ++i)
    for (int j = 0; j < 4; ++j)
      CHECK(r->as<float>()[i * 4 + j] == row[j] * column[i]);
  CHECK(applyRecipe(t.view(), Recipe().winograd(4))->size() == 36);
  CHECK(!applyRecipe(t.view(), Recipe().winograd(3)).ok());
  CHECK(!applyRecipe(iota({3, 4}).view(), Recipe().winograd(2)).ok());
}
