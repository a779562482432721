#include "codegen/Choose.h"
#include "codegen/Emission.h"

#include <catch2/catch.hpp>
#include <set>

using namespace kiln;

namespace {

/// Claims problems whose first op is `op`; tile 1, 2 or 4.
class FakeFamily : public KernelFamily {
public:
  FakeFamily(std::string_view name, std::string_view op, double price = 0) : familyName(name), op(op), price(price) {}
  std::string_view name() const override { return familyName; }
  int version() const override { return 7; }
  bool claims(const Problem &problem) const override { return problem.ops[0].mnemonic == op; }
  std::vector<Config> candidates(const Problem &, const TargetInfo &) const override {
    return {tile(1), tile(2), tile(4)};
  }
  Config defaultConfig(const Problem &, const TargetInfo &) const override { return tile(2); }
  Result<KernelInterface> describeLaunches(const Problem &, const Config &, const TargetInfo &) const override {
    return KernelInterface();
  }
  void emitLaunches(const Problem &, const Config &, const TargetInfo &, const KernelInterface &,
                    emit::Emitter &) const override {}
  Exactness exactness(const Problem &, const Config &) const override { return {}; }
  double cycles(const Problem &, const Config &, const TargetInfo &, const SymbolValues &) const override {
    return price;
  }
  static Config tile(int64_t size) { return {{"tile", size}}; }

private:
  std::string_view familyName, op;
  double price;
};

const FakeFamily first("first", "neg"), second("second", "neg"), other("other", "exp");
const KernelFamily *const fakes[] = {&first, &second, &other};

Problem problem(const char *op = "neg") {
  return *Problem::parse(std::string("v1 default; %0 = in f32[d0]; %1 = ") + op + "(%0) f32[d0]; out %1");
}

ChooseOptions options(int cachedTile = 0, int version = 7) {
  ChooseOptions o;
  o.families = fakes;
  o.target = *TargetInfo::parse("x86-64-v3");
  if (cachedTile)
    o.cache = TuningCache::fromText("kiln-tune v1\n" +
                                    TuningCache::formatEntry({problem().print(), "x86-64-v3", "first", version},
                                                             FakeFamily::tile(cachedTile), 1e-3));
  return o;
}

} // namespace

TEST_CASE("default without a cache, by the first family that claims") {
  auto choice = choose(problem(), options());
  REQUIRE(choice.ok());
  CHECK(choice->family == &first);
  CHECK(choice->config == FakeFamily::tile(2));
  CHECK(choice->source == "default");
  CHECK(choice->missReason == "no cache");
  CHECK(choose(problem("exp"), options())->family == &other);
  CHECK(!choose(problem("sin"), options()).ok());
}

TEST_CASE("the cache decides where its entry is still legal") {
  auto choice = choose(problem(), options(4));
  REQUIRE(choice.ok());
  CHECK(choice->config == FakeFamily::tile(4));
  CHECK(choice->source == "cache");
  CHECK(choice->missReason.empty());

  auto illegal = choose(problem(), options(64));
  CHECK(illegal->source == "default");
  CHECK(illegal->missReason == "cached configuration is not legal any more");
  auto retired = choose(problem(), options(4, /*version=*/6));
  CHECK(retired->source == "default");
  CHECK(retired->missReason == "other family version");
}

TEST_CASE("forced wins over the cache, and must be legal") {
  ChooseOptions o = options(4);
  o.forced["first"] = FakeFamily::tile(1);
  CHECK(choose(problem(), o)->config == FakeFamily::tile(1));
  CHECK(choose(problem(), o)->source == "forced");
  o.forced[problem().print()] = FakeFamily::tile(2);
  CHECK(choose(problem(), o)->config == FakeFamily::tile(2));
  o.forced[problem().print()] = FakeFamily::tile(3);
  CHECK(choose(problem(), o).status().code() == ErrorCode::E0806);
}

TEST_CASE("families race by their prices, and who is preferred wins unless another is clearly cheaper") {
  FakeFamily dear("dear", "neg", 1e6), cheap("cheap", "neg", 1e5), close("close", "neg", 0.95e6);
  ChooseOptions o = options();
  const KernelFamily *const race[] = {&dear, &close, &cheap};
  const KernelFamily *const near[] = {&dear, &close};
  o.families = race;
  auto proposed = propose(problem(), o);
  REQUIRE(proposed.ok());
  REQUIRE(proposed->size() == 3);
  CHECK((*proposed)[0].family == &cheap);
  CHECK((*proposed)[1].family == &dear);
  CHECK((*proposed)[0].seconds > 0);
  CHECK((*proposed)[0].seconds < 0.2 * (*proposed)[1].seconds);
  o.families = near;
  CHECK(choose(problem(), o)->family == &dear);
  // A measurement outweighs estimates.
  o.families = race;
  o.cache =
      TuningCache::fromText("kiln-tune v1\n" + TuningCache::formatEntry({problem().print(), "x86-64-v3", "dear", 7},
                                                                        FakeFamily::tile(4), 1e-3));
  CHECK(choose(problem(), o)->family == &dear);
  CHECK(choose(problem(), o)->seconds == 1e-3);
  // So does what a developer imposes.
  o.forced["close"] = FakeFamily::tile(1);
  CHECK(choose(problem(), o)->family == &close);
}

TEST_CASE("no family, no proposal") {
  auto proposed = propose(problem("sin"), options());
  REQUIRE(proposed.ok());
  CHECK(proposed->empty());
}

TEST_CASE("a seed takes any candidate, by the problem's text alone") {
  ChooseOptions o = options(4);
  std::set<std::string> reached;
  for (uint64_t seed = 0; seed < 64; ++seed) {
    o.seed = seed;
    auto choice = choose(problem(), o);
    REQUIRE(choice.ok());
    CHECK(choice->source == "random");
    CHECK(choice->config == choose(problem(), o)->config);
    reached.insert(choice->config.print());
  }
  CHECK(reached == std::set<std::string>{"{tile=1}", "{tile=2}", "{tile=4}"});
  o.forced["first"] = FakeFamily::tile(1);
  CHECK(choose(problem(), o)->source == "forced");
}

TEST_CASE("different problems get different candidates of one seed") {
  ChooseOptions o = options();
  o.seed = 7;
  std::set<std::string> reached;
  for (int size = 1; size < 40; ++size) {
    std::string type = "f32[" + std::to_string(size) + "]";
    auto p = Problem::parse("v1 default; %0 = in " + type + "; %1 = neg(%0) " + type + "; out %1");
    REQUIRE(p.ok());
    reached.insert(choose(*p, o)->config.print());
  }
  CHECK(reached.size() == 3);
}

TEST_CASE("nominal sizes respect ranges") {
  Problem p = problem();
  CHECK(nominalSizes(p)["d0"] == 128);
  p.ranges["d0"] = {1, 16};
  CHECK(nominalSizes(p)["d0"] == 16);
  p.ranges["d0"] = {500, std::nullopt};
  CHECK(nominalSizes(p)["d0"] == 500);
}
