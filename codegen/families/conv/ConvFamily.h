// Convolutions in channels-last layout as implicit matrix products: a row of the product is an output pixel, whose
// operands are read in place through one pointer per kernel tap (or from a row of zeros where the tap lies in the
// padding). No unfolded copy of the input is made. Any spatial rank from 1 to 3, strides, dilations, pads and groups.
#pragma once

#include "codegen/KernelFamily.h"

namespace kiln {

const KernelFamily &convFamily();

} // namespace kiln
