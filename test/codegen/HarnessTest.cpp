// The harness itself: what it must not let pass.
#include "FamilyTest.h"

#include <catch2/catch.hpp>

#include <cmath>
#include <limits>

using namespace kiln;

namespace {

const float infinity = std::numeric_limits<float>::infinity(), notANumber = std::nanf("");

bool passes(float got, float want, const Exactness &exactness = {1e-3, 1e-3}) {
  Problem problem = *Problem::parse("v1 default; %0 = in f32[2]; %1 = relu(%0) f32[2]; out %1");
  auto pair = [](float second) {
    float values[] = {1000, second};
    return *Tensor::of<float>(DType::F32, {2}, std::span<const float>(values));
  };
  Tensor actual = pair(got), expected = pair(want);
  return compareOutputs(problem, std::span(&actual, 1), std::span(&expected, 1), exactness).ok();
}

} // namespace

TEST_CASE("only an infinity passes for itself, only NaN for NaN") {
  for (const Exactness &exactness : {Exactness{1e-3, 1e-3}, Exactness{}}) {
    CHECK(passes(infinity, infinity, exactness));
    CHECK(passes(notANumber, notANumber, exactness));
    for (float got : {1.0f, std::numeric_limits<float>::max(), -infinity, notANumber})
      CHECK(!passes(got, infinity, exactness));
    for (float got : {1.0f, infinity})
      CHECK(!passes(got, notANumber, exactness));
    for (float got : {infinity, -infinity, notANumber})
      CHECK(!passes(got, 1.0f, exactness));
    CHECK(passes(0.0f, 1e-40f, exactness)); // kernels flush subnormal results
    CHECK(!passes(2.0f, 4.0f, exactness));
  }
  CHECK(passes(1.5f, 1.0f));
  CHECK(!passes(1.5f, 1.0f, {}));
}

TEST_CASE("special inputs hold what their name says, and leave integers and filters alone") {
  Problem problem = *Problem::parse("v1 default; %0 = in f32[d0]; %1 = const f32[d0]; %2 = add(%0,%1) f32[d0]; out %2");
  std::vector<CheckCase> cases = *makeCases(problem, {{"d0", 1000}});
  REQUIRE(cases.size() == 2);
  auto nonFinite = [](const Tensor &tensor) {
    int count = 0;
    for (int64_t i = 0; i < tensor.size(); ++i)
      count += !std::isfinite(tensor.as<float>()[i]);
    return count;
  };
  CHECK(nonFinite(cases[0].inputs[0]) == 0);
  CHECK(nonFinite(cases[1].inputs[0]) > 0);
  CHECK(nonFinite(cases[1].inputs[1]) > 0);
  Problem convolution = *Problem::parse("v1 default; %0 = in f32[1,4,4,8]; %1 = const f32[8,8,3,3]; "
                                        "%2 = conv(%0,%1){layout=\"nhwc\"} f32[1,2,2,8]; out %2");
  std::vector<Tensor> inputs = *makeInputs(convolution, {}, InputValues::Special);
  CHECK(nonFinite(inputs[0]) > 0);
  CHECK(nonFinite(inputs[1]) == 0);
  Problem integers = *Problem::parse("v1 default; %0 = in i64[d0]; %1 = abs(%0) i64[d0]; out %1");
  CHECK(makeCases(integers, {{"d0", 10}})->size() == 1);
}

TEST_CASE("a kernel that is wrong in place, or spreads an infinity, is found") {
  Problem problem =
      *Problem::parse("v1 default; %0 = in f32[40,40]; %1 = transpose(%0){perm=[1,0]} f32[40,40]; out %1");
  TargetInfo target = *TargetInfo::parse("x86-64-v3");
  if (!target.runsHere())
    return;
  const KernelFamily *family = test::claimant(problem.print());
  REQUIRE(family);
  auto kernel =
      CompiledProblem::compile(*family, problem, family->defaultConfig(problem, target), {&cpuBackend(), target});
  REQUIRE(kernel.ok());
  std::vector<CheckCase> cases = *makeCases(problem, {});
  CHECK(checkCase(*kernel, problem, {}, cases[0]).ok());
  CHECK(checkCase(*kernel, problem, {}, cases[1]).ok());
  Problem inPlace = problem;
  inPlace.inPlace = {{0, 0}};
  CHECK(!checkCase(*kernel, inPlace, {}, cases[0]).ok());
  // As if the kernel had been asked for another work.
  cases[1].expected = std::move(cases[0].expected);
  CHECK(!checkCase(*kernel, problem, {1, 1}, cases[1]).ok());
  CHECK(checkCase(*kernel, problem, {1, 1, false}, cases[1]).ok());
}
