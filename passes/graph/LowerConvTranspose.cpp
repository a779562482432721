// LowerConvTranspose: a transposed convolution becomes a convolution that makes the s elements between two of the
// operand as s channels, which then move between them (the sub-pixel form: Shi et al., arXiv 1609.07009).
//
//   conv_transpose x [N,C,H,W], w [C,F,k,k] {strides=[s,s]}
//     =>  y = conv x, w' [F*s*s,C,ceil(k/s),ceil(k/s)]                     [N,F*s*s,H',W']
//         reshape [N,F,s,s,H',W'], transpose [N,F,H',s,W',s], reshape [N,F,H'*s,W'*s], slice (the pads)
//
// A window that no stride divides is filled up with zeros, which costs work: the op stays where that is more than twice
// its own. It stays, too, where its weights are not known, for dilations with strides, and for sizes that are asked for
// by another name than pads.
//
// Before Layout, which finds the place of the convolution's channels.
#include "dialects/kiln/Build.h"
#include "dialects/kiln/Ops.h"
#include "passes/Rewrite.h"
#include "passes/graph/Passes.h"

#include <numeric>

using namespace mlir;

namespace kiln {

#define GEN_PASS_DEF_LOWERCONVTRANSPOSE
#include "passes/graph/Passes.h.inc"

namespace {

using Ints = std::vector<int64_t>;

int64_t product(ArrayRef<int64_t> list) {
  return std::accumulate(list.begin(), list.end(), int64_t(1), std::multiplies<>());
}

/// What a transposed convolution is as a convolution.
struct SubPixel {
  Ints strides, window; ///< of the op
  Ints taps, dilations; ///< window of the convolution
  Ints pads;            ///< of the convolution
  Ints begins, ends;    ///< elements to cut off in the end
  int64_t inputs = 0, outputs = 0, groups = 1;

  static std::optional<SubPixel> of(ConvTransposeOp op);
  /// By how much the convolution's result is longer than its operand.
  int64_t grown(size_t i) const { return pads[i] + pads[pads.size() / 2 + i] - (taps[i] - 1) * dilations[i]; }
  bool crops() const {
    return llvm::any_of(begins, [](int64_t n) { return n > 0; }) || llvm::any_of(ends, [](int64_t n) { return n > 0; });
  }
};

std::optional<SubPixel> SubPixel::of(ConvTransposeOp op) {
  auto weights = cast<RankedTensorType>(op.getW().getType());
  if (!isKnownConstant(op.getW()) || (op.getBias() && !isKnownConstant(op.getBias())) || op.getAutoPad() ||
      !op.getOutputShape().empty() || weights.getNumElements() == 0)
    return std::nullopt;
  SubPixel s;
  size_t rank = size_t(weights.getRank()) - 2;
  s.groups = op.getGroups();
  s.inputs = weights.getDimSize(0);
  s.outputs = weights.getDimSize(1) * s.groups;
  s.pads.resize(2 * rank);
  for (size_t i = 0; i < rank; ++i) {
    int64_t stride = op.getStrides()[i], window = weights.getDimSize(2 + int64_t(i));
    int64_t begin = op.getPads()[i], end = op.getPads()[rank + i];
    int64_t added = op.getOutputPadding().empty() ? 0 : op.getOutputPadding()[i];
    // Of the elements that the op makes, `last` lie behind those of the last one of x: a whole number of strides of
    // them come from the convolution.
    int64_t dilation = op.getDilations().empty() ? 1 : op.getDilations()[i], reach = (window - 1) * dilation;
    int64_t last = reach + 1 - end + added, blocks = last <= 0 ? 0 : (last + stride - 1) / stride;
    if (begin < 0 || end < 0 || blocks < 1 || stride > window || (dilation != 1 && stride != 1))
      return std::nullopt;
    bool pads = stride == 1 && begin <= reach; // what would be cut off in front is not made
    s.strides.push_back(stride);
    s.window.push_back(window);
    s.taps.push_back((window + stride - 1) / stride);
    s.dilations.push_back(dilation);
    s.pads[i] = (s.taps.back() - 1) * dilation - (pads ? begin : 0);
    s.pads[rank + i] = blocks - 1;
    s.begins.push_back(pads ? 0 : begin);
    s.ends.push_back(blocks * stride - last);
  }
  int64_t made = product(s.taps) * product(s.strides);
  if (made > 2 * product(s.window) || llvm::any_of(getDims(op.getX()), [](const SizeExpr &d) { return d.isInvalid(); }))
    return std::nullopt;
  return s;
}

/// w [C, F / groups, window...] as [F, strides..., C / groups, taps...], in one list of dims [F * strides, C / groups,
/// taps...]: element t of the window is tap taps - 1 - t / stride of phase t mod stride.
Result<Tensor> rearrange(const TensorView &w, const SubPixel &s) {
  size_t rank = s.strides.size();
  int64_t filters = s.outputs / s.groups, depth = s.inputs / s.groups, phases = product(s.strides);
  Ints dims{s.outputs * phases, depth};
  dims.insert(dims.end(), s.taps.begin(), s.taps.end());
  KILN_ASSIGN(Tensor result, Tensor::create(w.dtype, dims));
  std::memset(result.view().data, 0, size_t(result.view().bytes()));
  int64_t window = product(s.window), taps = product(s.taps), bytes = dtypeBytes(w.dtype);
  for (int64_t at = 0; at < w.size(); ++at) {
    int64_t place = at % window, filter = at / window % filters, input = at / window / filters;
    int64_t phase = 0, tap = 0, rest = place, inner = window;
    for (size_t i = 0; i < rank; ++i) {
      inner /= s.window[i];
      int64_t t = rest / inner;
      rest %= inner;
      phase = phase * s.strides[i] + t % s.strides[i];
      tap = tap * s.taps[i] + s.taps[i] - 1 - t / s.strides[i];
    }
    int64_t output = (input / depth * filters + filter) * phases + phase;
    std::memcpy(result.as<char>() + ((output * depth + input % depth) * taps + tap) * bytes, w.as<char>() + at * bytes,
                size_t(bytes));
  }
  return result;
}

/// Each element `times` times.
Result<Tensor> repeat(const TensorView &x, int64_t times) {
  KILN_ASSIGN(Tensor result, Tensor::create(x.dtype, Ints{x.size() * times}));
  int64_t bytes = dtypeBytes(x.dtype);
  for (int64_t i = 0; i < x.size() * times; ++i)
    std::memcpy(result.as<char>() + i * bytes, x.as<char>() + i / times * bytes, size_t(bytes));
  return result;
}

struct AsConvolution : OpRewritePattern<ConvTransposeOp> {
  AsConvolution(MLIRContext *context, SizeTable &sizes) : OpRewritePattern(context), sizes(sizes) {}

  LogicalResult matchAndRewrite(ConvTransposeOp op, PatternRewriter &rewriter) const override {
    std::optional<SubPixel> s = SubPixel::of(op);
    if (!s)
      return failure();
    Location loc = op.getLoc();
    Type element = op.getX().getType().getElementType();
    int64_t phases = product(s->strides);
    Value weights = constantOf(rewriter, loc, op.getW(), [&](const TensorView &w) { return rearrange(w, *s); });
    SmallVector<Value> operands{op.getX(), weights};
    if (op.getBias() && weights)
      operands.push_back(
          constantOf(rewriter, loc, op.getBias(), [&](const TensorView &bias) { return repeat(bias, phases); }));
    if (!operands.back())
      return failure(); // the file of the weights cannot be read: an error of its own elsewhere

    size_t rank = s->strides.size();
    Dims x = getDims(op.getX()), made{x[0], s->outputs * phases}, split{x[0], s->outputs}, mixed = split, whole = split;
    Ints perm{0, 1};
    for (size_t i = 0; i < rank; ++i) {
      SizeExpr size = sizes.intern(x[2 + i] + SizeExpr(s->grown(i)));
      made.push_back(size);
      mixed.append({size, s->strides[i]});
      whole.push_back(sizes.intern(size * s->strides[i]));
      perm.insert(perm.end(), {int64_t(2 + rank + i), int64_t(2 + i)});
    }
    split.append(s->strides.begin(), s->strides.end());
    split.append(made.begin() + 2, made.end());

    Attributes conv, transpose;
    conv.set("strides", Ints(rank, 1));
    conv.set("dilations", s->dilations);
    conv.set("pads", s->pads);
    conv.set("groups", s->groups);
    transpose.set("perm", perm);
    Value y = buildOp(rewriter, makeTensorType(made, element), loc, "conv", operands, conv);
    if (phases > 1) {
      y = buildReshape(rewriter, loc, y, makeTensorType(split, element));
      y = buildOp(rewriter, makeTensorType(mixed, element), loc, "transpose", y, transpose);
      y = buildReshape(rewriter, loc, y, s->crops() ? Type(makeTensorType(whole, element)) : op.getType());
    }
    if (s->crops()) {
      Attributes slice;
      Ints ends, axes;
      for (size_t i = 0; i < rank; ++i) {
        // From the last element on, where their number is unknown.
        std::optional<int64_t> size = whole[2 + i].asConstant();
        ends.push_back(size ? *size - s->ends[i] : s->ends[i] ? -s->ends[i] : INT64_MAX);
        axes.push_back(int64_t(2 + i));
      }
      slice.set("starts", s->begins);
      slice.set("ends", ends);
      slice.set("axes", axes);
      slice.set("steps", Ints(rank, 1));
      y = buildOp(rewriter, op.getType(), loc, "slice", y, slice);
    }
    rewriter.replaceOp(op, y);
    return success();
  }

private:
  SizeTable &sizes;

  /// A constant made of another one; null where that cannot be read.
  template <typename Make>
  static Value constantOf(PatternRewriter &rewriter, Location loc, Value from, const Make &make) {
    Tensor storage;
    SmallVector<int64_t> dims;
    Result<TensorView> view = viewConstant(from, storage, dims);
    if (!view.ok())
      return {};
    Result<Tensor> made = make(*view);
    return made.ok() ? makeConstant(rewriter, loc, *std::move(made)) : Value();
  }
};

class LowerConvTransposePass : public impl::LowerConvTransposeBase<LowerConvTransposePass> {
  void runOnOperation() override {
    Result<SizeTable> sizes = SizeTable::read(getOperation());
    if (!sizes.ok()) {
      emitError(getOperation().getLoc(), sizes.status());
      return signalPassFailure();
    }
    RewritePatternSet patterns(&getContext());
    patterns.add<AsConvolution>(&getContext(), *sizes);
    if (failed(runPatterns(getOperation(), std::move(patterns), "LowerConvTranspose")))
      return signalPassFailure();
    sizes->write(getOperation());
  }
};
} // namespace
} // namespace kiln
