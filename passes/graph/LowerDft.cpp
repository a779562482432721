// LowerDft: a Fourier transform of a known length is a product with the matrix of its sines and cosines.
//
//   dft x [B,L,1] {onesided = 1}
//     =>  reshape [B,L], matmul with [L,2K], reshape [B,K,2]            K = L / 2 + 1
//
// Along another axis than the one before the last, transposes around it bring that there. The op stays where the matrix
// would be large (a fast transform computes less then), for other types than f32 and f64, for a length or an axis that
// only a run tells, and where the signal is cut.
//
// Runs with the other lowerings, before Layout and FormKernels, for which the op has no family.
#include "dialects/kiln/Build.h"
#include "dialects/kiln/Ops.h"
#include "passes/Rewrite.h"
#include "passes/graph/Match.h"
#include "passes/graph/Passes.h"

#include <cmath>
#include <numbers>
#include <numeric>

using namespace mlir;

namespace kiln {

#define GEN_PASS_DEF_LOWERDFT
#include "passes/graph/Passes.h.inc"

namespace {

constexpr int64_t mostElements = int64_t(1) << 21; // of the matrix

struct Transform {
  int64_t axis = 0, size = 0; ///< of the signal
  int64_t length = 0, made = 0;
  int64_t parts = 1, results = 2; ///< numbers of an element, of x and the result
  bool inverse = false, real = false;

  static std::optional<Transform> of(DftOp op);
  double element(int64_t s, int64_t part, int64_t k, int64_t result) const;
};

std::optional<Transform> Transform::of(DftOp op) {
  Dims x = getDims(op.getX()), y = getDims(op.getResult());
  Type element = op.getX().getType().getElementType();
  int64_t rank = int64_t(x.size());
  Transform t;
  t.axis = int64_t(op.getAxis()) + (int64_t(op.getAxis()) < 0 ? rank : 0);
  if (op.getCount() || op.getAlong() || t.axis < 0 || t.axis >= rank - 1 || !(element.isF32() || element.isF64()))
    return std::nullopt;
  std::optional<int64_t> size = x[t.axis].asConstant(), made = y[t.axis].asConstant();
  std::optional<int64_t> parts = x.back().asConstant(), results = y.back().asConstant();
  if (!size || !made || !parts || !results || llvm::any_of(x, [](const SizeExpr &dim) { return dim.isInvalid(); }))
    return std::nullopt;
  t.size = *size;
  t.made = *made;
  t.parts = *parts;
  t.results = *results;
  t.inverse = op.getInverse();
  t.real = t.inverse && op.getOnesided();
  t.length = t.real || !op.getOnesided() ? *made : op.getLength() ? int64_t(op.getLength()) : *size;
  // Elements of the signal that matter: all of them, or the matrix would have to leave some out.
  bool whole = t.size <= (t.real ? t.length / 2 + 1 : t.length);
  if (t.size < 1 || t.made < 1 || !whole || t.size * t.parts > mostElements / (t.made * t.results))
    return std::nullopt;
  return t;
}

/// What number `part` of element s adds to number `result` of element k.
double Transform::element(int64_t s, int64_t part, int64_t k, int64_t result) const {
  double angle = 2 * std::numbers::pi * double(s * k % length) / double(length);
  double cosine = std::cos(angle), sine = inverse ? std::sin(angle) : -std::sin(angle);
  double value = part == result ? cosine : part == 0 ? sine : -sine;
  if (real && s != 0 && 2 * s != length)
    value *= 2; // stands for its mirror image, too
  return inverse ? value / double(length) : value;
}

Result<Tensor> matrixOf(const Transform &t, DType dtype) {
  int64_t rows = t.size * t.parts, columns = t.made * t.results;
  KILN_ASSIGN(Tensor matrix, Tensor::create(dtype, {rows, columns}));
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t column = 0; column < columns; ++column) {
      double value = t.element(row / t.parts, row % t.parts, column / t.results, column % t.results);
      if (dtype == DType::F64)
        matrix.as<double>()[row * columns + column] = value;
      else
        matrix.as<float>()[row * columns + column] = float(value);
    }
  return matrix;
}

struct AsProduct : OpRewritePattern<DftOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(DftOp op, PatternRewriter &rewriter) const override {
    std::optional<Transform> t = Transform::of(op);
    if (!t)
      return failure();
    Location loc = op.getLoc();
    Type element = op.getX().getType().getElementType();
    Result<Tensor> matrix = matrixOf(*t, *dtypeOf(element));
    if (!matrix.ok())
      return failure();
    Value w = makeConstant(rewriter, loc, *std::move(matrix));

    // The axis goes before the last dim.
    Value x = op.getX();
    int64_t rank = int64_t(getDims(x).size());
    SmallVector<int64_t> there(rank), back(rank);
    std::iota(there.begin(), there.end(), 0);
    there.erase(there.begin() + t->axis);
    there.insert(there.end() - 1, t->axis);
    for (auto [i, d] : llvm::enumerate(there))
      back[d] = int64_t(i);
    bool moves = t->axis != rank - 2;
    if (moves)
      x = buildTranspose(rewriter, loc, x, there);

    Dims whole = getDims(x), flat(whole.begin(), whole.end() - 2);
    if (flat.empty())
      flat.push_back(1);
    flat.push_back(t->size * t->parts);
    Value y = buildReshape(rewriter, loc, x, makeTensorType(flat, element));
    flat.back() = t->made * t->results;
    y = buildOp(rewriter, makeTensorType(flat, element), loc, "matmul", {y, w});
    whole[rank - 2] = t->made;
    whole[rank - 1] = t->results;
    y = buildReshape(rewriter, loc, y, makeTensorType(whole, element));
    if (moves)
      y = buildTranspose(rewriter, loc, y, back);
    rewriter.replaceOp(op, buildReshape(rewriter, loc, y, op.getType()));
    return success();
  }
};

class LowerDftPass : public impl::LowerDftBase<LowerDftPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<AsProduct>(&getContext());
    if (failed(runPatterns(getOperation(), std::move(patterns), "LowerDft")))
      signalPassFailure();
  }
};
} // namespace
} // namespace kiln
