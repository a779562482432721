// Elementwise: any graph of elementwise ops with broadcasting, one sweep over the common space of its outputs.
#pragma once

#include "codegen/KernelFamily.h"

namespace kiln {

const KernelFamily &elementwiseFamily();

} // namespace kiln
