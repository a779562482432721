// Reduction: one reduce of any kind over any axes, with elementwise work before and after it.
#pragma once

#include "codegen/KernelFamily.h"

namespace kiln {

const KernelFamily &reductionFamily();

} // namespace kiln
