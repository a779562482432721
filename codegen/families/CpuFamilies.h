// The CPU families, one folder each. What a family is for stands at the top of its file.
#pragma once

#include "codegen/KernelFamily.h"

namespace kiln {

/// All of them in order of preference: of several that claim a problem the first one gets it.
std::span<const KernelFamily *const> cpuFamilies();

const KernelFamily &attentionFamily();
const KernelFamily &convFamily();
const KernelFamily &depthwiseFamily();
const KernelFamily &elementwiseFamily();
const KernelFamily &matMulFamily();
const KernelFamily &movementFamily();
const KernelFamily &normFamily();
const KernelFamily &poolingFamily();
const KernelFamily &recurrentFamily();
const KernelFamily &reductionFamily();
const KernelFamily &resizeFamily();

} // namespace kiln
