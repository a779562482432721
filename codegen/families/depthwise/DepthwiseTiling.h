// How a depthwise convolution is cut, and how a row of output pixels falls into blocks.
#pragma once

#include "codegen/families/common/ConfigFields.h"
#include "codegen/families/conv/Convolution.h"

#include <optional>
#include <vector>

namespace kiln {

struct DepthwiseTiling {
  int pixels = 4;  ///< output pixels in registers
  int rows = 1;    ///< output rows per workgroup
  int vectors = 0; ///< registers of channels per workgroup; 0: all channels

  void eachField(auto use) {
    use("pixels", pixels);
    use("rows", rows);
    use("vectors", vectors);
  }
};

/// The convolution of a problem as this family's kernels read it: a filter and an input of bytes as they lie in memory
/// (ElementTypes::multipliesQuads), where f32 holds all sums of their products exactly.
std::optional<Convolution> depthwiseConvolution(const Problem &problem);

/// One spatial dim of a depthwise convolution.
struct WindowDim {
  SizeExpr in, out, kernel;
  int64_t stride = 1, dilation = 1, pad = 0;
};
/// Height and width; a height of 1 where there is one spatial dim. Nothing where the problem is no depthwise
/// convolution.
struct DepthwiseShape {
  WindowDim height, width;
};
std::optional<DepthwiseShape> depthwiseShape(const Convolution &conv);

/// `count` blocks of `pixels` output pixels side by side from `first` on, all with the same input columns in the
/// padding.
struct PixelBlocks {
  int64_t first, count, pixels;
  std::vector<bool> inside; ///< per input column of a block
};
/// Input columns that a block of pixels reads (with those between dilated taps).
int64_t columnsOf(const WindowDim &width, int64_t pixels);
/// A row as a short list of blocks whose columns are known to lie inside or outside; nothing where sizes are unknown or
/// the list would be long.
std::optional<std::vector<PixelBlocks>> splitRow(const WindowDim &width, int64_t pixels);

bool isLegalTiling(const DepthwiseTiling &tiling, const DepthwiseShape &shape, const TargetInfo &target);
DepthwiseTiling defaultTiling(const Convolution &conv, const TargetInfo &target);
std::vector<DepthwiseTiling> candidateTilings(const Convolution &conv, const TargetInfo &target);

} // namespace kiln
