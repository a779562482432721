#include "FamilyTest.h"

#include <catch2/catch.hpp>

using kiln::test::checkFamily;
using kiln::test::claimant;

TEST_CASE("attention of unknown sizes, with and without masks") {
  const std::string operands = "v1 default; %0 = in f32[d0,d1,d2]; %1 = in f32[d0,d3,d2]; %2 = in f32[d0,d3,d4]; ";
  checkFamily("attention", operands + "%3 = attention(%0,%1,%2){scale=0.25} f32[d0,d1,d4]; out %3",
              {{1, 1, 1, 1, 1}, {2, 7, 8, 13, 5}, {3, 29, 31, 37, 17}, {1, 0, 4, 3, 2}});
  checkFamily("attention", operands + "%3 = in f32[1,d1,d3]; %4 = attention(%0,%1,%2,%3){scale=0.5} f32[d0,d1,d4]; out %4",
              {{2, 7, 8, 13, 5}, {1, 16, 16, 32, 16}});
  checkFamily("attention", operands + "%3 = in bool[d0,1,d3]; %4 = attention(%0,%1,%2,%3) f32[d0,d1,d4]; out %4", {{2, 7, 8, 13, 5}});
}

TEST_CASE("attention over heads in place, every candidate") {
  checkFamily("attention",
              "v1 default; %0 = in f32[1,26,3,16]; %1 = in f32[1,26,3,16]; %2 = in f32[1,26,3,16]; %3 = in f32[1,1,1,26]; "
              "%4 = transpose(%0){perm=[0,2,1,3]} f32[1,3,26,16]; %5 = transpose(%1){perm=[0,2,1,3]} f32[1,3,26,16]; "
              "%6 = transpose(%2){perm=[0,2,1,3]} f32[1,3,26,16]; %7 = attention(%4,%5,%6,%3){scale=0.25} f32[1,3,26,16]; "
              "%8 = transpose(%7){perm=[0,2,1,3]} f32[1,26,3,16]; out %8", {{}}, true);
}

TEST_CASE("what attention does not claim") {
  CHECK(claimant("v1 default; %0 = in f32[2,4,8]; %1 = relu(%0) f32[2,4,8]; %2 = attention(%1,%0,%0) f32[2,4,8]; out %2") == nullptr);
}
