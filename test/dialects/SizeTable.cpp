#include "dialects/kiln/SizeTable.h"

#include <catch2/catch.hpp>

using namespace kiln;

TEST_CASE("equal expressions get one symbol") {
  SizeTable sizes;
  SizeExpr h = sizes.declareUser("H");
  SizeExpr half = sizes.intern(SizeExpr::floorDiv(h + 1, 2));
  CHECK(half.asSymbol() == "d$_0");
  CHECK(sizes.intern(SizeExpr::floorDiv(h + 1, 2)) == half);
  CHECK(sizes.intern(half * 2 - half) == half);
  CHECK(sizes.intern(h * 2 - h) == h);
  CHECK(sizes.intern(SizeExpr(3) + 4).isConstant(7));
}

TEST_CASE("definitions are over input-bound symbols") {
  SizeTable sizes;
  SizeExpr n = sizes.declareUser("N"), s = sizes.declareUser("S");
  SizeExpr rows = sizes.intern(n * s);
  SizeExpr flat = sizes.intern(rows * 12);
  CHECK(sizes.expand(flat) == n * s * 12);
  CHECK(sizes.find("d$_1")->definition == n * s * 12);
  // What is divided out again has its name back.
  CHECK(sizes.intern(SizeExpr::floorDiv(sizes.expand(flat), n * 12)) == s);
}

TEST_CASE("broadcasts of unknown sizes") {
  SizeTable sizes;
  SizeExpr n = sizes.declareUser("N"), m = sizes.declareUser("M");
  CHECK(*sizes.broadcast(n, SizeExpr(1)) == n);
  CHECK(*sizes.broadcast(n, n) == n);
  CHECK(sizes.checks().empty());

  SizeExpr both = *sizes.broadcast(n, m);
  REQUIRE(sizes.checks().size() == 1);
  CHECK(sizes.checks()[0].kind == SizeTable::Check::Broadcast);
  auto value = [&](int64_t a, int64_t b) { return *sizes.expand(both).evaluate({{"N", a}, {"M", b}}); };
  CHECK(value(5, 1) == 5);
  CHECK(value(1, 5) == 5);
  CHECK(value(5, 5) == 5);
  CHECK(value(0, 1) == 0);

  CHECK_FALSE(sizes.broadcast(SizeExpr(2), SizeExpr(3)).ok());
  // A constant other than 1 is the result, and the other size is checked.
  CHECK(sizes.broadcast(SizeExpr(4), m)->isConstant(4));
  CHECK(sizes.checks().size() == 2);
}

TEST_CASE("a clipped size that meets the size itself is that size") {
  SizeTable sizes;
  SizeExpr s = sizes.declareUser("S");
  SizeExpr clipped = sizes.intern(SizeExpr::min(s, SizeExpr(512)));
  CHECK(*sizes.broadcast(clipped, s) == s);
  CHECK(sizes.intern(SizeExpr::min(s, SizeExpr(512))) == s);
  REQUIRE(sizes.checks().size() == 1);
  CHECK(sizes.checks()[0].kind == SizeTable::Check::Equal);
}

TEST_CASE("two expressions that equal a third are equal, in whatever order that was found") {
  SizeTable sizes;
  SizeExpr n = sizes.declareUser("N"), h = sizes.declareUser("H"), w = sizes.declareUser("W");
  SizeExpr halves = SizeExpr::floorDiv(h, 2) * 2 * n, all = n * h, larger = SizeExpr::max(h, w) * n;
  for (int round = 0; round < 3; ++round) {
    REQUIRE(sizes.requireEqual(all, halves).ok());
    REQUIRE(sizes.requireEqual(larger, all).ok());
  }
  CHECK(sizes.mergeCount() == 2);
  CHECK(sizes.equal(larger, halves));
  CHECK_FALSE(sizes.equal(larger, n));
}

TEST_CASE("an equality stays known when its symbol comes to stand for a third expression") {
  SizeTable sizes;
  SizeExpr d = sizes.declareUser("D"), s = sizes.declareUser("S"), x = sizes.declareUser("X");
  for (int round = 0; round < 3; ++round) {
    REQUIRE(sizes.requireEqual(d * 96, s * 60).ok());
    REQUIRE(sizes.requireEqual(x * 60, s * 60).ok());
    REQUIRE(sizes.requireEqual(SizeExpr(480), s * 60).ok());
  }
  CHECK(sizes.mergeCount() == 3);
  CHECK(sizes.equal(d * 96, SizeExpr(480)));
  // What is checked when inputs are bound says no less.
  auto holds = [&](int64_t dValue, int64_t sValue, int64_t xValue) {
    std::map<std::string, int64_t> values{{"D", dValue}, {"S", sValue}, {"X", xValue}};
    for (const SizeTable::Check &check : sizes.checks())
      if (*sizes.expand(check.a).evaluate(values) != *sizes.expand(check.b).evaluate(values))
        return false;
    return true;
  };
  CHECK(holds(5, 8, 8));
  CHECK_FALSE(holds(6, 8, 8));
  CHECK_FALSE(holds(5, 8, 9));
  CHECK_FALSE(holds(10, 16, 16));
}

TEST_CASE("equal sizes become one symbol") {
  SizeTable sizes;
  SizeExpr a = sizes.declareUser("A"), b = sizes.declareUser("B"), k = sizes.declareUser("K");
  CHECK(sizes.requireEqual(b, a).ok());
  CHECK(sizes.intern(b) == a);
  CHECK(sizes.requireEqual(k, SizeExpr(768)).ok());
  CHECK(sizes.intern(k).isConstant(768));
  CHECK(sizes.mergeCount() == 2);
  CHECK_FALSE(sizes.requireEqual(k, SizeExpr(7)).ok());
  CHECK_FALSE(sizes.requireEqual(a + 1, a).ok());
}

TEST_CASE("ranges") {
  SizeTable sizes;
  sizes.declareUser("N");
  CHECK(sizes.constrain("N", 2, 64).ok());
  CHECK_FALSE(sizes.constrain("N", 65, 70).ok());
  SizeTable other;
  SizeExpr n = other.declareUser("N"), m = other.declareUser("M");
  CHECK(other.constrain("N", 2, SizeTable::unbounded).ok());
  CHECK(*other.broadcast(n, m) == n); // M is N or 1
  CHECK_FALSE(other.define("N", SizeExpr(1)).ok());
}

TEST_CASE("names that are no identifiers") {
  SizeTable sizes;
  SizeExpr n = sizes.declareUser("0_0"), m = sizes.declareUser("batch size");
  CHECK(n != m);
  CHECK(sizes.declareUser("0_0") == n);
  CHECK(sizes.symbols().size() == 2);
  // By the stored form it is the same symbol: nothing is escaped twice.
  CHECK(sizes.declareStored(*n.asSymbol()) == n);
  CHECK(sizes.constrain(*n.asSymbol(), 2, 8).ok());
  CHECK(sizes.requireEqual(n, SizeExpr(4)).ok());
  CHECK(sizes.expand(n).isConstant(4));
  CHECK(sizes.requireEqual(m, n).ok());
  CHECK(sizes.expand(m).isConstant(4));
  CHECK(sizes.symbols().size() == 2);
}

TEST_CASE("no user's name is one that the compiler makes up, nor another user's") {
  SizeTable sizes;
  SizeExpr h = sizes.declareUser("H");
  SizeExpr half = sizes.intern(SizeExpr::floorDiv(h, 2)), data = sizes.fresh();
  for (const char *name : {"d$_0", "u$_1", "d0", "u0", "d_0", "d$5f0", "$_0", "_", "", "a b", "a$20b"}) {
    INFO(name);
    size_t before = sizes.symbols().size();
    SizeExpr symbol = sizes.declareUser(name);
    CHECK(sizes.symbols().size() == before + 1);
    CHECK(symbol != half);
    CHECK(symbol != data);
    CHECK_THAT(*symbol.asSymbol(), !Catch::Contains("$_"));
  }
  // A table that was read holds names that were made up before.
  SizeTable read;
  read.declareStored("d$_0");
  CHECK(read.intern(SizeExpr::floorDiv(read.declareUser("H"), 2)).asSymbol() == "d$_1");
}

TEST_CASE("a symbol that becomes another one hands it what is known of it") {
  SizeTable sizes;
  SizeExpr a = sizes.declareUser("A"), n = sizes.declareUser("N");
  REQUIRE(sizes.constrain("A", 2, 100, 6).ok());
  REQUIRE(sizes.constrain("N", 1, 8, 4).ok());
  REQUIRE(sizes.requireEqual(a, n).ok());
  CHECK(sizes.expand(n) == a);
  CHECK(sizes.find("A")->low == 2);
  CHECK(sizes.find("A")->high == 8);
  CHECK(sizes.find("A")->divisor == 12);
  CHECK_FALSE(sizes.find("N")->isConstrained());
  // Both ranges count from then on, for constants too.
  CHECK_FALSE(sizes.define("A", SizeExpr(6)).ok());

  SizeTable disjoint;
  a = disjoint.declareUser("A"), n = disjoint.declareUser("N");
  REQUIRE(disjoint.constrain("A", 10, 20).ok());
  REQUIRE(disjoint.constrain("N", 1, 8).ok());
  CHECK_FALSE(disjoint.requireEqual(a, n).ok());
}

TEST_CASE("a symbol that becomes an expression stays in its range") {
  SizeTable sizes;
  SizeExpr a = sizes.declareUser("A"), n = sizes.declareUser("N");
  REQUIRE(sizes.constrain("N", 1, 8, 4).ok());
  REQUIRE(sizes.define("N", a * 2).ok());
  CHECK(sizes.find("N")->high == 8);
  CHECK(sizes.find("N")->divisor == 4);
  CHECK_FALSE(sizes.find("A")->isConstrained());
  CHECK_FALSE(SizeTable(sizes).define("A", SizeExpr(5)).ok());
  CHECK_FALSE(SizeTable(sizes).define("A", SizeExpr(3)).ok());
  CHECK(sizes.define("A", SizeExpr(4)).ok());
  CHECK(sizes.expand(n).isConstant(8));
  // What is a constant needs no check at run time.
  CHECK_FALSE(sizes.find("N")->isConstrained());
}
