// Pooling: one max_pool or avg_pool over any number of spatial dims, with elementwise work after it. Channels last is
// the fast layout (vectors of channels); channels first is computed element by element.
#pragma once

#include "codegen/KernelFamily.h"

namespace kiln {

const KernelFamily &poolingFamily();

} // namespace kiln
