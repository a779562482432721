#include "FamilyTest.h"

#include <catch2/catch.hpp>

using kiln::test::checkFamily;
using kiln::test::claimant;

TEST_CASE("attention of unknown sizes, with and without masks") {
  const std::string operands = "v1 default; %0 = in f32[d0,d1,d2]; %1 = in f32[d0,d3,d2]; %2 = in f32[d0,d3,d4]; ";
  checkFamily("attention", operands + "%3 = attention(%0,%1,%2){scale=0.25} f32[d0,d1,d4]; out %3",
              {{1, 1, 1, 1, 1}, {2, 7, 8, 13, 5}, {3, 29, 31, 37, 17}, {1, 0, 4, 3, 2}, {2, 7, 8, 0, 5}});
  checkFamily("attention",
              operands + "%3 = in f32[1,d1,d3]; %4 = attention(%0,%1,%2,%3){scale=0.5} f32[d0,d1,d4]; out %4",
              {{2, 7, 8, 13, 5}, {1, 16, 16, 32, 16}});
  checkFamily("attention", operands + "%3 = in bool[d0,1,d3]; %4 = attention(%0,%1,%2,%3) f32[d0,d1,d4]; out %4",
              {{2, 7, 8, 13, 5}});
}

TEST_CASE("attention over heads in place, every candidate") {
  checkFamily(
      "attention",
      "v1 default; %0 = in f32[1,26,3,16]; %1 = in f32[1,26,3,16]; %2 = in f32[1,26,3,16]; %3 = in f32[1,1,1,26]; "
      "%4 = transpose(%0){perm=[0,2,1,3]} f32[1,3,26,16]; %5 = transpose(%1){perm=[0,2,1,3]} f32[1,3,26,16]; "
      "%6 = transpose(%2){perm=[0,2,1,3]} f32[1,3,26,16]; %7 = attention(%4,%5,%6,%3){scale=0.25} f32[1,3,26,16]; "
      "%8 = transpose(%7){perm=[0,2,1,3]} f32[1,26,3,16]; out %8",
      {{}}, true);
}

TEST_CASE("attention reads slices of a joined projection in place") {
  auto body = [](std::string r) {
    std::string text = "v1 default; %0 = in f32[" + r + ",1,72]; ";
    int id = 0;
    const char *begins[] = {"0", "24", "48"}, *ends[] = {"24", "48", "72"};
    std::string operands[3];
    for (int i = 0; i < 3; ++i) {
      auto value = [&](const std::string &op, const std::string &dims) {
        int from = id == 3 * i ? 0 : id;
        text += "%" + std::to_string(id + 1) + " = " + op + " f32[" + dims + "]; ";
        text.replace(text.rfind("%?"), 2, "%" + std::to_string(from));
        ++id;
      };
      value(std::string("slice(%?){axes=[2], ends=[") + ends[i] + "], starts=[" + begins[i] + "], steps=[1]}",
            r + ",1,24");
      value("reshape(%?){allow_zero=0}", r + ",3,8");
      value("transpose(%?){perm=[1,0,2]}", "3," + r + ",8");
      operands[i] = "%" + std::to_string(id);
    }
    return text + "%10 = attention(" + operands[0] + "," + operands[1] + "," + operands[2] + "){scale=0.5} f32[3," + r +
           ",8]; out %10";
  };
  checkFamily("attention", body("13"), {{}}, true);
  checkFamily("attention", body("d0"), {{1}, {7}, {32}});
}

TEST_CASE("attention of widths that end inside a panel") {
  checkFamily("attention",
              "v1 default; %0 = in f32[3,13,8]; %1 = in f32[3,13,8]; %2 = in f32[3,13,24]; "
              "%3 = attention(%0,%1,%2){scale=0.5} f32[3,13,24]; out %3",
              {{}});
}

TEST_CASE("attention of other types than f32") {
  for (std::string t : {"f16", "bf16", "f64"}) {
    const std::string operands =
        "v1 default; %0 = in " + t + "[d0,d1,d2]; %1 = in " + t + "[d0,d3,d2]; %2 = in " + t + "[d0,d3,d4]; %3 = in ";
    const std::string result = t + "[d0,d1,d4]; out %4";
    checkFamily("attention", operands + t + "[1,d1,d3]; %4 = attention(%0,%1,%2,%3){scale=0.5} " + result,
                {{1, 1, 1, 1, 1}, {2, 7, 8, 13, 5}, {3, 29, 31, 37, 17}, {1, 0, 4, 3, 2}, {2, 7, 8, 0, 5}});
    checkFamily("attention", operands + "bool[d0,1,d3]; %4 = attention(%0,%1,%2,%3) " + result, {{2, 7, 8, 13, 5}});
    std::string heads = "v1 default; ";
    for (int i = 0; i < 3; ++i)
      heads += "%" + std::to_string(i) + " = in " + t + "[1,26,3,16]; ";
    for (int i = 0; i < 3; ++i)
      heads += "%" + std::to_string(i + 3) + " = transpose(%" + std::to_string(i) + "){perm=[0,2,1,3]} " + t +
               "[1,3,26,16]; ";
    checkFamily("attention",
                heads + "%6 = attention(%3,%4,%5){scale=0.25} " + t +
                    "[1,3,26,16]; %7 = transpose(%6){perm=[0,2,1,3]} " + t + "[1,26,3,16]; out %7",
                {{}}, true);
  }
  CHECK(claimant("v1 default; %0 = in i32[2,4,8]; %1 = attention(%0,%0,%0) i32[2,4,8]; out %1") == nullptr);
}

TEST_CASE("what attention does not claim") {
  // a slice that counts from the end, a reshape that merges what lies apart
  CHECK(claimant(
            "v1 default; %0 = in f32[2,4,d0]; %1 = slice(%0){axes=[2], ends=[9], starts=[-8], steps=[1]} f32[2,4,8]; "
            "%2 = in f32[2,4,8]; %3 = attention(%1,%2,%2) f32[2,4,8]; out %3") == nullptr);
  CHECK(claimant(
            "v1 default; %0 = in f32[2,4,9]; %1 = slice(%0){axes=[2], ends=[8], starts=[0], steps=[1]} f32[2,4,8]; "
            "%2 = reshape(%1) f32[2,8,4]; %3 = in f32[2,8,4]; %4 = attention(%2,%3,%3) f32[2,8,4]; out %4") == nullptr);
  CHECK(claimant(
            "v1 default; %0 = in f32[2,4,8]; %1 = relu(%0) f32[2,4,8]; %2 = attention(%1,%0,%0) f32[2,4,8]; out %2") ==
        nullptr);
}

TEST_CASE("attention refuses to write over what it reads") {
  const std::string body = "v1 default; %0 = in f32[2,8,8]; %1 = in f32[2,8,8]; %2 = in f32[2,8,8]; "
                           "%3 = attention(%0,%1,%2){scale=0.5} f32[2,8,8]; out %3";
  CHECK(claimant(body) != nullptr);
  for (const char *operand : {"%0", "%1", "%2"})
    CHECK(claimant(body + "; inplace %3=" + operand) == nullptr);
}

TEST_CASE("attention of a few rows reads keys and values where they lie") {
  // A decoder's step over a cache that is stored by tokens; with masks, and of no tokens yet.
  for (std::string t : {"f32", "f64", "f16", "bf16"})
    for (std::string rows : {"1", "3"}) {
      std::string heads = "v1 default; %0 = in " + t + "[2,3," + rows + ",32]; %1 = in " + t + "[d0,2,3,32]; %2 = in " +
                          t + "[d0,2,3,64]; %3 = transpose(%1){perm=[1,2,0,3]} " + t +
                          "[2,3,d0,32]; %4 = transpose(%2){perm=[1,2,0,3]} " + t + "[2,3,d0,64]; ";
      std::string result = t + "[2,3," + rows + ",64]; out %";
      checkFamily("attention", heads + "%5 = attention(%0,%3,%4){scale=0.25} " + result + "5", {{0}, {1}, {16}, {37}},
                  true);
      checkFamily("attention",
                  heads + "%5 = in " + t + "[" + rows + ",d0]; %6 = attention(%0,%3,%4,%5) " + result + "6",
                  {{1}, {16}, {37}}, true);
      checkFamily("attention", heads + "%5 = in bool[2,1," + rows + ",d0]; %6 = attention(%0,%3,%4,%5) " + result + "6",
                  {{21}}, true);
    }
}
