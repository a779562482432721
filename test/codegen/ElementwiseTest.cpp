#include "FamilyTest.h"

#include <catch2/catch.hpp>

using kiln::test::checkFamily;
using kiln::test::claimant;

static std::string unary(const std::string &op, const std::string &attributes = "", const std::string &type = "f32",
                         const std::string &result = "") {
  return "v1 default; %0 = in " + type + "[d0,d1]; %1 = " + op + "(%0)" + attributes + " " +
         (result.empty() ? type : result) + "[d0,d1]; out %1";
}

TEST_CASE("relu at unknown sizes, every candidate") {
  checkFamily("elementwise", unary("relu"), {{1, 1}, {3, 7}, {1, 16}, {17, 129}, {2, 1024}, {311, 1009}, {0, 4}}, true);
}

TEST_CASE("every unary op on f32") {
  for (const char *op : {"abs",      "neg",      "sign", "ceil",         "floor",      "round",
                         "exp",      "log",      "sqrt", "rsqrt",        "reciprocal", "sin",
                         "cos",      "tan",      "tanh", "atan",         "erf",        "sigmoid",
                         "softplus", "softsign", "relu", "hard_swish",   "silu",       "leaky_relu",
                         "elu",      "selu",     "celu", "hard_sigmoid", "gelu",       "thresholded_relu"})
    checkFamily("elementwise", unary(op), {{7, 13}});
  checkFamily("elementwise", unary("gelu", "{tanh=1}"), {{7, 13}});
  checkFamily("elementwise", unary("isnan", "", "f32", "bool"), {{7, 13}});
  checkFamily("elementwise", unary("not", "", "bool"), {{7, 13}});
}

TEST_CASE("unary ops on other element types") {
  for (const char *op : {"abs", "neg", "sign", "relu"})
    for (const char *type : {"f64", "f16", "bf16", "i64", "i32", "i8"})
      checkFamily("elementwise", unary(op, "", type), {{7, 13}});
  for (const char *op : {"exp", "log", "sqrt", "tanh", "sigmoid", "floor", "elu"})
    for (const char *type : {"f64", "f16"})
      checkFamily("elementwise", unary(op, "", type), {{7, 13}});
}

TEST_CASE("binary ops, broadcast in every way") {
  const char *shapes[][3] = {{"d0,d1", "d0,d1", "d0,d1"},
                             {"d0,d1", "d1", "d0,d1"},
                             {"d0,d1", "", "d0,d1"},
                             {"d0,1", "1,d1", "d0,d1"},
                             {"d0,d1", "d0,1", "d0,d1"}};
  for (auto &s : shapes)
    checkFamily("elementwise",
                std::string("v1 default; %0 = in f32[") + s[0] + "]; %1 = in f32[" + s[1] + "]; %2 = sub(%0,%1) f32[" +
                    s[2] + "]; out %2",
                {{1, 1}, {5, 7}, {3, 100}, {129, 1}});
  for (const char *op : {"add", "mul", "div", "max", "min", "pow", "prelu"})
    checkFamily("elementwise",
                std::string("v1 default; %0 = in f32[d0]; %1 = in f32[d0]; %2 = ") + op + "(%0,%1) f32[d0]; out %2",
                {{777}});
  for (const char *type : {"i64", "i32", "f64"})
    for (const char *op : {"add", "sub", "mul", "div", "max", "min"})
      checkFamily("elementwise",
                  std::string("v1 default; %0 = in ") + type + "[d0]; %1 = in " + type + "[d0]; %2 = " + op +
                      "(%0,%1) " + type + "[d0]; out %2",
                  {{777}});
  for (const char *attributes : {"{fmod=0}", "{fmod=1}"})
    checkFamily("elementwise",
                std::string("v1 default; %0 = in i64[d0]; %1 = in i64[d0]; %2 = mod(%0,%1)") + attributes +
                    " i64[d0]; out %2",
                {{777}});
  for (const char *type : {"i64", "f32", "bool"})
    checkFamily("elementwise",
                std::string("v1 default; %0 = in ") + type + "[d0]; %1 = in " + type +
                    "[1]; %2 = equal(%0,%1) bool[d0]; out %2",
                {{1}, {777}});
  for (const char *op : {"less", "less_equal", "greater", "greater_equal"})
    checkFamily("elementwise",
                std::string("v1 default; %0 = in i32[d0]; %1 = in i32[d0]; %2 = ") + op + "(%0,%1) bool[d0]; out %2",
                {{777}});
  for (const char *op : {"and", "or", "xor"})
    checkFamily("elementwise",
                std::string("v1 default; %0 = in bool[d0]; %1 = in bool[d0]; %2 = ") + op + "(%0,%1) bool[d0]; out %2",
                {{77}});
  for (const char *op : {"bitwise_and", "bitwise_or", "bitwise_xor"})
    checkFamily("elementwise",
                std::string("v1 default; %0 = in i32[d0]; %1 = in i32[d0]; %2 = ") + op + "(%0,%1) i32[d0]; out %2",
                {{77}});
}

TEST_CASE("a dim that may be equal or 1") {
  checkFamily("elementwise",
              "v1 default; %0 = in f32[d0,d1]; %1 = in f32[d2,d3]; %2 = add(%0,%1) f32[max(d0,d2),max(d1,d3)]; out %2",
              {{5, 33, 5, 33}, {5, 33, 1, 33}, {5, 33, 5, 1}, {1, 33, 5, 1}, {1, 1, 5, 33}});
}

TEST_CASE("casts among the types") {
  for (const char *from : {"f32", "f64", "i64", "i32", "bool"})
    for (const char *to : {"f32", "f64", "i64", "i32", "bool"})
      if (std::string(from) != to)
        checkFamily("elementwise", unary("cast", std::string("{to=\"") + to + "\"}", from, to), {{7, 13}});
}

TEST_CASE("narrow unsigned integers from and to other types, and chosen") {
  for (std::string narrow : {"u8", "u16"})
    for (std::string wide : {"f32", "f16", "f64", "i64", "i32", "i8", "bool"}) {
      checkFamily("elementwise", unary("cast", "{to=\"" + wide + "\"}", narrow, wide), {{7, 13}});
      checkFamily("elementwise", unary("cast", "{to=\"" + narrow + "\"}", wide, narrow), {{7, 13}});
    }
  checkFamily("elementwise",
              "v1 default; %0 = in u8[d0]; %1 = in u8[d0]; %2 = max(%0,%1) u8[d0]; "
              "%3 = less(%0,%2) bool[d0]; %4 = where(%3,%0,%1) u8[d0]; out %2,%4",
              {{77}});
}

TEST_CASE("a graph with several outputs, literals and where") {
  checkFamily(
      "elementwise",
      "v1 default; %0 = in f32[d0,56,56,64]; %1 = const f32[64]; %2 = const f32[64]; %3 = mul(%0,%1) f32[d0,56,56,64]; "
      "%4 = add(%3,%2) f32[d0,56,56,64]; %5 = lit f32[] 6.0; %6 = relu(%4) f32[d0,56,56,64]; "
      "%7 = min(%6,%5) f32[d0,56,56,64]; out %4,%7",
      {{1}, {3}});
  checkFamily("elementwise",
              "v1 default; %0 = in bool[d0,1,1,d1]; %1 = in f32[d0,12,d1,d1]; %2 = lit f32[] -1e30; "
              "%3 = where(%0,%1,%2) f32[d0,12,d1,d1]; out %3",
              {{1, 1}, {2, 19}, {1, 128}});
}

TEST_CASE("scalars, single elements and nothing at all") {
  checkFamily("elementwise", "v1 default; %0 = in f32[]; %1 = exp(%0) f32[]; out %1");
  checkFamily("elementwise", "v1 default; %0 = in i64[]; %1 = in i64[1]; %2 = add(%0,%1) i64[1]; out %2");
  checkFamily("elementwise", "v1 default; %0 = in f32[1,1,1]; %1 = relu(%0) f32[1,1,1]; out %1");
  checkFamily("elementwise", "v1 default; %0 = in f32[3,0,5]; %1 = relu(%0) f32[3,0,5]; out %1");
  checkFamily("elementwise", unary("relu"), {{0, 0}, {0, 5}, {5, 0}});
  checkFamily("elementwise", "v1 default; %0 = in f32[d0,1]; %1 = in f32[5]; %2 = mul(%0,%1) f32[d0,5]; out %2",
              {{0}, {3}});
}

TEST_CASE("unsigned integers wrap at their own width") {
  for (std::string type : {"u8", "u16", "u32"}) {
    for (std::string op : {"add", "sub", "mul", "div", "mod", "max", "min", "bitwise_xor", "shift_left", "shift_right"})
      checkFamily("elementwise",
                  "v1 default; %0 = in " + type + "[d0,37]; %1 = in " + type + "[37]; %2 = " + op + "(%0,%1) " + type +
                      "[d0,37]; out %2",
                  {{1}, {3}});
    for (std::string op : {"abs", "neg", "sign"})
      checkFamily("elementwise", "v1 default; %0 = in " + type + "[d0]; %1 = " + op + "(%0) " + type + "[d0]; out %1",
                  {{5}, {70}});
    checkFamily("elementwise",
                "v1 default; %0 = in " + type + "[d0]; %1 = in " + type + "[d0]; %2 = less(%0,%1) bool[d0]; out %2",
                {{5}, {70}});
    for (std::string other : {"f32", "f16", "f64", "bool", "i8", "i32", "i64", "u8", "u16", "u32"}) {
      for (auto [from, to] : {std::pair(other, type), std::pair(type, other)})
        checkFamily("elementwise",
                    "v1 default; %0 = in " + from + "[d0]; %1 = cast(%0){to=\"" + to + "\"} " + to + "[d0]; out %1",
                    {{5}, {70}});
    }
  }
}

TEST_CASE("what the elementwise family does not claim") {
  CHECK(claimant("v1 strict; %0 = in f32[4]; %1 = exp(%0) f32[4]; out %1") == nullptr);
  CHECK(claimant("v1 default; %0 = in u64[4]; %1 = in u64[4]; %2 = add(%0,%1) u64[4]; out %2") == nullptr);
  CHECK(claimant("v1 default; %0 = in f32[4]; %1 = in f32[4]; %2 = mod(%0,%1) f32[4]; out %2") == nullptr);
  CHECK(claimant("v1 default; %0 = in f64[4]; %1 = sin(%0) f64[4]; out %1") == nullptr);
}
