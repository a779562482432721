// What is to blame for a failure: the compiler's parts are left out one by one, rewrites are bisected, and suspect
// kernels are checked by themselves.

#pragma once

#include "tools/reduce/Trial.h"

namespace kiln::reduce {

/// Tells on stdout what cures `subject`, which fails as `failure`.
void nameCulprit(Trials &trials, const Request &request, const Subject &subject, const Verdict &failure);

} // namespace kiln::reduce
