#include "codegen/problem/InPlace.h"

#include <catch2/catch.hpp>

using namespace kiln;

/// The facts as "output=input" pairs of positions.
static std::string facts(const std::string &body) {
  auto p = Problem::parse("v1 default; " + body);
  INFO(p.status().message());
  REQUIRE(p.ok());
  std::string text;
  for (const Problem::InPlace &fact : inferInPlace(*p))
    text += (text.empty() ? "" : " ") + std::to_string(fact.output) + "=" + std::to_string(fact.input);
  return text;
}

TEST_CASE("elementwise work may overwrite its operands") {
  CHECK(facts("%0 = in f32[d0,4]; %1 = in f32[4]; %2 = add(%0,%1) f32[d0,4]; out %2") == "0=0");
  CHECK(facts("%0 = in f32[4]; %1 = in f32[4]; %2 = add(%0,%1) f32[4]; %3 = relu(%2) f32[4]; out %2,%3") ==
        "0=0 0=1 1=0 1=1");
  // another type, a constant
  CHECK(facts("%0 = in f32[4]; %1 = const f32[4]; %2 = add(%0,%1) f32[4]; %3 = cast(%2){to=\"f16\"} f16[4]; "
              "out %3") == "");
  CHECK(facts("%0 = in i64[4]; %1 = const f32[4]; %2 = cast(%0){to=\"f32\"} f32[4]; %3 = add(%2,%1) f32[4]; "
              "out %3") == "");
}

TEST_CASE("a residual may be overwritten, what the anchor reads may not") {
  CHECK(facts("%0 = in f32[d0,4]; %1 = const f32[4,4]; %2 = matmul(%0,%1) f32[d0,4]; %3 = in f32[d0,4]; "
              "%4 = add(%2,%3) f32[d0,4]; out %4") == "0=2");
  CHECK(facts("%0 = in f32[d0,4]; %1 = const f32[4,4]; %2 = matmul(%0,%1) f32[d0,4]; "
              "%3 = add(%2,%0) f32[d0,4]; out %3") == "");
  // elementwise work before the anchor is read by all positions
  CHECK(facts("%0 = in f32[4,4]; %1 = relu(%0) f32[4,4]; %2 = const f32[4,4]; %3 = matmul(%1,%2) f32[4,4]; "
              "out %3") == "");
}

TEST_CASE("operands that are broadcast, moved or reduced keep their buffer") {
  // %0 has the output's dims but is read through a broadcast of its relu's reduction
  CHECK(facts("%0 = in f32[4,4]; %1 = reduce(%0){axes=[1], keepdims=1, kind=\"sum\"} f32[4,1]; "
              "%2 = div(%0,%1) f32[4,4]; out %2") == "");
  CHECK(facts("%0 = in f32[4,4]; %1 = transpose(%0){perm=[1,0]} f32[4,4]; out %1") == "");
  CHECK(facts("%0 = in f32[1,4]; %1 = in f32[4,1]; %2 = add(%0,%1) f32[4,4]; out %2") == "");
}

TEST_CASE("a sweep over rows works in place when it is alone") {
  CHECK(facts("%0 = in f32[d0,8]; %1 = in f32[d0,8]; %2 = add(%0,%1) f32[d0,8]; %3 = const f32[8]; "
              "%4 = layer_norm(%2,%3){axis=-1} f32[d0,8]; out %4") == "0=0 0=1");
  CHECK(facts("%0 = in f32[d0,8]; %1 = softmax(%0){axis=1} f32[d0,8]; out %1") == "0=0");
  // the sum leaves too: its rows are written before they are swept again
  CHECK(facts("%0 = in f32[d0,8]; %1 = in f32[d0,8]; %2 = add(%0,%1) f32[d0,8]; %3 = const f32[8]; "
              "%4 = layer_norm(%2,%3){axis=-1} f32[d0,8]; out %2,%4") == "");
  CHECK(facts("%0 = in f32[8,8]; %1 = softmax(%0){axis=1} f32[8,8]; %2 = softmax(%1){axis=0} f32[8,8]; "
              "out %2") == "");
}
