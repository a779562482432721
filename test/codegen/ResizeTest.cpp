#include "FamilyTest.h"

#include <catch2/catch.hpp>

using kiln::test::checkFamily;
using kiln::test::claimant;

static std::string resize(const std::string &in, const std::string &out, const std::string &attributes,
                          const std::string &type = "f32") {
  return "v1 default; %0 = in " + type + "[" + in + "]; %1 = resize(%0){" + attributes + "} " + type + "[" + out +
         "]; out %1";
}

static const char *const modes[] = {"mode=\"nearest\"", "mode=\"linear\"", "cubic_coeff_a=-0.5, mode=\"cubic\""};

TEST_CASE("resize along the last dims") {
  for (std::string mode : modes)
    for (std::string scales : {"1.0,1.0,2.0,2.0", "1.0,1.0,0.5,2.5", "1.0,1.0,1.5,0.75"}) {
      std::string out = scales == "1.0,1.0,2.0,2.0"   ? "d0,3,d1*2,d2*2"
                        : scales == "1.0,1.0,0.5,2.5" ? "d0,3,d1 floordiv 2,(d2*5) floordiv 2"
                                                      : "d0,3,(d1*3) floordiv 2,(d2*3) floordiv 4";
      checkFamily("resize", resize("d0,3,d1,d2", out, mode + ", scales=[" + scales + "]"),
                  {{1, 1, 1}, {2, 5, 7}, {1, 40, 131}}, true);
    }
  checkFamily("resize", resize("1,3,20,30", "1,3,40,60", "mode=\"linear\", scales=[1.0,1.0,2.0,2.0]"));
  checkFamily("resize", resize("d0", "d0*3", "mode=\"linear\", scales=[3.0]"), {{1}, {50}});
}

TEST_CASE("resize with channels last") {
  for (std::string mode : modes)
    for (std::string type : {"f32", "f16", "bf16", "f64"})
      checkFamily(
          "resize",
          resize("d0,d1,d2,20", "d0,d1*2,(d2*3) floordiv 2,20", "axes=[1,2], " + mode + ", scales=[2.0,1.5]", type),
          {{1, 1, 1}, {2, 3, 17}});
  checkFamily("resize", resize("1,9,11,d0", "1,18,22,d0", "axes=[1,2], mode=\"linear\", scales=[2.0,2.0]"),
              {{1}, {3}, {70}});
}

TEST_CASE("resize: every relation of positions") {
  for (std::string coordinates :
       {"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric"})
    for (std::string rest : {"mode=\"linear\"", "exclude_outside=1, mode=\"cubic\""})
      for (std::string scale : {"1.7", "0.3"})
        checkFamily("resize",
                    resize("2,d0",
                           "2,(d0*" + std::string(scale == "1.7" ? "14260634" : "5033165") + ") floordiv " +
                               (scale == "1.7" ? "8388608" : "16777216"),
                           "axes=[1], coordinates=\"" + coordinates + "\", " + rest + ", scales=[" + scale + "]"),
                    {{1}, {4}, {23}});
  for (std::string coordinates : {"half_pixel", "align_corners", "asymmetric", "tf_half_pixel_for_nn"})
    for (std::string nearest : {"floor", "ceil", "round_prefer_floor", "round_prefer_ceil", "by_scale"})
      checkFamily("resize",
                  resize("2,d0", "2,(d0*5) floordiv 4",
                         "axes=[1], coordinates=\"" + coordinates + "\", nearest=\"" + nearest + "\", scales=[1.25]"),
                  {{1}, {4}, {23}});
}

TEST_CASE("resize to sizes") {
  std::string sizes = "%1 = lit i64[4] [1,3,7,9]; ";
  for (std::string mode : modes)
    checkFamily("resize",
                "v1 default; %0 = in f32[1,3,d0,d1]; " + sizes + "%2 = resize(%0,%1){" + mode +
                    "} f32[1,3,7,9]; out %2; range d0 1..; range d1 1..",
                {{1, 1}, {7, 9}, {3, 30}});
}

TEST_CASE("resize of three dims") {
  checkFamily("resize", resize("1,2,d0,5,6", "1,2,d0*2,10,12", "mode=\"linear\", scales=[1.0,1.0,2.0,2.0,2.0]"),
              {{1}, {4}});
  checkFamily("resize", resize("1,d0,5,6,9", "1,d0*2,10,12,9", "axes=[1,2,3], mode=\"linear\", scales=[2.0,2.0,2.0]"),
              {{1}, {4}});
}

TEST_CASE("the nearest element of any type") {
  for (std::string type : {"i64", "i32", "u8", "i8", "bool", "i16", "u64", "f16"}) {
    checkFamily("resize", resize("3,d0,5", "3,d0*2,10", "scales=[1.0,2.0,2.0]", type), {{1}, {20}});
    checkFamily("resize", resize("3,d0,70", "3,d0*2,70", "scales=[1.0,2.0,1.0]", type), {{1}, {20}});
  }
}

TEST_CASE("work after a resize") {
  checkFamily("resize",
              "v1 default; %0 = in f32[d0,3,d1,d2]; %1 = resize(%0){mode=\"linear\", scales=[1.0,1.0,2.0,2.0]} "
              "f32[d0,3,d1*2,d2*2]; %2 = in f32[d0,3,d1*2,d2*2]; %3 = add(%1,%2) f32[d0,3,d1*2,d2*2]; "
              "%4 = sigmoid(%3) f32[d0,3,d1*2,d2*2]; out %4",
              {{1, 1, 1}, {2, 5, 7}, {1, 9, 40}});
  checkFamily("resize",
              "v1 default; %0 = in f32[1,d0,d1,24]; %1 = resize(%0){axes=[1,2], scales=[2.0,2.0]} "
              "f32[1,d0*2,d1*2,24]; %2 = in f32[24]; %3 = add(%1,%2) f32[1,d0*2,d1*2,24]; out %3; out %1",
              {{1, 1}, {5, 7}});
}

TEST_CASE("what the resize family leaves alone") {
  auto unclaimed = [](const std::string &attributes, const std::string &type = "f32") {
    return claimant(resize("4,8", "4,4", attributes, type)) == nullptr;
  };
  CHECK(unclaimed("antialias=1, mode=\"linear\", scales=[1.0,0.5]"));
  CHECK(unclaimed("coordinates=\"tf_crop_and_resize\", mode=\"linear\", roi=[0.0,0.0,1.0,0.5], scales=[1.0,0.5]"));
  CHECK(unclaimed("mode=\"linear\", scales=[1.0,0.5]", "i32")); // computed in f64
  CHECK(unclaimed("coordinates=\"half_pixel_symmetric\", scales=[1.0,0.5]"));
}
