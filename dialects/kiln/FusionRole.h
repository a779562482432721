// How an op may take part in a kernel. Needs no MLIR.
#pragma once

namespace kiln {

enum class FusionRole {
  Elementwise, ///< one result element from one element of each operand
  Reduction,   ///< reduces, then possibly maps back (softmax, norms)
  Contraction, ///< matmul, convolution, attention
  Window,      ///< pooling
  Movement,    ///< elements change place
  View,        ///< the same bytes under other dims
  Source,      ///< no tensor data is read: constants, shapes, ranges
  Structure,   ///< kernel regions
};

} // namespace kiln
