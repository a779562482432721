// Depthwise convolutions (one filter per channel) in channels-last layout: vectors over channels, a block of
// neighbouring output pixels in registers, so that each input element is loaded once per kernel row. One or two spatial
// dims, any kernel, strides, pads, dilations.
#pragma once

#include "codegen/KernelFamily.h"

namespace kiln {

const KernelFamily &depthwiseFamily();

} // namespace kiln
