// A family's version must rise when what it emits changes: tuned caches hold measurements of emitted code. Each file
// frozen/<family>.txt lists problems with the family's version and the hash of the IR it emitted; KILN_BLESS=1 writes
// the present state, unless code has changed under an unchanged version. A new line may leave out version and hash.
#include "FamilyTest.h"

#include "codegen/Backend.h"
#include "runtime/base/Hash.h"

#include <catch2/catch.hpp>

#include "llvm/Support/raw_ostream.h"

#include <cstdlib>
#include <fstream>
#include <sstream>

using namespace kiln;

static std::string emissionText(const KernelFamily &family, const Problem &problem, const TargetInfo &target) {
  std::unique_ptr<mlir::MLIRContext> context = cpuBackend().makeContext();
  Result<Emission> emission =
      cpuBackend().emit(family, problem, family.defaultConfig(problem, target), target, *context);
  if (!emission.ok())
    return formatError(emission.status());
  std::string text;
  llvm::raw_string_ostream stream(text);
  emission->module->print(stream);
  for (const KernelInterface::Launch &launch : emission->interface.launches)
    stream << launch.name << " " << launch.grid.print() << " " << launch.scratchBytes.print() << "\n";
  for (const KernelInterface::Packed &packed : emission->interface.packed)
    stream << packed.input << " " << packed.recipe.print() << "\n";
  emission->module = {};
  return text;
}

/// What a problem's line states: the family's version and the hash of what it emits.
struct Frozen {
  std::string version, hash;
  bool operator==(const Frozen &) const = default;
};

/// Why the line must not stay, or with `bless` not be renewed; empty when all is well.
static std::string objection(const Frozen &line, const Frozen &now, bool bless) {
  if (line.version == now.version && line.hash != now.hash && !line.hash.empty())
    return "other code than before under " + now.version + ": raise the family's version, then run with KILN_BLESS=1";
  if (!bless && line != now)
    return "the line is of " + line.version + ", the family is " + now.version + ": run with KILN_BLESS=1";
  return "";
}

TEST_CASE("other code wants another version, also from those who bless") {
  for (bool bless : {false, true}) {
    CHECK(objection({"v1", "aa"}, {"v1", "aa"}, bless) == "");
    CHECK(objection({"v1", "aa"}, {"v1", "bb"}, bless) != "");
    CHECK((objection({"v1", "aa"}, {"v2", "bb"}, bless) == "") == bless);
    CHECK((objection({"v1", "aa"}, {"v2", "aa"}, bless) == "") == bless);
  }
}

static void checkFrozen(const KernelFamily &family) {
  std::string path = std::string(KILN_TEST_DATA) + "/codegen/frozen/" + std::string(family.name()) + ".txt";
  bool bless = std::getenv("KILN_BLESS") != nullptr;
  std::ifstream in(path);
  std::ostringstream out;
  int problems = 0;
  bool refused = false;
  for (std::string line; std::getline(in, line);) {
    size_t bar = line.find(" | ");
    if (line.empty() || bar == std::string::npos) {
      out << line << "\n";
      continue;
    }
    std::istringstream head(line.substr(0, bar));
    std::string target;
    Frozen frozen;
    head >> target >> frozen.version >> frozen.hash;
    std::string text = line.substr(bar + 3);
    INFO(text << " for " << target);
    Result<Problem> problem = Problem::parse(text);
    REQUIRE(problem.ok());
    REQUIRE(family.claims(*problem));
    std::string emitted = emissionText(family, *problem, *TargetInfo::parse(target));
    char hash[32];
    std::snprintf(hash, sizeof hash, "%016llx",
                  static_cast<unsigned long long>(hash64(emitted.data(), emitted.size())));
    Frozen now{"v" + std::to_string(family.version()), hash};
    out << target << " " << now.version << " " << now.hash << " | " << text << "\n";
    ++problems;
    if (std::string why = objection(frozen, now, bless); !why.empty()) {
      FAIL_CHECK(why);
      refused = true;
    }
  }
  if (bless && problems > 0 && !refused)
    std::ofstream(path) << out.str();
  CHECK(problems > 0);
}

TEST_CASE("emissions are those of the families' versions") {
  for (const KernelFamily *family : cpuBackend().families()) {
    INFO(family->name());
    checkFrozen(*family);
  }
}

TEST_CASE("emission is deterministic") {
  Problem problem = *Problem::parse("v1 default; %0 = in f32[d0,d1]; %1 = softmax(%0){axis=1} f32[d0,d1]; out %1");
  const KernelFamily *family = test::claimant(problem.print());
  REQUIRE(family);
  TargetInfo target = *TargetInfo::parse("x86-64-v4");
  CHECK(emissionText(*family, problem, target) == emissionText(*family, problem, target));
  auto image = [&] {
    std::unique_ptr<mlir::MLIRContext> context = cpuBackend().makeContext();
    Result<Emission> emission =
        cpuBackend().emit(*family, problem, family->defaultConfig(problem, target), target, *context);
    Result<KernelImage> image = cpuBackend().compile(*emission, target);
    emission->module = {};
    return image->bytes;
  };
  CHECK(image() == image());
}
