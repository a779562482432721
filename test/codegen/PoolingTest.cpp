#include "FamilyTest.h"

#include <catch2/catch.hpp>

using kiln::test::checkFamily;
using kiln::test::claimant;

static std::string pool(const std::string &op, const std::string &in, const std::string &out,
                        const std::string &attributes, const std::string &type = "f32") {
  return "v1 default; %0 = in " + type + "[" + in + "]; %1 = " + op + "(%0){" + attributes + "} " + type + "[" + out +
         "]; out %1";
}

TEST_CASE("pools over channels-last images") {
  for (const char *op : {"max_pool", "avg_pool"}) {
    checkFamily("pooling",
                pool(op, "d0,112,112,64", "d0,56,56,64",
                     "dilations=[1,1], kernel=[3,3], layout=\"nhwc\", pads=[1,1,1,1], strides=[2,2]"),
                {{1}});
    checkFamily("pooling",
                pool(op, "d0,9,d1,d2", "d0,5,((d1+1) floordiv 2),d2",
                     "dilations=[1,1], kernel=[3,3], layout=\"nhwc\", pads=[1,1,1,1], strides=[2,2]"),
                {{1, 9, 1}, {2, 4, 7}, {1, 13, 100}, {2, 1, 130}}, true);
    checkFamily("pooling", pool(op, "2,10,11,5", "2,3,3,5",
                                "dilations=[2,3], kernel=[3,2], layout=\"nhwc\", pads=[0,0,0,1], strides=[2,4]"));
    checkFamily("pooling",
                pool(op, "2,10,20", "2,5,20", "dilations=[1], kernel=[2], layout=\"nhwc\", pads=[0,0], strides=[2]"));
  }
  checkFamily("pooling", pool("avg_pool", "2,7,7,20", "2,4,4,20",
                              "ceil_mode=1, count_include_pad=1, dilations=[1,1], kernel=[3,3], layout=\"nhwc\", "
                              "pads=[1,1,0,0], strides=[2,2]"));
  checkFamily("pooling",
              pool("max_pool", "2,6,6,20", "2,3,3,20",
                   "ceil_mode=1, dilations=[1,1], kernel=[3,3], layout=\"nhwc\", pads=[0,0,0,0], strides=[2,2]"));
  checkFamily("pooling", pool("max_pool", "2,4,4,20", "2,2,2,20",
                              "dilations=[1,1], kernel=[2,2], layout=\"nhwc\", pads=[0,0,0,0], strides=[2,2]", "i32"));
  for (const char *type : {"u8", "i8"})
    checkFamily("pooling", pool("max_pool", "2,4,4,20", "2,2,2,20",
                                "dilations=[1,1], kernel=[2,2], layout=\"nhwc\", pads=[0,0,0,0], strides=[2,2]", type));
}

TEST_CASE("pools over channels-first images") {
  for (const char *op : {"max_pool", "avg_pool"})
    checkFamily("pooling",
                pool(op, "d0,d1,9,d2", "d0,d1,5,((d2+1) floordiv 2)",
                     "dilations=[1,1], kernel=[3,3], layout=\"nchw\", pads=[1,1,1,1], strides=[2,2]"),
                {{1, 9, 1}, {2, 4, 7}, {1, 3, 100}});
  checkFamily("pooling", pool("max_pool", "1,3,8", "1,3,6", "dilations=[1], kernel=[3], pads=[0,0], strides=[1]"));
}

TEST_CASE("work after a pool") {
  checkFamily("pooling",
              "v1 default; %0 = in f32[2,8,8,40]; %1 = max_pool(%0){dilations=[1,1], kernel=[2,2], layout=\"nhwc\", "
              "pads=[0,0,0,0], strides=[2,2]} f32[2,4,4,40]; %2 = const f32[40]; %3 = add(%1,%2) f32[2,4,4,40]; "
              "%4 = relu(%3) f32[2,4,4,40]; out %4");
}

TEST_CASE("what the pooling family does not claim") {
  CHECK(claimant(pool("max_pool", "1,3,8", "1,3,8", "auto_pad=\"same_upper\", kernel=[3], strides=[1]")) == nullptr);
}

TEST_CASE("pools refuse to write over what they read") {
  const std::string body = pool("max_pool", "1,8,8,16", "1,8,8,16",
                                "dilations=[1,1], kernel=[3,3], layout=\"nhwc\", pads=[1,1,1,1], strides=[1,1]");
  CHECK(claimant(body) != nullptr);
  CHECK(claimant(body + "; inplace %1=%0") == nullptr);
}
