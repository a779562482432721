// Which outputs of a problem may share an input's buffer. A fact of the problem, not a decision: whether the input is
// dead by then is for buffer assignment to see, and a family must emit code that is right either way.
#pragma once

#include "codegen/problem/Problem.h"

namespace kiln {

/// All legal pairs. Output k may overwrite input j of equal type and dims when everything computed from j on the way is
/// computed position by position (elementwise ops without broadcasting), or row by row: one sweep (softmax, norms) in a
/// problem of one output.
std::vector<Problem::InPlace> inferInPlace(const Problem &problem);

} // namespace kiln
