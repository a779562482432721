// Movement: one op that only moves elements (transpose, slice, concat, gather, expand, pad with a constant, tile), any
// element type.
#pragma once

#include "codegen/KernelFamily.h"

namespace kiln {

const KernelFamily &movementFamily();

} // namespace kiln
