// RaiseAttention: softmax(q @ k^T * scale + mask) @ v becomes attention(q, k, v, mask), where a kernel family claims
// that op.
//
// Unlike the other raisings it asks: without a family for it, matmul, softmax and matmul are the faster form. It runs
// after AlgebraicSimplify, which has put the scale behind the first product and the transposition of k into its flags.
#include "dialects/kiln/KernelOracle.h"
#include "passes/Rewrite.h"
#include "passes/graph/Match.h"
#include "passes/graph/Passes.h"

using namespace mlir;

namespace kiln {

#define GEN_PASS_DEF_RAISEATTENTION
#include "passes/graph/Passes.h.inc"

namespace {

struct Attention {
  Value q, k, v, mask;
  double scale = 1;
};

/// Swaps the last two dims of `x`, which may itself be a transpose: then there is only one.
Value swapped(OpBuilder &builder, Location loc, Value x) {
  SmallVector<int64_t> perm = llvm::to_vector(llvm::seq<int64_t>(0, getRank(x.getType())));
  if (auto transpose = x.getDefiningOp<TransposeOp>()) {
    perm.assign(transpose.getPerm().begin(), transpose.getPerm().end());
    x = transpose.getX();
  }
  std::swap(perm[perm.size() - 1], perm[perm.size() - 2]);
  return buildTranspose(builder, loc, x, perm);
}

std::optional<Attention> match(MatMulOp product, OpBuilder &builder) {
  if (product.getTransposeA() || product.getTransposeB())
    return std::nullopt;
  Attention result;
  result.v = product.getB();
  auto softmax = product.getA().getDefiningOp<SoftmaxOp>();
  int64_t rank = getRank(product.getType());
  if (!softmax || !softmax->hasOneUse() || int64_t(softmax.getAxis()) != rank - 1 ||
      getRank(product.getA().getType()) != rank)
    return std::nullopt;
  Value scores = softmax.getX();
  if (auto add = scores.getDefiningOp<AddOp>(); add && scores.hasOneUse())
    for (int i : {0, 1})
      if (Value inner = add->getOperand(i);
          inner.getType() == add.getType() && (scaledBy(inner) || inner.getDefiningOp<MatMulOp>())) {
        scores = inner;
        result.mask = add->getOperand(1 - i);
        break;
      }
  if (auto scaled = scaledBy(scores); scaled && scores.hasOneUse()) {
    scores = scaled->x;
    result.scale = scaled->constant;
  }
  auto first = scores.getDefiningOp<MatMulOp>();
  if (!first || !scores.hasOneUse() || first.getTransposeA() || scores.getType() != softmax.getType())
    return std::nullopt;
  Dims q = getDims(first.getA()), k = getDims(first.getB()), v = getDims(result.v);
  if (int64_t(q.size()) != rank || k.size() != q.size() || v.size() != q.size())
    return std::nullopt;
  for (int64_t i = 0; i + 2 < rank; ++i)
    if (q[i] != k[i] || q[i] != v[i])
      return std::nullopt;
  result.q = first.getA();
  result.k = first.getTransposeB() ? first.getB() : swapped(builder, first.getLoc(), first.getB());
  return result;
}

class RaiseAttentionPass : public impl::RaiseAttentionBase<RaiseAttentionPass> {
public:
  using RaiseAttentionBase::RaiseAttentionBase;

  void runOnOperation() override {
    KernelOracle *oracle = getContext().getLoadedDialect<KilnDialect>()->oracle;
    if (!oracle && !assumeClaimed)
      return;
    Result<SizeTable> sizes = SizeTable::read(getOperation());
    if (!sizes.ok()) {
      emitError(getOperation().getLoc(), sizes.status());
      return signalPassFailure();
    }
    SmallVector<MatMulOp> products;
    getOperation().walk([&](MatMulOp op) { products.push_back(op); });
    for (MatMulOp product : products) {
      OpBuilder builder(product);
      auto attention = match(product, builder);
      if (!attention)
        continue;
      SmallVector<Value> operands{attention->q, attention->k, attention->v};
      if (attention->mask)
        operands.push_back(attention->mask);
      Value result = buildOp(builder, product.getType(), product.getLoc(), "attention", operands,
                             attribute("scale", attention->scale));
      Operation *op = result.getDefiningOp();
      if ((!assumeClaimed && oracle->propose(op, result, *sizes).empty()) || !takeFuel(product, "RaiseAttention")) {
        op->erase();
        continue;
      }
      product.getResult().replaceAllUsesWith(result);
      product.erase();
    }
    // What the raised ops replaced, or a refused one left behind.
    for (Block &block : getOperation().getBody())
      for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
        if (isa<SoftmaxOp, AddOp, MulOp, DivOp, MatMulOp, TransposeOp>(op) && op.use_empty() &&
            takeFuel(&op, "RaiseAttention"))
          op.erase();
  }
};
} // namespace
} // namespace kiln
