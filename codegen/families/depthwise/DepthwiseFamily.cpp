// Depthwise convolutions (one filter per channel) in channels-last layout: vectors over channels, a block of
// neighbouring output pixels in registers, so that each input element is loaded once per kernel row. One or two spatial
// dims, any kernel, strides, pads, dilations.
#include "codegen/families/CpuFamilies.h"

#include "codegen/families/common/Family.h"
#include "codegen/families/common/Launches.h"
#include "codegen/families/depthwise/DepthwiseTiling.h"
#include "codegen/families/gemm/Epilogue.h"

#include <algorithm>
#include <cmath>

namespace kiln {

using namespace emit;

namespace {

/// What a tiling makes of a problem. The filter is read as [tap][channel].
struct DepthwiseLoops {
  const Problem &problem;
  Convolution c;
  DepthwiseShape shape;
  DepthwiseTiling tiling;
  int64_t lanes;
  bool ofBytes = c.types.multipliesQuads(); ///< which are multiplied, and summed up exactly, in f32
  int64_t bytes = c.types.operandBytes();   ///< of an element of the input
  DType packedFilter = ofBytes ? DType::F32 : c.types.operand;

  DepthwiseLoops(const Problem &problem, const Config &config, const TargetInfo &target)
      : problem(problem), c(*depthwiseConvolution(problem)), shape(*depthwiseShape(c)),
        tiling(fromConfig<DepthwiseTiling>(config)), lanes(c.types.lanes(target)) {}

  int64_t filterBytes() const { return dtypeBytes(packedFilter); }
  SizeExpr channelBlock() const { return tiling.vectors ? SizeExpr(tiling.vectors * lanes) : c.channels; }
  SizeExpr channelBlocks() const {
    return SizeExpr::ceilDiv(c.channels, tiling.vectors ? channelBlock() : SizeExpr::max(c.channels, 1));
  }
  SizeExpr rowBlocks() const { return SizeExpr::ceilDiv(shape.height.out, tiling.rows); }
  KernelInterface describe() const;
  double cycles(const PricedProblem &priced) const;
};

/// A block of pixels loads its columns and a row's taps once for each row of the kernel.
double DepthwiseLoops::cycles(const PricedProblem &priced) const {
  double pixels = double(tiling.pixels), taps = priced.value(shape.width.kernel);
  double loads = double(columnsOf(shape.width, tiling.pixels)) + taps;
  double kernelRow = std::max(pixels * taps, loads) * vectorCycles + 4;
  double blocks = std::ceil(priced.value(shape.width.out) / pixels) * priced.value(shape.height.out) *
                  priced.value(c.batch) * std::ceil(priced.value(c.channels) / double(lanes));
  return blocks * (kernelRow * priced.value(shape.height.kernel) + 10) + priced.elementwiseCycles();
}

KernelInterface DepthwiseLoops::describe() const {
  KernelInterface interface;
  if (c.constantFilter) {
    Recipe recipe;
    recipe.reshape({c.channels.constant(), c.taps().constant()}).permute({1, 0});
    if (packedFilter != c.types.source)
      recipe.cast(packedFilter);
    interface.packed.push_back({uint32_t(problem.inputIndex(c.filter)), recipe});
  } else {
    interface.workspaceBytes = c.taps() * c.channels * bytes;
    interface.launches.push_back(preparingLaunch(problem, "pack", c.filter, c.taps(), interface.workspaceBytes));
  }
  interface.launches.push_back(mainLaunch(problem, "depthwise", c.batch * rowBlocks() * channelBlocks(), 0,
                                          allOperands(problem, c.constantFilter ? c.filter : Problem::absent)));
  return interface;
}

/// Emission of one problem.
class DepthwiseEmission : DepthwiseLoops {
public:
  DepthwiseEmission(const DepthwiseLoops &loops, Emitter &e, const KernelInterface &interface)
      : DepthwiseLoops(loops), interface(interface), e(e) {}

  void run();

private:
  void emitTransposedFilter();
  void emitConvolution();
  void emitRow(Value image, Value y);
  void emitBlock(Value pixel, int64_t pixels, const std::vector<bool> &inside);
  void emitSinglePixels(Value begin, Value end);
  void forChannels(llvm::function_ref<void(Value channel, Value mask)> body);
  Type vector() { return e.vec(ofBytes ? e.f32() : e.registerType(c.types.accumulator), lanes); }
  Value tailMask(Value count) { return e.tailMask(lanes, count, unsigned(dtypeBits(c.types.accumulator))); }
  Value loadInput(Value pointer, Value mask);
  Value loadFilter(Value pointer, Value mask);
  /// A sum as the epilogue takes it.
  Value result(Value sum) { return ofBytes ? e.floatToIntFast(sum, e.vec(e.i32(), lanes)) : sum; }

  const KernelInterface &interface;
  Emitter &e;
  // Of the kernel:
  std::unique_ptr<gemm::Epilogue> epilogue;
  Value input, filter, channels, pixelBytes, channelBegin, channelEnd;
  // Of the row under way: input row of tap 0 (perhaps outside), taps inside, index of its first pixel.
  Value inputRow, inputRowBytes, tapBegin, tapEnd, rowPixels;
};

/// The taps of a window starting at input position `start` that lie in [0, size).
std::pair<Value, Value> tapsInside(Emitter &e, const WindowDim &dim, Value start) {
  Value zero = e.index(0), dilation = e.index(dim.dilation), kernel = e.size(dim.kernel);
  Value begin = e.min(kernel, e.ceilDiv(e.max(zero, e.neg(start)), dilation));
  Value end = e.min(kernel, e.ceilDiv(e.max(zero, e.sub(e.size(dim.in), start)), dilation));
  return {begin, end};
}

/// What numbers are that stand for 0 at `number`.
static Value less(Emitter &e, Value x, int number) { return number == 0 ? x : e.sub(x, e.like(x, number)); }

Value DepthwiseEmission::loadInput(Value pointer, Value mask) {
  Value x = e.loadAs(c.types.operand, lanes, pointer, mask);
  if (!ofBytes)
    return x;
  Value wide = e.resizeInt(x, e.vec(e.i32(), lanes)); // an i8; a u8 is that wide
  return less(e, e.intToFloat(wide, vector()), c.types.rowZero);
}

Value DepthwiseEmission::loadFilter(Value pointer, Value mask) {
  return less(e, e.loadAs(packedFilter, lanes, pointer, mask), c.types.zero);
}

void DepthwiseEmission::run() {
  if (!c.constantFilter)
    emitTransposedFilter();
  emitConvolution();
}

void DepthwiseEmission::emitTransposedFilter() {
  SizeExpr taps = c.taps();
  beginLaunch(e, interface);
  Value from = e.offset(e.buffer(0), e.workgroup(), bytes);
  Value to = e.offset(e.workspace(), e.mul(e.workgroup(), e.size(c.channels)), bytes);
  Value stride = e.size(taps);
  Type element = c.types.widens() ? e.integer(unsigned(8 * bytes)) : e.registerType(c.types.operand);
  e.loop(0, e.size(c.channels), 1, [&](Value channel) {
    e.store(e.load(element, e.offset(from, e.mul(channel, stride), bytes)), e.offset(to, channel, bytes));
  });
  e.endKernel();
}

void DepthwiseEmission::emitConvolution() {
  beginLaunch(e, interface, c.constantFilter ? 0 : 1);
  BasePointers pointers = basePointers(e, problem);
  epilogue = std::make_unique<gemm::Epilogue>(e, problem, c.result, c.types.accumulator, c.bias, pointers.inputs,
                                              pointers.outputs);
  input = pointers.inputs[problem.inputIndex(c.input)];
  filter = c.constantFilter ? pointers.inputs[problem.inputIndex(c.filter)] : e.workspace();
  channels = e.size(c.channels);
  pixelBytes = e.size(c.channels * bytes);

  Value block = e.size(channelBlock());
  channelBegin = e.mul(e.rem(e.workgroup(), e.size(channelBlocks())), block);
  channelEnd = e.min(channels, e.add(channelBegin, block));
  Value rest = e.div(e.workgroup(), e.size(channelBlocks()));
  Value image = e.div(rest, e.size(rowBlocks()));
  Value y0 = e.mul(e.rem(rest, e.size(rowBlocks())), e.index(tiling.rows));
  Value y1 = e.min(e.size(shape.height.out), e.add(y0, e.index(tiling.rows)));
  e.loop(y0, y1, e.index(1), [&](Value y) { emitRow(image, y); });
  e.endKernel();
}

void DepthwiseEmission::emitRow(Value image, Value y) {
  const WindowDim &height = shape.height, &width = shape.width;
  Value start = e.sub(e.mul(y, e.index(height.stride)), e.index(height.pad));
  std::tie(tapBegin, tapEnd) = tapsInside(e, height, start);
  Value firstRow = e.add(e.mul(image, e.size(height.in)), start);
  inputRow = e.offset(input, e.mul(e.mul(firstRow, e.size(width.in)), pixelBytes), 1);
  inputRowBytes = e.size(width.in * c.channels * (bytes * height.dilation));
  rowPixels = e.mul(e.add(e.mul(image, e.size(height.out)), y), e.size(width.out));

  Value one = e.index(1), zero = e.index(0);
  if (auto blocks = splitRow(width, tiling.pixels)) {
    for (const PixelBlocks &block : *blocks)
      e.loop(zero, e.index(block.count), one, [&](Value i) {
        emitBlock(e.add(e.mul(i, e.index(block.pixels)), e.index(block.first)), block.pixels, block.inside);
      });
    return;
  }
  // Pixels whose window lies inside go in blocks, the others one by one.
  Value out = e.size(width.out), stride = e.index(width.stride);
  Value span = e.index((width.kernel.constant() - 1) * width.dilation + 1);
  Value insideBegin = e.min(out, e.index((width.pad + width.stride - 1) / width.stride));
  Value room = e.add(e.sub(e.size(width.in), span), e.index(width.pad)); // start of the last window inside, unpadded
  Value insideEnd = e.min(out, e.add(e.floorDiv(room, stride), one));
  Value blocks = e.max(zero, e.div(e.sub(insideEnd, insideBegin), e.index(tiling.pixels)));
  Value blocksEnd = e.add(insideBegin, e.mul(blocks, e.index(tiling.pixels)));
  emitSinglePixels(zero, insideBegin);
  std::vector<bool> inside(static_cast<size_t>(columnsOf(width, tiling.pixels)), true);
  e.loop(insideBegin, blocksEnd, e.index(tiling.pixels), [&](Value pixel) { emitBlock(pixel, tiling.pixels, inside); });
  emitSinglePixels(blocksEnd, out);
}

void DepthwiseEmission::forChannels(llvm::function_ref<void(Value channel, Value mask)> body) {
  Value step = e.index(lanes);
  if (c.channels.knownDivisor() % lanes == 0) {
    e.loop(channelBegin, channelEnd, step, [&](Value channel) { body(channel, {}); });
    return;
  }
  Value whole = e.sub(channelEnd, e.rem(e.sub(channelEnd, channelBegin), step));
  e.loop(channelBegin, whole, step, [&](Value channel) { body(channel, {}); });
  e.ifThen(e.cmp(Cmp::lt, whole, channelEnd), [&] { body(whole, tailMask(e.sub(channelEnd, whole))); });
}

void DepthwiseEmission::emitBlock(Value pixel, int64_t pixels, const std::vector<bool> &inside) {
  const WindowDim &width = shape.width;
  int64_t kernel = width.kernel.constant();
  Value column = e.sub(e.mul(pixel, e.index(width.stride)), e.index(width.pad));
  Value start = e.offset(inputRow, e.mul(column, pixelBytes), 1);
  Value tapRowBytes = e.size(width.kernel * c.channels * filterBytes());
  forChannels([&](Value channel, Value mask) {
    Values sums(static_cast<size_t>(pixels), e.constant(vector(), 0.0));
    Value at = e.offset(start, channel, bytes), weights = e.offset(filter, channel, filterBytes());
    sums = e.loop(tapBegin, tapEnd, e.index(1), sums, [&](Value tap, ValueRange carried) {
      Values next(carried.begin(), carried.end());
      Value row = e.offset(at, e.mul(tap, inputRowBytes), 1);
      Value rowWeights = e.offset(weights, e.mul(tap, tapRowBytes), 1);
      Values columns(inside.size());
      for (int64_t k = 0; k < kernel; ++k) {
        Value weight = loadFilter(e.offset(rowWeights, e.size(c.channels * (filterBytes() * k)), 1), mask);
        for (int64_t p = 0; p < pixels; ++p) {
          auto j = static_cast<size_t>(p * width.stride + k * width.dilation);
          if (!inside[j])
            continue;
          if (!columns[j])
            columns[j] = loadInput(e.offset(row, e.size(c.channels * (bytes * static_cast<int64_t>(j))), 1), mask);
          Value &sum = next[static_cast<size_t>(p)];
          sum = e.fma(columns[j], weight, sum);
        }
      }
      return next;
    });
    llvm::SmallVector<gemm::Epilogue::Point> points;
    for (int64_t p = 0; p < pixels; ++p)
      points.push_back({result(sums[static_cast<size_t>(p)]), e.add(rowPixels, e.add(pixel, e.index(p)))});
    epilogue->emitVectors(points, channel, mask);
  });
}

void DepthwiseEmission::emitSinglePixels(Value begin, Value end) {
  const WindowDim &width = shape.width;
  Value one = e.index(1), tapRowBytes = e.size(width.kernel * c.channels * filterBytes());
  Value filterStep = ofBytes ? e.size(c.channels * filterBytes()) : pixelBytes;
  Value stepBytes = e.size(c.channels * (bytes * width.dilation));
  e.loop(begin, end, one, [&](Value pixel) {
    Value column = e.sub(e.mul(pixel, e.index(width.stride)), e.index(width.pad));
    auto [columnBegin, columnEnd] = tapsInside(e, width, column);
    Value start = e.offset(inputRow, e.mul(column, pixelBytes), 1);
    Value kBegin = columnBegin, kEnd = columnEnd;
    forChannels([&](Value channel, Value mask) {
      Value at = e.offset(start, channel, bytes), weights = e.offset(filter, channel, filterBytes());
      Values sum{e.constant(vector(), 0.0)};
      sum = e.loop(tapBegin, tapEnd, one, sum, [&](Value tap, ValueRange outer) {
        Value row = e.offset(at, e.mul(tap, inputRowBytes), 1);
        Value rowWeights = e.offset(weights, e.mul(tap, tapRowBytes), 1);
        return e.loop(kBegin, kEnd, one, outer, [&](Value k, ValueRange in) {
          Value x = loadInput(e.offset(row, e.mul(k, stepBytes), 1), mask);
          Value w = loadFilter(e.offset(rowWeights, e.mul(k, filterStep), 1), mask);
          return Values{e.fma(x, w, in[0])};
        });
      });
      epilogue->emitVectors({{result(sum[0]), e.add(rowPixels, pixel)}}, channel, mask);
    });
  });
}

struct DepthwiseKernel : DepthwiseLoops {
  using DepthwiseLoops::DepthwiseLoops;
  void emit(Emitter &e, const KernelInterface &interface) const { DepthwiseEmission(*this, e, interface).run(); }
};

class DepthwiseFamily final : public FamilyOf<DepthwiseKernel> {
public:
  std::string_view name() const override { return "depthwise"; }
  int version() const override { return 2; }
  bool claims(const Problem &problem) const override {
    auto conv = depthwiseConvolution(problem);
    return conv && depthwiseShape(*conv) && gemm::isEpilogueOf(problem, conv->result);
  }
  Config defaultConfig(const Problem &problem, const TargetInfo &target) const override {
    return toConfig(defaultTiling(*depthwiseConvolution(problem), target));
  }
  std::vector<Config> candidates(const Problem &problem, const TargetInfo &target) const override {
    std::vector<Config> configs;
    for (const DepthwiseTiling &tiling : candidateTilings(*depthwiseConvolution(problem), target))
      configs.push_back(toConfig(tiling));
    return configs;
  }
  bool isLegal(const Problem &problem, const Config &config, const TargetInfo &target) const override {
    auto conv = depthwiseConvolution(problem);
    auto shape = conv ? depthwiseShape(*conv) : std::nullopt;
    DepthwiseTiling tiling = fromConfig<DepthwiseTiling>(config);
    return shape && isLegalTiling(tiling, *shape, target) && config == toConfig(tiling);
  }
  Exactness exactness(const Problem &problem, const Config &) const override {
    return gemm::productExactness(problem, depthwiseConvolution(problem)->types);
  }
};

} // namespace

const KernelFamily &depthwiseFamily() {
  static const DepthwiseFamily family;
  return family;
}

} // namespace kiln
