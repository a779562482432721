#include "FamilyTest.h"

#include "codegen/Choose.h"
#include "codegen/problem/InPlace.h"

#include <catch2/catch.hpp>

namespace kiln::test {

std::vector<TargetInfo> allTargets() { return {*TargetInfo::parse("x86-64-v3"), *TargetInfo::parse("x86-64-v4")}; }

static Problem parseProblem(const std::string &text) {
  Result<Problem> problem = Problem::parse(text);
  INFO(text);
  if (!problem.ok())
    FAIL(formatError(problem.status()));
  return *problem;
}

const KernelFamily *claimant(const std::string &text) {
  std::vector<const KernelFamily *> claiming = claimingFamilies(parseProblem(text), cpuBackend().families());
  return claiming.empty() ? nullptr : claiming[0];
}

void checkFamily(const std::string &name, const std::string &text, const std::vector<std::vector<int64_t>> &sizes,
                 bool allCandidates) {
  INFO(text);
  Problem problem = parseProblem(text);
  const KernelFamily *family = claimant(text);
  REQUIRE(family != nullptr);
  REQUIRE(std::string(family->name()) == name);
  // Compiled models state every in-place fact: kernels must keep to them.
  if (problem.inPlace.empty()) {
    problem.inPlace = inferInPlace(problem);
    REQUIRE(family->claims(problem));
  }
  std::vector<std::string> symbols = problem.symbols();
  std::vector<TargetInfo> targets = allTargets();
  if (text.find("i8[") != std::string::npos) // products of bytes differ there
    targets.push_back(*TargetInfo::parse("x86-64-v4+vnni"));
  if (text.find("i8[") != std::string::npos && text.find("64") != std::string::npos) // so do those of such depths
    targets.push_back(*TargetInfo::parse("x86-64-v4+amx+vnni"));
  for (const TargetInfo &target : targets) {
    std::vector<Config> configs = {family->defaultConfig(problem, target)};
    if (allCandidates)
      configs = family->candidates(problem, target);
    for (const Config &config : configs) {
      INFO(target.print() << " " << config.print());
      Result<CompiledProblem> kernel = CompiledProblem::compile(*family, problem, config, {&cpuBackend(), target});
      if (!kernel.ok())
        FAIL(formatError(kernel.status()));
      if (!target.runsHere())
        continue;
      for (const std::vector<int64_t> &values : sizes) {
        SymbolValues bound;
        std::string where;
        for (size_t i = 0; i < symbols.size(); ++i) {
          bound[symbols[i]] = values.at(i);
          where += symbols[i] + "=" + std::to_string(values[i]) + " ";
        }
        INFO(where);
        Status status = checkAt(*kernel, problem, family->exactness(problem, config), bound);
        if (!status.ok())
          FAIL_CHECK(formatError(status));
        else
          SUCCEED();
      }
    }
  }
}

} // namespace kiln::test
