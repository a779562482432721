#include "codegen/problem/TargetInfo.h"

#include <catch2/catch.hpp>

using namespace kiln;

TEST_CASE("target text round-trips and decides the rest") {
  for (const char *text : {"x86-64-v3", "x86-64-v4", "x86-64-v4+bf16+vnni", "x86-64-v4+vnni@large-l2"}) {
    auto target = TargetInfo::parse(text);
    REQUIRE(target.ok());
    CHECK(target->print() == text);
  }
  auto v3 = *TargetInfo::parse("x86-64-v3"), v4 = *TargetInfo::parse("x86-64-v4+vnni");
  CHECK(v3.vectorBits == 256);
  CHECK(v3.vectorRegisters == 16);
  CHECK(v4.lanes(32) == 16);
  CHECK(v4.llvmFeatures() == "+avx512vnni");
  CHECK(TargetInfo::parse("x86-64-v4+amx+vnni")->llvmFeatures() == "+amx-tile,+amx-int8,+avx512vnni");
}

TEST_CASE("unknown targets are refused") {
  for (const char *text : {"", "armv8", "x86-64-v2", "x86-64-v4+avx10", "x86-64-v3+vnni", "x86-64-v3@huge"})
    CHECK(TargetInfo::parse(text).status().code() == ErrorCode::E0206);
}

TEST_CASE("this machine has a target") {
  auto host = hostTarget();
  REQUIRE(host.ok());
  CHECK(TargetInfo::parse(host->print())->print() == host->print());
  CHECK(host->runsHere());
  CHECK(TargetInfo::parse("x86-64-v3")->runsHere());
  // Of features it names the one that kernels are faster with.
  CHECK(host->has("vnni") == TargetInfo::parse("x86-64-v4+vnni")->runsHere());
  CHECK(host->has("amx") == TargetInfo::parse("x86-64-v4+amx")->runsHere());
  CHECK(!host->has("bf16"));
}
