#include "runtime/base/Attributes.h"

#include <catch2/catch.hpp>
#include <cmath>

using namespace kiln;

TEST_CASE("attributes print in name order and read back") {
  Attributes a;
  a.set("pads", std::vector<int64_t>{1, 1, -1, 1});
  a.set("axis", 1);
  a.set("epsilon", 1e-5);
  a.set("mode", "sa\"me\n\\");
  a.set("scales", std::vector<double>{1, 2.5, INFINITY});
  a.set("keep", true);
  std::string text = a.print();
  CHECK(text == "{axis=1, epsilon=1e-05, keep=1, mode=\"sa\\\"me\\x0a\\\\\", pads=[1,1,-1,1], "
                "scales=[1.0,2.5,inf]}");
  auto b = Attributes::parse(text);
  REQUIRE(b.ok());
  CHECK(*b == a);
  CHECK(b->print() == text);
  CHECK(b->getFloat("axis") == 1);
  CHECK(b->getInt("epsilon", 7) == 7);
  CHECK(b->getFloats("pads") == std::vector<double>{1, 1, -1, 1});
}

TEST_CASE("doubles differ from integers and round-trip") {
  for (double v :
       std::initializer_list<double>{0.0, -0.0, 1.0, 1e300, 5e-324, 0.1, -INFINITY, double(1LL << 53), NAN, 1e22}) {
    Attributes a;
    a.set("v", v);
    auto b = Attributes::parse(a.print());
    REQUIRE(b.ok());
    CHECK(*b == a);
    CHECK(std::holds_alternative<double>(*b->find("v")));
  }
  CHECK(!(Attributes{{"v", 0.0}} == Attributes{{"v", -0.0}}));
}

TEST_CASE("an empty list has one form") {
  Attributes a{{"v", std::vector<double>()}};
  CHECK(a.print() == "{v=[]}");
  CHECK(*Attributes::parse("{v=[]}") == a);
  CHECK(Attributes().print() == "{}");
  CHECK(Attributes::parse(" { } ").ok());
}

TEST_CASE("malformed attributes are errors") {
  for (const char *text : {"",
                           "{",
                           "{a}",
                           "{a=}",
                           "{a=1",
                           "{a=1,}",
                           "{a=1 b=2}",
                           "{a=1,a=2}",
                           "{1=2}",
                           "{a=[1,2.0]}",
                           "{a=[1}",
                           "{a=\"x}",
                           "{a=\"\\q\"}",
                           "{a=\"\\x0\"}",
                           "{a=1}x",
                           "{a=99999999999999999999}",
                           "{a=1e999}",
                           "{a=--1}",
                           "{a=0x10}",
                           "{a=+}",
                           "{a=.}"}) {
    INFO(text);
    auto r = Attributes::parse(text);
    CHECK(!r.ok());
  }
}

TEST_CASE("parsePrefix leaves the rest") {
  std::string_view text = "{a=1} f32[2]";
  auto r = Attributes::parsePrefix(text);
  REQUIRE(r.ok());
  CHECK(text == " f32[2]");
}
