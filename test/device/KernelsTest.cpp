// The kernels of every family on a device with memory of its own: the harness runs them as programs, so that it needs
// to know nothing of devices.
#include "codegen/harness/KernelHarness.h"
#include "test/device/TestDevice.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <optional>

using namespace kiln;

/// The smallest problem for x86-64-v3 of which the family's emission is frozen.
static Problem problemOf(const KernelFamily &family) {
  std::ifstream file(std::string(KILN_TEST_DATA) + "/codegen/frozen/" + std::string(family.name()) + ".txt");
  std::optional<Problem> smallest;
  int64_t least = INT64_MAX;
  for (std::string line; std::getline(file, line);)
    if (size_t bar = line.find(" | "); bar != std::string::npos && line.starts_with("x86-64-v3 ")) {
      Problem problem = Problem::parse(line.substr(bar + 3)).value();
      if (int64_t work = flops(problem).evaluate(nominalSizes(problem)).value(); work < least) {
        smallest = std::move(problem);
        least = work;
      }
    }
  return smallest.value();
}

TEST_CASE("the kernels of every family run on a device with memory of its own") {
  TargetInfo target = *TargetInfo::parse("x86-64-v3");
  if (!target.runsHere()) {
    WARN("kernels for " << target.print() << " do not run on this machine: nothing was checked");
    return;
  }
  for (const KernelFamily *family : cpuBackend().families()) {
    Problem problem = problemOf(*family);
    INFO(problem.print());
    Config config = family->defaultConfig(problem, target);
    Result<CompiledProblem> kernel = CompiledProblem::compile(*family, problem, config, {&cpuBackend(), target});
    REQUIRE(kernel.ok());
    CheckCase sample = std::move(makeCases(problem, nominalSizes(problem)).value()[0]);
    test::TestDevice device;
    Result<std::vector<Tensor>> results = kernel->runOn(device, sample.views());
    INFO(formatError(results.status()));
    REQUIRE(results.ok());
    Status same = compareOutputs(problem, *results, sample.expected, family->exactness(problem, config));
    INFO(formatError(same));
    CHECK(same.ok());
    CHECK(device.counts.launches > 0);
    int64_t bytes = 0;
    for (const Tensor &result : *results)
      bytes += result.bytes();
    CHECK(device.counts.bytesToHost == bytes);
  }
}
