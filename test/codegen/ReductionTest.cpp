#include "FamilyTest.h"

#include <catch2/catch.hpp>

using kiln::test::checkFamily;
using kiln::test::claimant;

static std::string reduce(const std::string &kind, const std::string &dims, const std::string &axes,
                          const std::string &result, const std::string &type = "f32", bool keepdims = true) {
  return "v1 default; %0 = in " + type + "[" + dims + "]; %1 = reduce(%0){axes=[" + axes +
         "], keepdims=" + (keepdims ? "1" : "0") + ", kind=\"" + kind + "\"} " + type + "[" + result + "]; out %1";
}

TEST_CASE("every kind, over inner, outer and middle axes") {
  for (const char *kind : {"sum", "mean", "max", "min", "prod", "l1", "l2", "sum_square", "log_sum_exp"}) {
    checkFamily("reduction", reduce(kind, "d0,d1", "1", "d0,1"), {{1, 1}, {5, 7}, {3, 130}, {2, 1009}});
    checkFamily("reduction", reduce(kind, "d0,d1", "0", "d1", "f32", false), {{1, 1}, {5, 7}, {3, 130}, {17, 1009}});
    checkFamily("reduction", reduce(kind, "d0,d1,d2", "1", "d0,1,d2"), {{1, 1, 1}, {2, 5, 7}, {3, 4, 130}});
    checkFamily("reduction", reduce(kind, "d0,d1,d2", "0,2", "1,d1,1"), {{1, 1, 1}, {2, 5, 7}, {3, 4, 130}});
  }
  checkFamily("reduction", reduce("sum", "d0,d1", "0,1", "", "f32", false), {{1, 1}, {50, 70}}, true);
}

TEST_CASE("log_sum of positive numbers") {
  checkFamily("reduction",
              "v1 default; %0 = in f32[d0,d1]; %1 = abs(%0) f32[d0,d1]; "
              "%2 = reduce(%1){axes=[1], keepdims=1, kind=\"log_sum\"} f32[d0,1]; out %2",
              {{3, 50}});
}

TEST_CASE("reductions of other element types") {
  for (const char *type : {"f64", "i64", "i32"})
    for (const char *kind : {"sum", "max", "min", "prod"}) {
      checkFamily("reduction", reduce(kind, "d0,d1", "1", "d0,1", type), {{5, 7}, {3, 130}});
      checkFamily("reduction", reduce(kind, "d0,d1", "0", "1,d1", type), {{5, 7}, {3, 130}});
    }
  checkFamily("reduction", reduce("mean", "d0,d1", "1", "d0,1", "f16"), {{5, 7}});
}

TEST_CASE("global average pool") {
  checkFamily("reduction", reduce("mean", "d0,7,7,d1", "1,2", "d0,1,1,d1"), {{1, 2048}, {3, 17}});
  checkFamily("reduction", reduce("mean", "d0,d1,7,7", "2,3", "d0,d1,1,1"), {{1, 64}, {3, 17}});
  checkFamily("reduction", reduce("mean", "1,7,7,1280", "1,2", "1,1,1,1280"));
}

TEST_CASE("work before and after a reduction") {
  checkFamily("reduction",
              "v1 default; %0 = in f32[d0,d1]; %1 = in f32[d0,1]; %2 = sub(%0,%1) f32[d0,d1]; "
              "%3 = reduce(%2){axes=[1], keepdims=1, kind=\"sum_square\"} f32[d0,1]; %4 = lit f32[] 1e-05; "
              "%5 = add(%3,%4) f32[d0,1]; %6 = rsqrt(%5) f32[d0,1]; out %6",
              {{1, 1}, {5, 100}});
  checkFamily("reduction",
              "v1 default; %0 = in f32[d0,7,7,64]; %1 = relu(%0) f32[d0,7,7,64]; "
              "%2 = reduce(%1){axes=[1,2], keepdims=0, kind=\"mean\"} f32[d0,64]; %3 = const f32[64]; "
              "%4 = add(%2,%3) f32[d0,64]; out %4",
              {{1}, {3}});
}

TEST_CASE("what the reduction family does not claim") {
  CHECK(claimant(reduce("mean", "4,4", "1", "4,1", "i64")) == nullptr);
  CHECK(claimant(reduce("sum", "4,4", "1", "4,1", "bool")) == nullptr);
}
