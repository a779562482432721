// What a program says of its states besides their fields.
#pragma once

#include "runtime/plan/Program.h"

namespace kiln {

/// How much room a state that grows gets when it is made: the most elements along its growing axis that a state may
/// have before a run, of all entries whose sizes limit it; 0 where none does.
int64_t firstCapacity(const Program &program, uint32_t state);

} // namespace kiln
