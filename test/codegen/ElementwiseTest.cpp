#include "FamilyTest.h"

#include <catch2/catch.hpp>

using kiln::test::checkFamily;

TEST_CASE("relu at unknown sizes") {
  checkFamily("elementwise", "v1 default; %0 = in f32[d0,d1]; %1 = relu(%0) f32[d0,d1]; out %1",
              {{1, 1}, {3, 7}, {1, 16}, {17, 129}, {2, 1024}, {311, 1009}}, true);
}
