#include "FamilyTest.h"

#include <catch2/catch.hpp>

using kiln::test::checkFamily;
using kiln::test::claimant;

TEST_CASE("softmax over the last axis") {
  for (const char *op : {"softmax", "log_softmax"})
    checkFamily("norm", std::string("v1 default; %0 = in f32[d0,d1]; %1 = ") + op + "(%0){axis=-1} f32[d0,d1]; out %1",
                {{1, 1}, {7, 13}, {3, 128}, {5, 1009}, {2, 16}}, true);
  checkFamily("norm", "v1 default; %0 = in f32[12,128,128]; %1 = softmax(%0){axis=2} f32[12,128,128]; out %1");
  checkFamily("norm", "v1 default; %0 = in f32[3,50]; %1 = softmax(%0){axis=1} f32[3,50]; out %1");
  checkFamily("norm", "v1 default; %0 = in f64[3,d0]; %1 = softmax(%0){axis=1} f64[3,d0]; out %1", {{50}});
  checkFamily("norm", "v1 default; %0 = in f16[3,d0]; %1 = softmax(%0){axis=1} f16[3,d0]; out %1", {{50}});
}

TEST_CASE("softmax over other axes") {
  for (const char *op : {"softmax", "log_softmax"})
    checkFamily("norm",
                std::string("v1 default; %0 = in f32[d0,d1,d2]; %1 = ") + op + "(%0){axis=1} f32[d0,d1,d2]; out %1",
                {{1, 1, 1}, {2, 7, 13}, {3, 16, 300}});
  checkFamily("norm", "v1 default; %0 = in f32[d0,5]; %1 = softmax(%0){axis=0} f32[d0,5]; out %1", {{1}, {9}});
}

TEST_CASE("attention scores: scale and mask before, a second output after") {
  checkFamily(
      "norm",
      "v1 default; %0 = in f32[d0,12,d1,d1]; %1 = lit f32[] 0.125; %2 = mul(%0,%1) f32[d0,12,d1,d1]; "
      "%3 = in f32[d0,1,1,d1]; %4 = add(%2,%3) f32[d0,12,d1,d1]; %5 = softmax(%4){axis=3} f32[d0,12,d1,d1]; out %5",
      {{1, 1}, {2, 17}, {1, 128}});
  checkFamily("norm",
              "v1 default; %0 = in f32[4,d0]; %1 = in bool[d0]; %2 = lit f32[] -1e9; %3 = where(%1,%0,%2) f32[4,d0]; "
              "%4 = softmax(%3){axis=1} f32[4,d0]; %5 = lit f32[] 2.0; %6 = mul(%4,%5) f32[4,d0]; out %6,%3",
              {{1}, {33}});
}

TEST_CASE("layer_norm and rms_norm") {
  checkFamily("norm",
              "v1 default; %0 = in f32[d0,d1]; %1 = const f32[d1]; %2 = const f32[d1]; "
              "%3 = layer_norm(%0,%1,%2){axis=-1, epsilon=1e-05} f32[d0,d1]; out %3",
              {{1, 1}, {7, 13}, {3, 768}, {5, 1009}}, true);
  checkFamily(
      "norm",
      "v1 default; %0 = in f32[d0,d1,768]; %1 = in f32[d0,d1,768]; %2 = add(%0,%1) f32[d0,d1,768]; %3 = const "
      "f32[768]; "
      "%4 = const f32[768]; %5 = layer_norm(%2,%3,%4){axis=2, epsilon=1e-12} f32[d0,d1,768]; out %5; inplace %5=%0",
      {{1, 1}, {2, 11}});
  checkFamily("norm",
              "v1 default; %0 = in f32[d0,96]; %1 = const f32[96]; %2 = layer_norm(%0,%1,_){axis=1, epsilon=1e-05} "
              "f32[d0,96]; %3 = relu(%2) f32[d0,96]; out %3",
              {{1}, {5}});
  checkFamily("norm",
              "v1 default; %0 = in f32[d0,4,24]; %1 = const f32[4,24]; %2 = const f32[4,24]; "
              "%3 = layer_norm(%0,%1,%2){axis=1, epsilon=1e-05} f32[d0,4,24]; out %3",
              {{1}, {5}});
  checkFamily(
      "norm",
      "v1 default; %0 = in f32[d0,d1]; %1 = const f32[d1]; %2 = rms_norm(%0,%1){axis=-1, epsilon=1e-06} f32[d0,d1]; "
      "out %2",
      {{1, 1}, {7, 13}, {3, 768}});
}

TEST_CASE("group_norm and instance norm") {
  checkFamily("norm",
              "v1 default; %0 = in f32[d0,8,d1,d2]; %1 = const f32[8]; %2 = const f32[8]; "
              "%3 = group_norm(%0,%1,%2){epsilon=1e-05, groups=2} f32[d0,8,d1,d2]; out %3",
              {{1, 1, 1}, {2, 7, 9}, {3, 16, 16}});
  checkFamily("norm",
              "v1 default; %0 = in f32[d0,d1,d2]; %1 = in f32[d1]; %2 = in f32[d1]; "
              "%3 = group_norm(%0,%1,%2){epsilon=1e-05, groups=1} f32[d0,d1,d2]; %4 = relu(%3) f32[d0,d1,d2]; out %4",
              {{1, 1, 1}, {2, 7, 9}, {3, 16, 100}});
  checkFamily("norm", "v1 default; %0 = in f32[2,6,5,7]; %1 = const f32[6]; %2 = const f32[6]; "
                      "%3 = group_norm(%0,%1,%2){epsilon=1e-05, groups=6} f32[2,6,5,7]; out %3");
}

TEST_CASE("batch_norm is elementwise") {
  for (const char *axis : {"1", "3"})
    checkFamily(
        "elementwise",
        std::string("v1 default; %0 = in f32[d0,6,5,6]; %1 = const f32[6]; %2 = const f32[6]; %3 = const f32[6]; "
                    "%4 = const f32[6]; %5 = batch_norm(%0,%1,%2,%3,%4){channel_axis=") +
            axis + ", epsilon=10.0} f32[d0,6,5,6]; %6 = relu(%5) f32[d0,6,5,6]; out %6",
        {{1}, {3}});
}

TEST_CASE("what the norm family does not claim") {
  // Scale that varies over one of two normalised axes; an output of other dims; two norms.
  CHECK(
      claimant(
          "v1 default; %0 = in f32[2,4,24]; %1 = const f32[24]; %2 = layer_norm(%0,%1){axis=1} f32[2,4,24]; out %2") ==
      nullptr);
  CHECK(claimant("v1 default; %0 = in f32[2,4]; %1 = softmax(%0){axis=1} f32[2,4]; %2 = softmax(%1){axis=1} f32[2,4]; "
                 "out %2") == nullptr);
}
