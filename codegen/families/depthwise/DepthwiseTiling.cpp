#include "codegen/families/depthwise/DepthwiseTiling.h"

#include "codegen/families/gemm/IntegerOperands.h"

#include <algorithm>
#include <cmath>

namespace kiln {

namespace {

int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

int registersOf(const WindowDim &width, int64_t pixels) {
  return static_cast<int>(pixels + columnsOf(width, pixels) + 1);
}

/// As many pixels as registers allow, up to 8, rather a divisor of the row.
int choosePixels(const WindowDim &width, const TargetInfo &target) {
  int most = 1;
  while (most < 8 && registersOf(width, most + 1) <= target.vectorRegisters)
    ++most;
  auto out = width.out.asConstant();
  if (!out)
    return std::min(most, 4);
  for (int pixels = most; pixels * 2 > most; --pixels)
    if (*out % pixels == 0)
      return pixels;
  return static_cast<int>(std::min<int64_t>(most, std::max<int64_t>(*out, 1)));
}

/// Largest magnitude of elements less a number.
double magnitude(DType byte, int zero) {
  double least = byte == DType::I8 ? -128 : 0, most = byte == DType::I8 ? 127 : 255;
  return std::max(std::fabs(least - zero), std::fabs(most - zero));
}

} // namespace

std::optional<Convolution> depthwiseConvolution(const Problem &problem) {
  std::optional<Convolution> c = Convolution::of(problem);
  if (!c || !c->types.exact() || !c->constantFilter || !gemm::isByte(c->types.source))
    return c;
  auto input = gemm::centeredBuffer(problem, c->input);
  if (!input || !gemm::isByte(problem.value(input->buffer).dtype))
    return c;
  DType dtype = problem.value(input->buffer).dtype;
  if (double(c->taps().constant()) * magnitude(dtype, input->zero) * magnitude(c->types.source, c->types.zero) >=
      0x1p24)
    return c;
  c->types.operand = c->types.row = dtype;
  c->types.rowZero = input->zero;
  c->input = input->buffer;
  c->copiesInput = false;
  return c;
}

std::optional<DepthwiseShape> depthwiseShape(const Convolution &conv) {
  const gemm::ElementTypes &types = conv.types;
  // A constant filter of bytes is packed wider.
  bool filterFits = conv.constantFilter && gemm::isByte(types.source);
  bool madeFromBytes =
      types.exact() && (conv.copiesInput || (!filterFits && (types.source != types.operand || types.zero != 0)));
  if (madeFromBytes || conv.groups == 1 || !conv.groupChannels.isConstant(1) || !(conv.outputs == conv.channels) ||
      conv.spatialRank() > 2)
    return std::nullopt;
  auto dim = [&](size_t d) {
    return WindowDim{conv.in[d], conv.out[d], conv.kernel[d], conv.strides[d], conv.dilations[d], conv.padsBegin[d]};
  };
  DepthwiseShape shape;
  shape.width = dim(conv.spatialRank() - 1);
  shape.height = conv.spatialRank() == 2 ? dim(0) : WindowDim{1, 1, 1};
  auto kernel = shape.width.kernel.asConstant();
  if (!kernel || *kernel > 16) // taps of a row stand side by side in the code
    return std::nullopt;
  return shape;
}

int64_t columnsOf(const WindowDim &width, int64_t pixels) {
  return (pixels - 1) * width.stride + (width.kernel.constant() - 1) * width.dilation + 1;
}

std::optional<std::vector<PixelBlocks>> splitRow(const WindowDim &width, int64_t pixels) {
  auto in = width.in.asConstant(), out = width.out.asConstant();
  if (!in || !out)
    return std::nullopt;
  std::vector<PixelBlocks> blocks;
  for (int64_t first = 0; first < *out; first += pixels) {
    PixelBlocks block{first, 1, std::min(pixels, *out - first), {}};
    for (int64_t j = 0; j < columnsOf(width, block.pixels); ++j) {
      int64_t at = first * width.stride - width.pad + j;
      block.inside.push_back(at >= 0 && at < *in);
    }
    if (!blocks.empty() && blocks.back().pixels == block.pixels && blocks.back().inside == block.inside)
      ++blocks.back().count;
    else
      blocks.push_back(block);
  }
  if (blocks.size() > 4)
    return std::nullopt;
  return blocks;
}

bool isLegalTiling(const DepthwiseTiling &tiling, const DepthwiseShape &shape, const TargetInfo &target) {
  return tiling.pixels >= 1 && tiling.pixels <= 16 && tiling.rows >= 1 && tiling.rows <= 1 << 20 &&
         tiling.vectors >= 0 && tiling.vectors <= 1 << 20 &&
         (tiling.pixels == 1 || registersOf(shape.width, tiling.pixels) <= target.vectorRegisters);
}

DepthwiseTiling defaultTiling(const Convolution &conv, const TargetInfo &target) {
  DepthwiseShape shape = *depthwiseShape(conv);
  DepthwiseTiling tiling;
  tiling.pixels = choosePixels(shape.width, target);
  int64_t channels = conv.channels.asConstant().value_or(256), vectors = ceilDiv(channels, conv.types.lanes(target));
  int64_t height = shape.height.out.asConstant().value_or(32), width = shape.width.out.asConstant().value_or(32);
  // The input rows of a block of channels stay in the first-level cache from one output row to the next.
  int64_t rowBytes = (width * shape.width.stride + 8) * conv.types.lanes(target) * conv.types.operandBytes();
  int64_t kernelRows = shape.height.kernel.asConstant().value_or(3) + shape.height.stride;
  // Fewer vectors than this side by side leave the memory system idle.
  int64_t fit = std::max<int64_t>(4, target.l1Bytes * 3 / 4 / (rowBytes * kernelRows));
  tiling.vectors = static_cast<int>(fit >= vectors ? 0 : fit);
  int64_t channelBlocks = tiling.vectors ? ceilDiv(vectors, tiling.vectors) : 1;
  tiling.rows = static_cast<int>(std::max<int64_t>(1, height * channelBlocks / 24));
  tiling.rows = static_cast<int>(std::min<int64_t>(tiling.rows, height));
  return tiling;
}

std::vector<DepthwiseTiling> candidateTilings(const Convolution &conv, const TargetInfo &target) {
  DepthwiseShape shape = *depthwiseShape(conv);
  DepthwiseTiling base = defaultTiling(conv, target);
  std::vector<DepthwiseTiling> tilings{base};
  for (int pixels : {1, 2, 3, 4, 5, 6, 7, 8})
    for (int rows : {1, base.rows, 4 * base.rows})
      for (int vectors : {0, 1, 2, 4, 8}) {
        DepthwiseTiling tiling{pixels, rows, vectors};
        if (isLegalTiling(tiling, shape, target) &&
            (pixels == base.pixels || (rows == base.rows && vectors == base.vectors)))
          if (std::none_of(tilings.begin(), tilings.end(),
                           [&](const DepthwiseTiling &p) { return toConfig(p) == toConfig(tiling); }))
            tilings.push_back(tiling);
      }
  return tilings;
}

} // namespace kiln
