// Norm: one softmax, log_softmax, layer_norm, rms_norm or group_norm with elementwise work before and after it, in one
// visit of each row.
#pragma once

#include "codegen/KernelFamily.h"

namespace kiln {

const KernelFamily &normFamily();

} // namespace kiln
