#include "runtime/base/SizeExpr.h"

#include <catch2/catch.hpp>
#include <random>

using namespace kiln;

namespace {
SizeExpr sym(const char *name) { return SizeExpr::symbol(name); }
std::string canon(const char *text) {
  auto r = SizeExpr::parse(text);
  return r.ok() ? r->print() : "error: " + formatError(r.status());
}
} // namespace

TEST_CASE("sizes have one canonical form") {
  CHECK(canon("3*N + ((1+H) floordiv 2)") == "((H+1) floordiv 2)+N*3");
  CHECK(canon("N*H - H*N") == "0");
  CHECK(canon("(N+1)*(N-1)") == "N*N-1");
  CHECK(canon("-N") == "N*-1");
  CHECK(canon("H-W*2-3") == "H+W*-2-3");
  CHECK(canon("(4*N+6) floordiv 2") == "N*2+3");
  CHECK(canon("(N+7) floordiv 2") == "((N+1) floordiv 2)+3");
  CHECK(canon("N ceildiv 4") == "((N+3) floordiv 4)");
  CHECK(canon("((H+1) floordiv 2 + 1) floordiv 2") == "((H+3) floordiv 4)");
  CHECK(canon("(N*H*W*64) floordiv (H*W)") == "N*64");
  CHECK(canon("(N*H+N*W) floordiv (H+W)") == "N");
  CHECK(canon("(5*N+9) mod 4") == "((N+1) mod 4)");
  CHECK(canon("N*4 mod 2") == "0");
  CHECK(canon("min(N, max(3, 5), min(4, M))") == "min(M, N, 4)");
  CHECK(canon("max(N, N)") == "N");
  CHECK(canon("min(M,N)*2") == "min(M, N)*2");
  CHECK(canon("N ceildiv M") == "(N ceildiv M)");
  CHECK(canon("-7 floordiv 2") == "-4");
  CHECK(canon("7 floordiv -2") == "-4");
  CHECK(sym("N") + 1 == *SizeExpr::parse("1+N"));
  CHECK(SizeExpr::symbol("seq len").print() == "seq$20len");
  CHECK(SizeExpr::symbol("2x").print() == "_$2x");
  CHECK(SizeExpr::symbol("min").print() == "_$min");
  CHECK(*sym("N").asSymbol() == "N");
  CHECK(!(sym("N") + 1).asSymbol());
  CHECK((sym("N") * 6 + 9).knownDivisor() == 3);
}

TEST_CASE("malformed or overflowing sizes") {
  for (const char *bad :
       {"", "N+", "(N", "N)", "N M", "min N", "min(N", "3N", "mod", "*", "N floordiv", "99999999999999999999"})
    CHECK(canon(bad).substr(0, 6) == "error:");
  CHECK(canon("9223372036854775807 + 1") == "invalid");
  CHECK(canon("N floordiv 0") == "invalid");
  CHECK(!SizeExpr::invalid().evaluate(std::map<std::string, int64_t>{}).ok());
  CHECK((SizeExpr::invalid() + sym("N")).isInvalid());
  std::string deep(100000, '(');
  CHECK(!SizeExpr::parse(deep).ok());
  // Growth is bounded: x := (x floordiv 2 + x)*x doubles the text each time.
  SizeExpr x = sym("N");
  for (int i = 0; i < 60; ++i)
    x = (SizeExpr::floorDiv(x, SizeExpr(2)) + x) * (x + 1);
  CHECK(x.isInvalid());
}

TEST_CASE("evaluation reports what is missing") {
  auto r = (sym("N") + sym("M")).evaluate({{"N", 3}});
  CHECK(r.status().code() == ErrorCode::E0309);
  CHECK(r.status().message().find("'M'") != std::string::npos);
  CHECK((sym("N") * sym("N")).evaluate({{"N", INT64_MAX}}).status().code() == ErrorCode::E0308);
  CHECK(SizeExpr::floorDiv(sym("N"), sym("M")).evaluate({{"N", 1}, {"M", 0}}).status().code() == ErrorCode::E0308);
}

namespace {
// A random expression beside its direct evaluation.
struct Random {
  std::mt19937 rng{1};
  std::map<std::string, int64_t> values;

  std::pair<SizeExpr, std::optional<int64_t>> make(int depth) {
    int pick = int(rng() % 10);
    if (depth == 0 || pick < 2) {
      if (rng() % 2) {
        int64_t c = int64_t(rng() % 13) - 4;
        return {SizeExpr(c), c};
      }
      std::string name(1, char('A' + rng() % 3));
      return {SizeExpr::symbol(name), values[name]};
    }
    auto [a, x] = make(depth - 1);
    auto [b, y] = make(depth - 1);
    bool both = x && y;
    switch (pick) {
    case 2:
    case 3: return {a + b, both ? std::optional(*x + *y) : std::nullopt};
    case 4: return {a - b, both ? std::optional(*x - *y) : std::nullopt};
    case 5: return {a * b, both ? std::optional(*x * *y) : std::nullopt};
    case 6: return {SizeExpr::floorDiv(a, b), both ? floorDivChecked(*x, *y) : std::nullopt};
    case 7: return {SizeExpr::ceilDiv(a, b), both ? ceilDivChecked(*x, *y) : std::nullopt};
    case 8: return {SizeExpr::mod(a, b), both ? modChecked(*x, *y) : std::nullopt};
    default:
      return rng() % 2 ? std::pair{SizeExpr::min(a, b), both ? std::optional(std::min(*x, *y)) : std::nullopt}
                       : std::pair{SizeExpr::max(a, b), both ? std::optional(std::max(*x, *y)) : std::nullopt};
    }
  }
};
} // namespace

TEST_CASE("simplification keeps values, text reads back, compiled code agrees") {
  Random random;
  std::vector<std::string> names{"C", "A", "B"};
  for (int i = 0; i < 20000; ++i) {
    for (const char *n : {"A", "B", "C"})
      random.values[n] = int64_t(random.rng() % 21) - 5;
    auto [expr, want] = random.make(4);
    INFO(expr.print());
    auto again = SizeExpr::parse(expr.print());
    REQUIRE(again.ok());
    REQUIRE(*again == expr);
    if (!want)
      continue; // a zero divisor somewhere: simplification may have removed it
    auto got = expr.evaluate(random.values);
    REQUIRE(got.ok());
    REQUIRE(*got == *want);
    auto compiled = CompiledSize::compile(expr, names);
    REQUIRE(compiled.ok());
    std::vector<int64_t> values{random.values["C"], random.values["A"], random.values["B"]};
    REQUIRE(compiled->evaluate(values) == want);
    std::map<std::string, SizeExpr> constants;
    for (auto &[name, value] : random.values)
      constants[name] = SizeExpr(value);
    REQUIRE(expr.substitute(constants).isConstant(*want));
  }
}
