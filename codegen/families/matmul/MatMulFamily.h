// Matrix products: batched with broadcast batch dims, either operand transposed, B constant (packed at compile time) or
// not (packed by a launch of its own, or read in place), any elementwise epilogue.
#pragma once

#include "codegen/KernelFamily.h"

namespace kiln {

const KernelFamily &matMulFamily();

} // namespace kiln
