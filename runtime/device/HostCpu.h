// What the machine this process runs on offers.
#pragma once

#include "runtime/base/Status.h"

#include <string_view>

namespace kiln {

/// Ok when code for `target` ("x86-64-v4+bf16+vnni@profile", or "interpreter") runs here; else
/// E0604 says what is missing.
Status checkHostRuns(std::string_view target);

/// Whether this machine has a part of a target's name: a level ("x86-64-v4") or a feature ("bf16"). Asking for "amx"
/// asks the operating system for the right to use it, which holds for the whole process from then on.
bool hostHas(std::string_view part);

/// CPUs this process may use: its affinity mask, limited by the control group's quota. At least 1.
int availableCpus();

} // namespace kiln
