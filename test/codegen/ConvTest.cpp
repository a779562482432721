#include "FamilyTest.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <cstdlib>

using kiln::test::checkFamily;
using kiln::test::claimant;

TEST_CASE("convolution: kernels, strides, pads, dilations, groups") {
  checkFamily("conv", "v1 default; %0 = in f32[1,9,11,5]; %1 = const f32[7,5,3,3]; %2 = const f32[7]; "
                      "%3 = conv(%0,%1,%2){layout=\"nhwc\",pads=[1,1,1,1],strides=[2,1]} f32[1,5,11,7]; out %3");
  checkFamily("conv", "v1 default; %0 = in f32[2,9,11,8]; %1 = const f32[40,4,3,3]; "
                      "%2 = conv(%0,%1){dilations=[2,2],groups=2,layout=\"nhwc\",pads=[2,1,0,3]} f32[2,7,11,40]; "
                      "%3 = relu(%2) f32[2,7,11,40]; out %3");
  checkFamily("conv", "v1 default; %0 = in f32[1,8,8,12]; %1 = const f32[32,12,1,1]; "
                      "%2 = conv(%0,%1){layout=\"nhwc\",strides=[2,2]} f32[1,4,4,32]; out %2");
  checkFamily(
      "conv",
      "v1 default; %0 = in f32[1,7,7,32]; %1 = const f32[48,32,1,1]; %2 = in f32[1,7,7,48]; "
      "%3 = conv(%0,%1){layout=\"nhwc\"} f32[1,7,7,48]; %4 = add(%3,%2) f32[1,7,7,48]; %5 = relu(%4) f32[1,7,7,48]; "
      "out %5; inplace %5=%2");
}

TEST_CASE("convolution over one and three spatial dims, filter packed at run time") {
  checkFamily("conv", "v1 default; %0 = in f32[2,15,8]; %1 = in f32[40,8,5]; "
                      "%2 = conv(%0,%1){layout=\"nhwc\",pads=[2,2],strides=[2]} f32[2,8,40]; out %2");
  checkFamily("conv", "v1 default; %0 = in f32[1,5,6,7,3]; %1 = in f32[20,3,2,3,1]; "
                      "%2 = conv(%0,%1){layout=\"nhwc\",pads=[0,1,0,1,1,0],strides=[1,2,1]} f32[1,5,3,7,20]; out %2");
}

TEST_CASE("convolution of unknown sizes") {
  checkFamily("conv",
              "v1 default; %0 = in f32[d0,d1,d2,6]; %1 = const f32[20,6,3,3]; %2 = const f32[20]; "
              "%3 = conv(%0,%1,%2){layout=\"nhwc\",pads=[1,1,1,1],strides=[2,2]} f32[d0,(d1+1) floordiv 2,(d2+1) "
              "floordiv 2,20]; out %3",
              {{1, 1, 1}, {2, 7, 13}, {1, 31, 23}, {0, 4, 4}});
  checkFamily("conv",
              "v1 default; %0 = in f32[d0,d1,d2,d3]; %1 = in f32[d4,d3,3,2]; "
              "%2 = conv(%0,%1){layout=\"nhwc\",pads=[1,0,1,1]} f32[d0,d1,d2,d4]; out %2",
              {{1, 1, 1, 1, 1}, {2, 5, 7, 3, 17}, {1, 13, 11, 19, 37}});
}

TEST_CASE("a convolution whose filter alone says how many channels there are") {
  checkFamily("conv",
              "v1 default; %0 = in f32[1,d0,d1,d2]; %1 = const f32[32,16,3,3]; "
              "%2 = conv(%0,%1){layout=\"nhwc\",pads=[1,1,1,1]} f32[1,d0,d1,32]; out %2",
              {{9, 11, 16}, {28, 28, 16}}, true);
  checkFamily("conv",
              "v1 default; %0 = in f32[1,9,9,d0]; %1 = const f32[32,16,3,3]; "
              "%2 = conv(%0,%1){layout=\"nhwc\",pads=[1,1,1,1]} f32[1,9,9,32]; out %2",
              {{16}}, true);
}

TEST_CASE("every convolution candidate is right") {
  checkFamily("conv",
              "v1 default; %0 = in f32[1,10,9,20]; %1 = const f32[72,20,3,3]; "
              "%2 = conv(%0,%1){layout=\"nhwc\",pads=[1,1,1,1]} f32[1,10,9,72]; %3 = relu(%2) f32[1,10,9,72]; out %3",
              {{}}, true);
}

TEST_CASE("3x3 convolutions by minimal filtering: sizes that tiles do not divide, uneven pads, every candidate") {
  checkFamily("conv",
              "v1 default; %0 = in f32[2,9,11,32]; %1 = const f32[48,32,3,3]; %2 = const f32[48]; "
              "%3 = conv(%0,%1,%2){layout=\"nhwc\",pads=[1,1,1,1]} f32[2,9,11,48]; %4 = in f32[2,9,11,48]; "
              "%5 = add(%3,%4) f32[2,9,11,48]; %6 = relu(%5) f32[2,9,11,48]; out %6; inplace %6=%4",
              {{}}, true);
  checkFamily("conv", "v1 default; %0 = in f32[1,28,28,32]; %1 = const f32[32,32,3,3]; "
                      "%2 = conv(%0,%1){layout=\"nhwc\",pads=[0,2,1,0]} f32[1,27,28,32]; out %2");
}

TEST_CASE("depthwise convolution") {
  const std::string relu6 = "%4 = lit f32[] 0.0; %5 = lit f32[] 6.0; ";
  checkFamily("depthwise",
              "v1 default; %0 = in f32[2,7,7,24]; %1 = const f32[24,1,3,3]; %2 = const f32[24]; "
              "%3 = conv(%0,%1,%2){groups=24,layout=\"nhwc\",pads=[1,1,1,1]} f32[2,7,7,24]; " +
                  relu6 + "%6 = max(%3,%4) f32[2,7,7,24]; %7 = min(%6,%5) f32[2,7,7,24]; out %7",
              {{}}, true);
  checkFamily("depthwise",
              "v1 default; %0 = in f32[1,9,13,37]; %1 = const f32[37,1,5,5]; "
              "%2 = conv(%0,%1){groups=37,layout=\"nhwc\",pads=[2,2,2,2],strides=[2,2]} f32[1,5,7,37]; out %2");
  checkFamily("depthwise", "v1 default; %0 = in f32[1,2,2,16]; %1 = const f32[16,1,5,5]; "
                           "%2 = conv(%0,%1){groups=16,layout=\"nhwc\",pads=[2,2,2,2]} f32[1,2,2,16]; out %2");
  checkFamily("depthwise", "v1 default; %0 = in f32[2,11,20]; %1 = in f32[20,1,3]; "
                           "%2 = conv(%0,%1){dilations=[2],groups=20,layout=\"nhwc\",pads=[1,2]} f32[2,10,20]; out %2");
}

TEST_CASE("depthwise convolution of unknown sizes") {
  checkFamily("depthwise",
              "v1 default; %0 = in f32[d0,d1,d2,40]; %1 = const f32[40,1,3,3]; "
              "%2 = conv(%0,%1){groups=40,layout=\"nhwc\",pads=[1,1,1,1],strides=[2,2]} "
              "f32[d0,(d1+1) floordiv 2,(d2+1) floordiv 2,40]; out %2",
              {{1, 1, 1}, {2, 7, 13}, {1, 31, 23}, {1, 2, 50}, {0, 3, 3}});
}

/// `text` with every f32 replaced by `type`.
static std::string of(const std::string &type, std::string text) {
  for (size_t at = 0; (at = text.find("f32", at)) != std::string::npos; at += type.size())
    text.replace(at, 3, type);
  return text;
}

TEST_CASE("convolutions of other types than f32") {
  for (std::string type : {"f16", "bf16", "f64", "i32"}) {
    checkFamily("conv",
                of(type, "v1 default; %0 = in f32[1,9,11,5]; %1 = const f32[7,5,3,3]; %2 = const f32[7]; "
                         "%3 = conv(%0,%1,%2){layout=\"nhwc\",pads=[1,1,1,1],strides=[2,1]} f32[1,5,11,7]; out %3"));
    checkFamily("conv", of(type, "v1 default; %0 = in f32[2,9,11,12]; %1 = const f32[40,6,3,3]; "
                                 "%2 = conv(%0,%1){dilations=[2,2],groups=2,layout=\"nhwc\",pads=[2,1,0,3]} "
                                 "f32[2,7,11,40]; %3 = relu(%2) f32[2,7,11,40]; out %3"));
    checkFamily("conv", of(type, "v1 default; %0 = in f32[1,7,7,32]; %1 = const f32[48,32,1,1]; %2 = in f32[1,7,7,48]; "
                                 "%3 = conv(%0,%1){layout=\"nhwc\"} f32[1,7,7,48]; %4 = add(%3,%2) f32[1,7,7,48]; "
                                 "%5 = relu(%4) f32[1,7,7,48]; out %5; inplace %5=%2"));
    checkFamily("conv", of(type, "v1 default; %0 = in f32[1,5,6,7,3]; %1 = in f32[20,3,2,3,1]; "
                                 "%2 = conv(%0,%1){layout=\"nhwc\",pads=[0,1,0,1,1,0],strides=[1,2,1]} "
                                 "f32[1,5,3,7,20]; out %2"));
    checkFamily("conv",
                of(type, "v1 default; %0 = in f32[d0,d1,d2,d3]; %1 = in f32[d4,d3,3,2]; "
                         "%2 = conv(%0,%1){layout=\"nhwc\",pads=[1,0,1,1]} f32[d0,d1,d2,d4]; out %2"),
                {{1, 1, 1, 1, 1}, {2, 5, 7, 3, 17}, {1, 13, 11, 19, 37}});
    checkFamily("depthwise",
                of(type, "v1 default; %0 = in f32[2,7,7,24]; %1 = const f32[24,1,3,3]; %2 = const f32[24]; "
                         "%3 = conv(%0,%1,%2){groups=24,layout=\"nhwc\",pads=[1,1,1,1]} f32[2,7,7,24]; "
                         "%4 = relu(%3) f32[2,7,7,24]; out %4"));
    checkFamily("depthwise", of(type, "v1 default; %0 = in f32[2,11,20]; %1 = in f32[20,1,3]; "
                                      "%2 = conv(%0,%1){dilations=[2],groups=20,layout=\"nhwc\",pads=[1,2]} "
                                      "f32[2,10,20]; out %2"));
    checkFamily("depthwise",
                of(type, "v1 default; %0 = in f32[d0,d1,d2,41]; %1 = const f32[41,1,3,3]; "
                         "%2 = conv(%0,%1){groups=41,layout=\"nhwc\",pads=[1,1,1,1],strides=[2,2]} "
                         "f32[d0,(d1+1) floordiv 2,(d2+1) floordiv 2,41]; out %2"),
                {{1, 1, 1}, {2, 7, 13}, {1, 2, 50}, {0, 3, 3}});
  }
}

TEST_CASE("every candidate of convolutions in bf16 is right") {
  checkFamily("conv",
              "v1 default; %0 = in bf16[1,5,4,6]; %1 = const bf16[40,6,3,3]; "
              "%2 = conv(%0,%1){layout=\"nhwc\",pads=[1,1,1,1]} bf16[1,5,4,40]; out %2",
              {{}}, true);
  checkFamily("depthwise",
              "v1 default; %0 = in bf16[1,7,7,24]; %1 = const bf16[24,1,3,3]; "
              "%2 = conv(%0,%1){groups=24,layout=\"nhwc\",pads=[1,1,1,1]} bf16[1,7,7,24]; out %2",
              {{}}, true);
}

TEST_CASE("convolutions of quantized operands") {
  for (std::string filter : {"u8", "i8"})
    for (std::string channels : {"6", "5"}) // in pairs, and one by one
      for (std::string kind : {"const", "in"})
        checkFamily(
            "conv",
            "v1 default; %0 = in u8[d0,9,11," + channels + "]; %1 = " + kind + " " + filter + "[20," + channels +
                ",3,3]; %2 = in u8[]; %3 = const i32[20]; %4 = cast(%0){to=\"i32\"} i32[d0,9,11," + channels +
                "]; %5 = cast(%2){to=\"i32\"} i32[]; %6 = lit i32[] 3; %7 = cast(%1){to=\"i32\"} i32[20," + channels +
                ",3,3]; %8 = sub(%4,%5) i32[d0,9,11," + channels + "]; %9 = sub(%7,%6) i32[20," + channels +
                ",3,3]; %10 = conv(%8,%9,%3){layout=\"nhwc\",pads=[1,1,1,1],strides=[2,1]} "
                "i32[d0,5,11,20]; %11 = cast(%10){to=\"f32\"} f32[d0,5,11,20]; %12 = lit f32[] 0.125; "
                "%13 = mul(%11,%12) f32[d0,5,11,20]; %14 = round(%13) f32[d0,5,11,20]; "
                "%15 = cast(%14){to=\"u8\"} u8[d0,5,11,20]; out %15",
            {{1}, {2}, {0}});
  // In groups; a pointwise one.
  checkFamily("conv",
              "v1 default; %0 = in i8[1,7,7,8]; %1 = const i8[12,4,3,3]; %2 = cast(%0){to=\"i32\"} i32[1,7,7,8]; "
              "%3 = cast(%1){to=\"i32\"} i32[12,4,3,3]; %4 = conv(%2,%3){groups=2,layout=\"nhwc\"} "
              "i32[1,5,5,12]; out %4");
  checkFamily("conv", "v1 default; %0 = in i8[2,7,7,16]; %1 = const i8[40,16,1,1]; %2 = cast(%0){to=\"i32\"} "
                      "i32[2,7,7,16]; %3 = cast(%1){to=\"i32\"} i32[40,16,1,1]; %4 = conv(%2,%3){layout=\"nhwc\"} "
                      "i32[2,7,7,40]; out %4");
}

TEST_CASE("convolutions of bytes as they lie in memory, four channels at once where the target can") {
  for (std::string input : {"u8", "i8"})
    for (std::string zero : {"0", "5"})
      for (auto [filter, zeroW] : {std::pair("i8", "0"), {"u8", "128"}, {"u8", "3"}})
        for (auto [groups, channels] : {std::pair("1", "8"), {"2", "4"}})
          checkFamily("conv",
                      "v1 default; %0 = in " + input + "[d0,9,11,8]; %1 = const " + filter + "[20," + channels +
                          ",3,3]; %2 = lit i32[] " + zero + "; %3 = lit i32[] " + zeroW +
                          "; %4 = cast(%0){to=\"i32\"} i32[d0,9,11,8]; %5 = sub(%4,%2) i32[d0,9,11,8]; "
                          "%6 = cast(%1){to=\"i32\"} i32[20," +
                          channels + ",3,3]; %7 = sub(%6,%3) i32[20," + channels + ",3,3]; %8 = conv(%5,%7){groups=" +
                          groups + ",layout=\"nhwc\",pads=[1,1,1,1],strides=[2,1]} i32[d0,5,11,20]; out %8",
                      {{1}, {2}, {0}});
}

TEST_CASE("depthwise convolutions of bytes") {
  for (std::string input : {"u8", "i8"})
    for (std::string zero : {"0", "5"})
      for (auto [filter, zeroW] : {std::pair("i8", "0"), {"u8", "128"}, {"u8", "3"}})
        for (std::string width : {"9", "d0"})
          checkFamily("depthwise",
                      "v1 default; %0 = in " + input + "[2,7," + width + ",24]; %1 = const " + filter +
                          "[24,1,3,3]; %2 = lit i32[] " + zero + "; %3 = lit i32[] " + zeroW +
                          "; %4 = cast(%0){to=\"i32\"} i32[2,7," + width + ",24]; %5 = sub(%4,%2) i32[2,7," + width +
                          ",24]; %6 = cast(%1){to=\"i32\"} i32[24,1,3,3]; %7 = sub(%6,%3) i32[24,1,3,3]; "
                          "%8 = conv(%5,%7){groups=24,layout=\"nhwc\",pads=[1,1,1,1]} i32[2,7," +
                          width + ",24]; %9 = cast(%8){to=\"f32\"} f32[2,7," + width +
                          ",24]; %10 = lit f32[] 0.0625; "
                          "%11 = mul(%9,%10) f32[2,7," +
                          width + ",24]; %12 = round(%11) f32[2,7," + width + ",24]; %13 = cast(%12){to=\"" + input +
                          "\"} " + input + "[2,7," + width + ",24]; out %13",
                      width == "9" ? std::vector<std::vector<int64_t>>{{}}
                                   : std::vector<std::vector<int64_t>>{{9}, {1}},
                      width == "9" && zero == "5" && input == "i8");
  // A filter of bytes and an input of i32; sums that f32 does not hold are another family's.
  checkFamily("depthwise", "v1 default; %0 = in i32[1,7,7,8]; %1 = const i8[8,1,3,3]; %2 = cast(%1){to=\"i32\"} "
                           "i32[8,1,3,3]; %3 = conv(%0,%2){groups=8,layout=\"nhwc\"} i32[1,5,5,8]; out %3");
  checkFamily("conv", "v1 default; %0 = in u8[1,9,60,8]; %1 = const u8[8,1,9,40]; %2 = cast(%0){to=\"i32\"} "
                      "i32[1,9,60,8]; %3 = cast(%1){to=\"i32\"} i32[8,1,9,40]; "
                      "%4 = conv(%2,%3){groups=8,layout=\"nhwc\"} i32[1,1,21,8]; out %4");
}

TEST_CASE("minimal filtering is for f32") {
  using namespace kiln;
  for (std::string type : {"f32", "f16", "f64"}) {
    Problem problem =
        *Problem::parse(of(type, "v1 default; %0 = in f32[1,56,56,64]; %1 = const f32[64,64,3,3]; "
                                 "%2 = conv(%0,%1){layout=\"nhwc\",pads=[1,1,1,1]} f32[1,56,56,64]; out %2"));
    const KernelFamily *family = claimant(problem.print());
    REQUIRE(family);
    CHECK(family->defaultConfig(problem, *TargetInfo::parse("x86-64-v3")).contains("winograd") == (type == "f32"));
  }
}

TEST_CASE("what convolution families do not claim") {
  // Channels first.
  CHECK(claimant("v1 default; %0 = in f32[1,8,4,4]; %1 = const f32[8,8,1,1]; %2 = conv(%0,%1){layout=\"nchw\"} "
                 "f32[1,8,4,4]; out %2") == nullptr);
  // A filter that is used twice.
  CHECK(
      claimant(
          "v1 default; %0 = in f32[8,1,1,8]; %1 = const f32[8,8,1,1]; %2 = conv(%0,%1){layout=\"nhwc\"} f32[8,1,1,8]; "
          "%3 = reduce(%1){axes=[0],keepdims=1,kind=\"sum\"} f32[1,8,1,1]; out %2,%3") == nullptr);
}

TEST_CASE("convolutions refuse to write over what they read") {
  const std::string body = "%1 = const f32[8,8,1,1]; %2 = conv(%0,%1){layout=\"nhwc\"} f32[1,4,4,8]; ";
  CHECK(claimant("v1 default; %0 = in f32[1,4,4,8]; " + body + "out %2; inplace %2=%0") == nullptr);
  CHECK(claimant("v1 default; %0 = in f32[1,4,4,8]; " + body + "out %2") != nullptr);
  CHECK(
      claimant("v1 default; %0 = in f32[1,4,4,8]; %1 = const f32[8,1,1,1]; %2 = conv(%0,%1){groups=8,layout=\"nhwc\"} "
               "f32[1,4,4,8]; out %2; inplace %2=%0") == nullptr);
}

TEST_CASE("minimal filtering spreads an infinity over its tiles and no further") {
  using namespace kiln;
  constexpr int64_t size = 23, channels = 32, y = 9, x = 13, reach = 4; // see docs/semantics.md
  Problem problem =
      *Problem::parse("v1 default; %0 = in f32[1,23,23,32]; %1 = const f32[32,32,3,3]; "
                      "%2 = conv(%0,%1){layout=\"nhwc\",pads=[1,1,1,1],strides=[1,1]} f32[1,23,23,32]; out %2");
  std::vector<Tensor> inputs = *makeInputs(problem, {});
  std::vector<TensorView> views = {inputs[0].view(), inputs[1].view()};
  const float clean = inputs[0].as<float>()[(y * size + x) * channels + 5];
  const KernelFamily *family = claimant(problem.print());
  REQUIRE(family);
  int kernels = 0;
  for (const TargetInfo &target : test::allTargets())
    for (const Config &config : family->candidates(problem, target)) {
      if (!config.contains("winograd") || !target.runsHere())
        continue;
      INFO(target.print() << " " << config.print());
      CHECK(!family->exactness(problem, config).nonFinite);
      auto kernel = CompiledProblem::compile(*family, problem, config, {&cpuBackend(), target});
      REQUIRE(kernel.ok());
      ++kernels;
      inputs[0].as<float>()[(y * size + x) * channels + 5] = clean;
      std::vector<Tensor> without = *kernel->run(views);
      for (float value : {INFINITY, -INFINITY, NAN}) {
        inputs[0].as<float>()[(y * size + x) * channels + 5] = value;
        std::vector<Tensor> with = *kernel->run(views);
        bool hidden = false, spread = false;
        for (int64_t i = 0; i < with[0].size(); ++i) {
          const int64_t away = std::max(std::abs(i / channels / size - y), std::abs(i / channels % size - x));
          const float got = with[0].as<float>()[i];
          hidden |= away <= 1 && std::isfinite(got);
          spread |= away > reach && got != without[0].as<float>()[i];
        }
        CHECK(!hidden);
        CHECK(!spread);
      }
    }
  CHECK((kernels > 0 || !TargetInfo::parse("x86-64-v3")->runsHere()));
}
