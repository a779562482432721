#include "FamilyTest.h"

#include <catch2/catch.hpp>

#include "codegen/problem/ProblemReference.h"

using kiln::test::checkFamily;
using kiln::test::claimant;

static std::string move(const std::string &op, const std::string &in, const std::string &out,
                        const std::string &attributes, const std::string &type = "f32") {
  return "v1 default; %0 = in " + type + "[" + in + "]; %1 = " + op + "(%0)" + attributes + " " + type + "[" + out +
         "]; out %1";
}

TEST_CASE("transpose") {
  for (const char *type : {"f32", "i64", "bool", "f16"}) {
    checkFamily("movement", move("transpose", "d0,d1", "d1,d0", "{perm=[1,0]}", type),
                {{1, 1}, {1, 7}, {5, 16}, {16, 16}, {33, 70}, {130, 31}});
    checkFamily("movement", move("transpose", "d0,d1,12,64", "d0,12,d1,64", "{perm=[0,2,1,3]}", type),
                {{1, 1}, {2, 17}});
  }
  checkFamily("movement", move("transpose", "d0,d1,12,64", "d0,12,64,d1", "{perm=[0,2,3,1]}"),
              {{1, 1}, {2, 17}, {1, 128}});
  checkFamily("movement", move("transpose", "d0,3,d1,d2", "d0,d1,d2,3", "{perm=[0,2,3,1]}"),
              {{1, 1, 1}, {2, 7, 9}, {1, 16, 16}, {1, 65, 33}, {1, 300, 300}});
  checkFamily("movement", move("transpose", "d0,2,d1", "d0,d1,2", "{perm=[0,2,1]}"), {{1, 1}, {2, 77}});
  checkFamily("movement", move("transpose", "d0,4,d1", "d0,d1,4", "{perm=[0,2,1]}"), {{1, 1}, {2, 77}});
  checkFamily("movement", move("transpose", "d0,d1,d2,3", "d0,3,d1,d2", "{perm=[0,3,1,2]}"), {{1, 1, 1}, {2, 7, 9}});
  checkFamily("movement", move("transpose", "1,3,224,224", "1,224,224,3", "{perm=[0,2,3,1]}"));
  checkFamily("movement", move("transpose", "3,4,5", "5,4,3", "{perm=[2,1,0]}"));
}

TEST_CASE("slice") {
  checkFamily("movement", move("slice", "d0,d1", "d0,3", "{axes=[1], ends=[5], starts=[2], steps=[1]}"),
              {{1, 5}, {7, 100}});
  checkFamily("movement",
              move("slice", "d0,d1", "1,d1", "{axes=[0], ends=[9223372036854775807], starts=[-1], steps=[1]}"),
              {{1, 5}, {7, 100}});
  checkFamily("movement",
              move("slice", "10,20", "10,10", "{axes=[1], ends=[9223372036854775807], starts=[1], steps=[2]}"));
  checkFamily("movement",
              move("slice", "10,d0", "10,d0", "{axes=[1], ends=[-9223372036854775807], starts=[-1], steps=[-1]}"),
              {{1}, {20}});
  checkFamily("movement",
              move("slice", "4,6,8", "2,6,3", "{axes=[0,2], ends=[3,7], starts=[1,1], steps=[1,2]}", "i64"));
}

TEST_CASE("expand and tile") {
  checkFamily("movement", move("expand", "d0,1", "4,d0,d0", ""), {{1}, {33}});
  checkFamily("movement", move("expand", "1,d0", "d0,d0", "", "bool"), {{1}, {33}});
  checkFamily("movement", move("tile", "d0,5", "d0*3,10", ""), {{1}, {7}});
  checkFamily("movement", move("tile", "d0,d1", "d0*2,d1", ""), {{1, 1}, {7, 33}});
}

TEST_CASE("concat") {
  checkFamily("movement",
              "v1 default; %0 = in f32[d0,d1,5]; %1 = in f32[d0,d2,5]; %2 = in f32[d0,3,5]; "
              "%3 = concat(%0,%1,%2){axis=1} f32[d0,d1+d2+3,5]; out %3",
              {{1, 1, 1}, {4, 9, 20}});
  checkFamily("movement",
              "v1 default; %0 = in i64[d0]; %1 = const i64[2]; %2 = concat(%1,%0,%1){axis=0} i64[d0+4]; out %2",
              {{1}, {1000}});
}

TEST_CASE("pad with a constant") {
  checkFamily("movement", move("pad", "d0,d1", "d0+3,d1+5", "{mode=\"constant\", pads=[1,2,2,3], value=1.5}"),
              {{1, 1}, {7, 33}});
  checkFamily("movement", move("pad", "2,9,9,3", "2,11,10,3", "{pads=[0,1,1,0,0,1,0,0]}"));
  checkFamily("movement", move("pad", "10,20", "8,21", "{pads=[-1,3,-1,-2], value=2.0}", "i64"));
}

TEST_CASE("gather checks its indices") {
  using namespace kiln;
  for (const char *text :
       {"v1 default; %0 = in f32[d0,d1]; %1 = in i64[d2]; %2 = gather(%0,%1){axis=0} f32[d2,d1]; out %2",
        "v1 default; %0 = in f32[d1,d0]; %1 = in i64[d2]; %2 = gather(%0,%1){axis=1} f32[d1,d2]; out %2"}) {
    Problem problem = *Problem::parse(text);
    const KernelFamily *family = claimant(text);
    REQUIRE(family);
    CHECK(family->name() == "movement");
    bool columns = std::string(text).find("axis=1") != std::string::npos;
    for (const TargetInfo &target : test::allTargets()) {
      auto kernel = CompiledProblem::compile(*family, problem, {}, {&cpuBackend(), target});
      REQUIRE(kernel.ok());
      if (!target.runsHere())
        continue;
      for (int64_t width : {1, 19, 100}) {
        std::vector<float> table(size_t(10 * width));
        for (size_t i = 0; i < table.size(); ++i)
          table[i] = float(i);
        std::vector<int64_t> dims = columns ? std::vector<int64_t>{width, 10} : std::vector<int64_t>{10, width};
        Tensor x = *Tensor::of<float>(DType::F32, dims, std::span<const float>(table));
        std::vector<int64_t> good = {0, 9, -1, -10, 3}, bad = {0, 10};
        Tensor indices = *Tensor::of<int64_t>(DType::I64, {5}, std::span<const int64_t>(good));
        TensorView views[] = {x.view(), indices.view()};
        Status status = checkOn(*kernel, problem, {}, views);
        INFO(formatError(status));
        CHECK(status.ok());
        Tensor outside = *Tensor::of<int64_t>(DType::I64, {2}, std::span<const int64_t>(bad));
        TensorView wrong[] = {x.view(), outside.view()};
        CHECK(!kernel->run(wrong).ok()); // the status word says so, and nothing outside was read
      }
    }
  }
}

TEST_CASE("what the movement family does not claim") {
  CHECK(claimant(move("pad", "4,4", "6,6", "{mode=\"reflect\", pads=[1,1,1,1]}")) == nullptr);
  CHECK(claimant(
            "v1 default; %0 = in f32[4,4]; %1 = transpose(%0){perm=[1,0]} f32[4,4]; %2 = relu(%1) f32[4,4]; out %2") ==
        nullptr);
}

TEST_CASE("movement refuses to write over what it reads") {
  CHECK(claimant(move("transpose", "8,8", "8,8", "{perm=[1,0]}")) != nullptr);
  CHECK(claimant(move("transpose", "8,8", "8,8", "{perm=[1,0]}") + "; inplace %1=%0") == nullptr);
}

TEST_CASE("transpose with a small dense dim outside") { // space to depth
  checkFamily("movement", move("transpose", "d0,3,d1,2,d2,2", "d0,2,2,3,d1,d2", "{perm=[0,3,5,1,2,4]}"),
              {{1, 1, 1}, {2, 5, 9}});
}
