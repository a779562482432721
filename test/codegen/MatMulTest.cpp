#include "FamilyTest.h"

#include <catch2/catch.hpp>

using kiln::test::checkFamily;
using kiln::test::claimant;

namespace {
const std::vector<std::vector<int64_t>> threeSizes = {{1, 1, 1}, {7, 13, 31}, {101, 67, 53},
                                                      {0, 5, 4}, {5, 0, 4},   {5, 4, 0}};
}

TEST_CASE("matmul of unknown sizes, B packed at run time") {
  checkFamily("matmul", "v1 default; %0 = in f32[d0,d1]; %1 = in f32[d1,d2]; %2 = matmul(%0,%1) f32[d0,d2]; out %2",
              threeSizes);
  checkFamily(
      "matmul",
      "v1 default; %0 = in f32[d0,d1]; %1 = in f32[d2,d1]; %2 = matmul(%0,%1){transpose_b=1} f32[d0,d2]; out %2",
      threeSizes);
  checkFamily(
      "matmul",
      "v1 default; %0 = in f32[d0,d1]; %1 = in f32[d0,d2]; %2 = matmul(%0,%1){transpose_a=1} f32[d1,d2]; out %2",
      threeSizes);
}

TEST_CASE("matmul with a constant B") {
  checkFamily("matmul", "v1 default; %0 = in f32[d0,37]; %1 = const f32[37,50]; %2 = matmul(%0,%1) f32[d0,50]; out %2",
              {{1}, {3}, {4}, {13}, {97}, {0}});
  checkFamily(
      "matmul",
      "v1 default; %0 = in f32[1,300]; %1 = const f32[131,300]; %2 = matmul(%0,%1){transpose_b=1} f32[1,131]; out %2");
  checkFamily("matmul", "v1 default; %0 = in f32[49,0]; %1 = const f32[0,32]; %2 = matmul(%0,%1) f32[49,32]; out %2");
}

TEST_CASE("batched matmul, broadcast batch dims, B in place") {
  checkFamily(
      "matmul",
      "v1 default; %0 = in f32[d0,3,d1,17]; %1 = in f32[d0,1,17,19]; %2 = matmul(%0,%1) f32[d0,3,d1,19]; out %2",
      {{1, 1}, {2, 13}, {3, 29}});
  checkFamily("matmul",
              "v1 default; %0 = in f32[2,3,13,17]; %1 = in f32[3,17,64]; %2 = matmul(%0,%1) f32[2,3,13,64]; out %2");
  checkFamily("matmul",
              "v1 default; %0 = in f32[13,17]; %1 = const f32[3,17,20]; %2 = matmul(%0,%1) f32[3,13,20]; out %2");
  checkFamily("matmul",
              "v1 default; %0 = in f32[d0,5,17]; %1 = const f32[17,20]; %2 = matmul(%0,%1) f32[d0,5,20]; out %2",
              {{1}, {7}});
}

TEST_CASE("matmul epilogues: every kind of operand, several outputs, in place") {
  checkFamily(
      "matmul",
      "v1 default; %0 = in f32[2,d0,40]; %1 = const f32[40,35]; %2 = const f32[35]; %3 = in f32[2,d0,1]; %4 = in "
      "f32[2,1,35]; "
      "%5 = in f32[2,d0,35]; %6 = lit f32[] 0.5; %7 = matmul(%0,%1) f32[2,d0,35]; %8 = add(%7,%2) f32[2,d0,35]; "
      "%9 = mul(%8,%3) f32[2,d0,35]; %10 = add(%9,%4) f32[2,d0,35]; %11 = add(%10,%5) f32[2,d0,35]; "
      "%12 = mul(%11,%6) f32[2,d0,35]; %13 = tanh(%8) f32[2,d0,35]; out %12,%13; inplace %12=%5",
      {{1}, {5}, {23}});
  checkFamily("matmul",
              "v1 default; %0 = in f32[31,40]; %1 = const f32[40,64]; %2 = in bool[31,64]; %3 = lit f32[] -1.0; "
              "%4 = matmul(%0,%1) f32[31,64]; %5 = where(%2,%4,%3) f32[31,64]; out %5");
}

TEST_CASE("every matmul candidate is right") {
  checkFamily("matmul", "v1 default; %0 = in f32[53,29]; %1 = const f32[29,72]; %2 = matmul(%0,%1) f32[53,72]; out %2",
              {{}}, true);
  checkFamily("matmul", "v1 default; %0 = in f32[d0,29]; %1 = in f32[29,48]; %2 = matmul(%0,%1) f32[d0,48]; out %2",
              {{2}, {37}}, true);
}

TEST_CASE("matmul of other types than f32") {
  for (std::string t : {"f16", "bf16", "f64", "i32", "i64"}) {
    auto in = [&](const std::string &dims) { return "in " + t + "[" + dims + "]; "; };
    auto constant = [&](const std::string &dims) { return "const " + t + "[" + dims + "]; "; };
    // B constant, of an odd depth and of one without a remainder.
    checkFamily("matmul",
                "v1 default; %0 = " + in("d0,37") + "%1 = " + constant("37,50") + "%2 = matmul(%0,%1) " + t +
                    "[d0,50]; out %2",
                {{1}, {3}, {13}, {97}, {0}});
    checkFamily("matmul", "v1 default; %0 = " + in("3,1,300") + "%1 = " + constant("3,131,300") +
                              "%2 = matmul(%0,%1){transpose_b=1} " + t + "[3,1,131]; out %2");
    checkFamily("matmul", "v1 default; %0 = " + in("49,0") + "%1 = " + constant("0,32") + "%2 = matmul(%0,%1) " + t +
                              "[49,32]; out %2");
    // B packed at run time, or read in place.
    checkFamily("matmul",
                "v1 default; %0 = " + in("d0,d1") + "%1 = " + in("d2,d1") + "%2 = matmul(%0,%1){transpose_b=1} " + t +
                    "[d0,d2]; out %2",
                threeSizes);
    checkFamily("matmul",
                "v1 default; %0 = " + in("d0,d1") + "%1 = " + in("d0,d2") + "%2 = matmul(%0,%1){transpose_a=1} " + t +
                    "[d1,d2]; out %2",
                threeSizes);
    checkFamily("matmul", "v1 default; %0 = " + in("2,3,13,17") + "%1 = " + in("3,17,64") + "%2 = matmul(%0,%1) " + t +
                              "[2,3,13,64]; out %2");
  }
}

TEST_CASE("matmul epilogues of other types than f32: casts, in place") {
  for (std::string t : {"f16", "bf16", "f64", "i32", "i64"}) {
    std::string body = "v1 default; %0 = in " + t + "[d0,40]; %1 = const " + t + "[40,35]; %2 = const " + t +
                       "[35]; %3 = in f32[d0,1]; %4 = in " + t + "[d0,35]; %5 = matmul(%0,%1) " + t +
                       "[d0,35]; %6 = add(%5,%2) " + t + "[d0,35]; %7 = add(%6,%4) " + t + "[d0,35]; ";
    checkFamily("matmul", body + "%8 = relu(%7) " + t + "[d0,35]; out %8; inplace %8=%4", {{1}, {5}, {23}});
    checkFamily("matmul", body + "%8 = cast(%7){to=\"f32\"} f32[d0,35]; %9 = mul(%8,%3) f32[d0,35]; out %9,%7",
                {{1}, {5}, {23}});
  }
}

TEST_CASE("every matmul candidate of other types than f32 is right") {
  for (std::string t : {"f16", "bf16", "f64", "i32"}) {
    checkFamily("matmul",
                "v1 default; %0 = in " + t + "[21,13]; %1 = const " + t + "[13,40]; %2 = matmul(%0,%1) " + t +
                    "[21,40]; out %2",
                {{}}, true);
    checkFamily("matmul",
                "v1 default; %0 = in " + t + "[d0,13]; %1 = in " + t + "[13,48]; %2 = matmul(%0,%1) " + t +
                    "[d0,48]; out %2",
                {{19}}, true);
  }
}

TEST_CASE("matmul of quantized operands") {
  const std::string product = "%9 = matmul(%7,%8) i32[d0,35]; ";
  for (std::string a : {"u8", "i8"})
    for (std::string b : {"u8", "i8"}) {
      // An even depth goes in pairs, an odd one step by step; B constant or not, A with a zero point that a run tells.
      for (std::string depth : {"40", "37"})
        for (std::string kind : {"const", "in"})
          checkFamily("matmul",
                      "v1 default; %0 = in " + a + "[d0," + depth + "]; %1 = " + kind + " " + b + "[" + depth +
                          ",35]; %2 = in " + a + "[]; %3 = cast(%0){to=\"i32\"} i32[d0," + depth +
                          "]; %4 = cast(%2){to=\"i32\"} i32[]; %5 = lit i32[] 3; %6 = cast(%1){to=\"i32\"} i32[" +
                          depth + ",35]; %7 = sub(%3,%4) i32[d0," + depth + "]; %8 = sub(%6,%5) i32[" + depth +
                          ",35]; " + product + "out %9",
                      {{1}, {5}, {23}, {0}});
      // Nothing is subtracted; batches; the result is quantized again.
      checkFamily("matmul",
                  "v1 default; %0 = in " + a + "[3,7,32]; %1 = const " + b +
                      "[3,40,32]; %2 = cast(%0){to=\"i32\"} i32[3,7,32]; %3 = cast(%1){to=\"i32\"} "
                      "i32[3,40,32]; %4 = matmul(%2,%3){transpose_b=1} i32[3,7,40]; %5 = cast(%4){to=\"f32\"} "
                      "f32[3,7,40]; %6 = lit f32[] 0.125; %7 = mul(%5,%6) f32[3,7,40]; %8 = round(%7) "
                      "f32[3,7,40]; %9 = cast(%8){to=\"" +
                      a + "\"} " + a + "[3,7,40]; out %9");
    }
  // A zero point for each row, and A transposed.
  checkFamily("matmul",
              "v1 default; %0 = in u8[9,16]; %1 = const i8[16,24]; %2 = in u8[9,1]; %3 = cast(%0){to=\"i32\"} "
              "i32[9,16]; %4 = cast(%2){to=\"i32\"} i32[9,1]; %5 = sub(%3,%4) i32[9,16]; "
              "%6 = cast(%1){to=\"i32\"} i32[16,24]; %7 = matmul(%5,%6) i32[9,24]; out %7");
  checkFamily("matmul", "v1 default; %0 = in u8[16,9]; %1 = const i8[16,24]; %2 = cast(%0){to=\"i32\"} i32[16,9]; "
                        "%3 = cast(%1){to=\"i32\"} i32[16,24]; %4 = matmul(%2,%3){transpose_a=1} i32[9,24]; out %4");
  // A zero point of i32 may be anything: no pairs of i16.
  checkFamily("matmul", "v1 default; %0 = in u8[9,16]; %1 = const i8[16,24]; %2 = in i32[]; %3 = cast(%0){to=\"i32\"} "
                        "i32[9,16]; %4 = sub(%3,%2) i32[9,16]; %5 = cast(%1){to=\"i32\"} i32[16,24]; "
                        "%6 = matmul(%4,%5) i32[9,24]; out %6");
}

TEST_CASE("matmul of bytes as they lie in memory, four steps at once where the target can") {
  for (std::string a : {"u8", "i8"})
    for (auto [b, zeroB] : {std::pair("i8", "0"), {"u8", "128"}})
      for (std::string zeroA : {"0", "7", "-3"}) {
        if (a == "u8" && zeroA == "-3") // is no u8
          continue;
        std::string operands = "v1 default; %0 = in " + a + "[d0,36]; %1 = const " + b + "[36,35]; %2 = lit i32[] " +
                               zeroA + "; %3 = lit i32[] " + zeroB +
                               "; %4 = cast(%0){to=\"i32\"} i32[d0,36]; %5 = sub(%4,%2) i32[d0,36]; "
                               "%6 = cast(%1){to=\"i32\"} i32[36,35]; %7 = sub(%6,%3) i32[36,35]; ";
        checkFamily("matmul", operands + "%8 = matmul(%5,%7) i32[d0,35]; out %8", {{1}, {5}, {23}, {0}},
                    a == "i8" && zeroA == "7");
        checkFamily("matmul",
                    operands +
                        "%8 = matmul(%5,%7) i32[d0,35]; %9 = cast(%8){to=\"f32\"} f32[d0,35]; "
                        "%10 = lit f32[] 0.0078125; %11 = mul(%9,%10) f32[d0,35]; %12 = round(%11) f32[d0,35]; "
                        "%13 = lit f32[] " +
                        zeroA + "; %14 = add(%12,%13) f32[d0,35]; %15 = cast(%14){to=\"" + a + "\"} " + a +
                        "[d0,35]; out %15",
                    {{9}});
      }
  // Batches of both; no depth.
  checkFamily("matmul",
              "v1 default; %0 = in u8[3,7,32]; %1 = const i8[3,40,32]; %2 = lit i32[] 100; "
              "%3 = cast(%0){to=\"i32\"} i32[3,7,32]; %4 = sub(%3,%2) i32[3,7,32]; "
              "%5 = cast(%1){to=\"i32\"} i32[3,40,32]; %6 = matmul(%4,%5){transpose_b=1} i32[3,7,40]; out %6");
  checkFamily("matmul", "v1 default; %0 = in u8[7,0]; %1 = const i8[0,40]; %2 = lit i32[] 100; "
                        "%3 = cast(%0){to=\"i32\"} i32[7,0]; %4 = sub(%3,%2) i32[7,0]; "
                        "%5 = cast(%1){to=\"i32\"} i32[0,40]; %6 = matmul(%4,%5) i32[7,40]; out %6");
}

TEST_CASE("matmul of bytes in tile registers, where the target has them") {
  for (std::string a : {"u8", "i8"})
    for (auto [b, zeroB] : {std::pair("i8", "0"), {"u8", "128"}}) {
      std::string operands = "v1 default; %0 = in " + a + "[d0,192]; %1 = const " + b +
                             "[192,70]; %2 = cast(%0){to=\"i32\"} i32[d0,192]; %3 = cast(%1){to=\"i32\"} i32[192,70]; "
                             "%4 = lit i32[] " +
                             zeroB + "; %5 = sub(%3,%4) i32[192,70]; ";
      // Nothing to subtract, a number, and a byte that a run tells.
      checkFamily("matmul", operands + "%6 = matmul(%2,%5) i32[d0,70]; out %6", {{1}, {16}, {17}, {32}, {75}, {0}},
                  a == "u8" && zeroB == "0");
      checkFamily("matmul",
                  operands + "%6 = lit i32[] 7; %7 = sub(%2,%6) i32[d0,192]; %8 = matmul(%7,%5) i32[d0,70]; out %8",
                  {{5}, {40}});
      checkFamily("matmul",
                  operands + "%6 = in " + a +
                      "[]; %7 = cast(%6){to=\"i32\"} i32[]; %8 = sub(%2,%7) i32[d0,192]; "
                      "%9 = matmul(%8,%5) i32[d0,70]; %10 = cast(%9){to=\"f32\"} f32[d0,70]; out %10",
                  {{1}, {31}, {33}});
    }
  // Rows that are known: few, and of batches that do not join.
  for (std::string rows : {"3", "20"})
    checkFamily("matmul", "v1 default; %0 = in u8[2," + rows +
                              ",64]; %1 = const i8[2,64,48]; %2 = cast(%0){to=\"i32\"} i32[2," + rows +
                              ",64]; %3 = cast(%1){to=\"i32\"} i32[2,64,48]; %4 = matmul(%2,%3) i32[2," + rows +
                              ",48]; out %4");
}

TEST_CASE("matmul of quantized operands: every candidate, and what meets itself") {
  checkFamily("matmul",
              "v1 default; %0 = in u8[21,14]; %1 = const i8[14,40]; %2 = cast(%0){to=\"i32\"} i32[21,14]; "
              "%3 = cast(%1){to=\"i32\"} i32[14,40]; %4 = matmul(%2,%3) i32[21,40]; out %4",
              {{}}, true);
  CHECK(claimant("v1 default; %0 = in u8[8,8]; %1 = const i8[8,8]; %2 = cast(%0){to=\"i32\"} i32[8,8]; "
                 "%3 = cast(%1){to=\"i32\"} i32[8,8]; %4 = matmul(%2,%3) i32[8,8]; %5 = add(%4,%3) i32[8,8]; out %5") ==
        nullptr);
  CHECK(claimant("v1 default; %0 = in i32[8,8]; %1 = lit i32[] 1; %2 = const i8[8,8]; %3 = sub(%0,%1) i32[8,8]; "
                 "%4 = cast(%2){to=\"i32\"} i32[8,8]; %5 = matmul(%3,%4) i32[8,8]; out %5; inplace %5=%0") == nullptr);
  CHECK(claimant("v1 default; %0 = lit i32[1,1] 3; %1 = in i32[1,8]; %2 = matmul(%0,%1) i32[1,8]; out %2") == nullptr);
  // Bytes go to memory as bytes.
  CHECK(claimant("v1 default; %0 = in i32[8,8]; %1 = const i32[8,8]; %2 = matmul(%0,%1) i32[8,8]; "
                 "%3 = cast(%2){to=\"u8\"} u8[8,8]; %4 = cast(%3){to=\"i32\"} i32[8,8]; out %4") == nullptr);
  CHECK(claimant("v1 default; %0 = in i32[8,8]; %1 = const i32[8,8]; %2 = neg(%0) i32[8,8]; "
                 "%3 = matmul(%2,%1) i32[8,8]; out %3") == nullptr);
}

TEST_CASE("pairs of i16 by one instruction where the target has it") {
  using namespace kiln;
  Problem problem = *Problem::parse("v1 default; %0 = in u8[21,34]; %1 = const u8[34,40]; %2 = cast(%0){to=\"i32\"} "
                                    "i32[21,34]; %3 = cast(%1){to=\"i32\"} i32[34,40]; %4 = lit i32[] 128; "
                                    "%5 = sub(%3,%4) i32[34,40]; %6 = matmul(%2,%5) i32[21,40]; out %6");
  const KernelFamily *family = claimant(problem.print());
  REQUIRE(family);
  TargetInfo target = *TargetInfo::parse("x86-64-v4+vnni");
  auto kernel =
      CompiledProblem::compile(*family, problem, family->defaultConfig(problem, target), {&cpuBackend(), target});
  REQUIRE(kernel.ok());
  if (target.runsHere())
    CHECK(checkAt(*kernel, problem, family->exactness(problem, {}), {}).ok());
}

TEST_CASE("what matmul does not claim") {
  // An operand that is computed, or a result that is reduced.
  CHECK(claimant("v1 default; %0 = in f32[4,4]; %1 = const f32[4,4]; %2 = relu(%0) f32[4,4]; %3 = matmul(%2,%1) "
                 "f32[4,4]; out %3") == nullptr);
  CHECK(claimant("v1 default; %0 = in f32[4,4]; %1 = const f32[4,4]; %2 = matmul(%0,%1) f32[4,4]; "
                 "%3 = reduce(%2){axes=[1],keepdims=1,kind=\"sum\"} f32[4,1]; out %3") == nullptr);
  // In place over an operand of the product.
  CHECK(claimant(
            "v1 default; %0 = in f32[4,4]; %1 = const f32[4,4]; %2 = matmul(%0,%1) f32[4,4]; out %2; inplace %2=%0") ==
        nullptr);
}

TEST_CASE("products refuse to write over what they read") {
  const std::string body = "v1 default; %0 = in f32[8,8]; %1 = in f32[8,8]; %2 = matmul(%0,%1) f32[8,8]; out %2";
  CHECK(claimant(body) != nullptr);
  CHECK(claimant(body + "; inplace %2=%0") == nullptr);
  CHECK(claimant(body + "; inplace %2=%1") == nullptr);
}
