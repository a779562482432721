// One line per family case: problem text, sizes to run it at.
#pragma once

#include "codegen/harness/KernelHarness.h"

#include <string>
#include <vector>

namespace kiln::test {

/// The targets to compile for; those that this machine cannot run are compiled only.
std::vector<TargetInfo> allTargets();

/// Compiles every candidate (or the default only) of the family that claims `text`, for every target, and checks it at
/// each list of sizes (values of d0, d1, ...). Requires that `family` is the one that claims it.
void checkFamily(const std::string &family, const std::string &text,
                 const std::vector<std::vector<int64_t>> &sizes = {{}}, bool allCandidates = false);

/// The family that claims the problem; null when none does.
const KernelFamily *claimant(const std::string &text);

} // namespace kiln::test
