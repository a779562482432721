// ConstantFold: ops of constants become constants, evaluated by the reference kernels; integers that depend on sizes
// only (shape arithmetic that came out static) become constants too.
// Of constants that are bound later nothing is known: they take reshapes, transposes and casts over into their recipes.
//
// Budgets are counts, not times, so that the same model folds alike on every machine. Results of many more elements
// than what they are made from (expand, tile, range) stay ops: computing them is cheaper than storing them. So do wider
// elements, but for weights: a product wants them as a constant, packed. Bytes that a product of integers takes are
// packed as bytes; until QuantizedProducts has seen them, so are those that a product of dequantised numbers takes. Ops
// that move elements about see through small expansions: masks are written so.
#include "dialects/kiln/Build.h"
#include "dialects/kiln/Flops.h"
#include "dialects/kiln/Ops.h"
#include "passes/Rewrite.h"
#include "passes/graph/Passes.h"
#include "passes/graph/Quantization.h"
#include "runtime/reference/Reference.h"

using namespace mlir;

namespace kiln {

#define GEN_PASS_DEF_CONSTANTFOLD
#include "passes/graph/Passes.h.inc"

namespace {

class ConstantFoldPass : public impl::ConstantFoldBase<ConstantFoldPass> {
public:
  using ConstantFoldBase::ConstantFoldBase;

  void runOnOperation() override {
    Result<SizeTable> table = SizeTable::read(getOperation());
    if (!table.ok()) {
      emitError(getOperation().getLoc(), table.status());
      return signalPassFailure();
    }
    ShapeContext context(*table);
    bytesLeft = maxBytes;
    workLeft = maxWork;
    for (Block &block : getOperation().getBody())
      for (Operation &op : llvm::make_early_inc_range(block))
        if (auto kilnOp = dyn_cast<KilnOpInterface>(op);
            kilnOp && op.getNumResults() > 0 && !isa<ConstantOp>(op) && kilnOp.getFusionRole() != FusionRole::Structure)
          foldOp(&op, context);
  }

private:
  int64_t bytesLeft = 0, workLeft = 0;

  void foldOp(Operation *op, ShapeContext &context) {
    if (Value replacement = foldBound(op)) {
      op->getResult(0).replaceAllUsesWith(replacement);
      return op->erase();
    }
    int64_t bytes = 0;
    for (Type type : op->getResultTypes()) {
      auto size = byteSizeOf(type);
      if (!size || *size > bytesLeft - bytes)
        return;
      bytes += *size;
    }
    SmallVector<Value> replacements;
    if (op->getNumResults() == 1) {
      Value replacement = foldSizes(op, context);
      if (!replacement)
        replacement = foldReshapedWeight(op);
      if (replacement)
        replacements.push_back(replacement);
    }
    if (replacements.empty())
      replacements = foldByReference(op, bytes);
    if (replacements.empty())
      return;
    op->replaceAllUsesWith(replacements);
    op->erase();
  }

  /// Shape arithmetic: elements known as integers, whatever the operands are.
  Value foldSizes(Operation *op, ShapeContext &context) {
    Value result = op->getResult(0);
    auto values = context.constantValues(result);
    auto type = cast<RankedTensorType>(result.getType());
    auto dtype = dtypeOf(type.getElementType());
    if (!values || !dtype || int64_t(values->size()) != type.getNumElements() || !takeFuel(op, "ConstantFold"))
      return {};
    auto tensor = Tensor::create(*dtype, std::span<const int64_t>(type.getShape().data(), type.getRank()));
    if (!tensor.ok())
      return {};
    for (auto [i, value] : llvm::enumerate(*values))
      switch (*dtype) {
      case DType::I64: tensor->as<int64_t>()[i] = value; break;
      case DType::I32: tensor->as<int32_t>()[i] = int32_t(value); break;
      case DType::Bool: tensor->as<uint8_t>()[i] = value != 0; break;
      default: return {};
      }
    OpBuilder builder(op);
    return makeConstant(builder, op->getLoc(), std::move(*tensor));
  }

  /// A weight under other dims is the same span of its file.
  Value foldReshapedWeight(Operation *op) {
    auto constant = isa<ReshapeOp>(op) ? op->getOperand(0).getDefiningOp<ConstantOp>() : ConstantOp();
    auto weight = constant ? dyn_cast<WeightAttr>(constant.getValue()) : WeightAttr();
    auto type = cast<RankedTensorType>(op->getResult(0).getType());
    if (!weight || !takeFuel(op, "ConstantFold"))
      return {};
    OpBuilder builder(op);
    return builder.create<ConstantOp>(
        constant.getLoc(), type,
        WeightAttr::get(&getContext(), weight.getFile(), weight.getOffset(), type, weight.getDigest()));
  }

  /// What is bound later is reshaped, transposed and cast when it is bound.
  Value foldBound(Operation *op) {
    if (!isa<ReshapeOp, TransposeOp, CastOp>(op))
      return {};
    auto constant = op->getOperand(0).getDefiningOp<ConstantOp>();
    auto bound = constant ? dyn_cast<BoundAttr>(constant.getValue()) : BoundAttr();
    auto type = cast<RankedTensorType>(op->getResult(0).getType());
    if (!bound || !type.hasStaticShape() || !takeFuel(op, "ConstantFold"))
      return {};
    RecipeStep step{RecipeStep::Kind::Reshape, {type.getShape().begin(), type.getShape().end()}};
    if (auto transpose = dyn_cast<TransposeOp>(op))
      step = {RecipeStep::Kind::Permute, {transpose.getPerm().begin(), transpose.getPerm().end()}};
    else if (isa<CastOp>(op))
      step = {RecipeStep::Kind::Cast, {}, *dtypeOf(type.getElementType())};
    OpBuilder builder(op);
    return builder.create<ConstantOp>(constant.getLoc(), type, bound.then(step, type));
  }

  /// A constant for each result, or nothing.
  SmallVector<Value> foldByReference(Operation *op, int64_t resultBytes) {
    bool seesThrough = !isPointwise(op);
    if (op->getNumOperands() == 0 || !llvm::all_of(op->getOperands(), [&](Value operand) {
          return isKnownConstant(operand) || (seesThrough && expansionOf(operand));
        }))
      return {};
    if (keepDequantized && isDequantizedWeight(op->getResult(0)))
      return {};
    StringRef name = mnemonicOf(op);
    ref::Kernel kernel = ref::find(std::string_view(name.data(), name.size()));
    int64_t work = workOf(op), before = 0, after = 0;
    for (Type type : op->getOperandTypes())
      before += cast<RankedTensorType>(type).getNumElements();
    for (Type type : op->getResultTypes())
      after += cast<RankedTensorType>(type).getNumElements();
    int64_t operandBytes = 0;
    for (Type type : op->getOperandTypes())
      operandBytes += byteSizeOf(type).value_or(0);
    bool grows = resultBytes > inlineConstantBytes && resultBytes > 2 * operandBytes &&
                 (after > 2 * before || !areWeights(op->getResult(0)));
    if (!kernel || work > workLeft || grows || !takeFuel(op, "ConstantFold"))
      return {};

    SmallVector<Value> operands = operandsOf(op);
    std::vector<Tensor> storage(operands.size());
    std::vector<SmallVector<int64_t>> dims(operands.size());
    std::vector<TensorView> inputs(operands.size());
    for (size_t i = 0; i < operands.size(); ++i) {
      if (!operands[i])
        continue;
      Value constant = operands[i];
      if (ExpandOp expansion = expansionOf(constant))
        constant = expansion.getX();
      auto view = viewConstant(constant, storage[i], dims[i]);
      if (!view.ok())
        return {};
      inputs[i] = *view;
      if (constant == operands[i])
        continue;
      ArrayRef<int64_t> shape = cast<RankedTensorType>(operands[i].getType()).getShape();
      Result<Tensor> expanded = Tensor::create(view->dtype, std::span<const int64_t>(shape.data(), shape.size()));
      if (!expanded.ok())
        return {};
      TensorView whole = expanded->view();
      if (!ref::find("expand")({Attributes(), {&*view, 1}, {&whole, 1}}).ok())
        return {};
      storage[i] = *std::move(expanded);
      inputs[i] = storage[i].view();
    }
    std::vector<Tensor> results;
    std::vector<TensorView> outputs;
    for (Type result : op->getResultTypes()) {
      auto type = cast<RankedTensorType>(result);
      auto output = Tensor::create(*dtypeOf(type.getElementType()),
                                   std::span<const int64_t>(type.getShape().data(), type.getRank()));
      if (!output.ok())
        return {};
      results.push_back(*std::move(output));
    }
    for (const Tensor &result : results)
      outputs.push_back(result.view());
    Attributes attributes = toAttributes(op);
    // An error (an index out of range, say) is the user's to see at run time, not ours to report here.
    if (!kernel({attributes, inputs, outputs}).ok())
      return {};
    workLeft -= work;
    bytesLeft -= resultBytes;
    OpBuilder builder(op);
    SmallVector<Value> constants;
    for (Tensor &result : results)
      constants.push_back(makeConstant(builder, op->getLoc(), std::move(result)));
    return constants;
  }

  /// The op that makes the value of a known constant, where it is small.
  static ExpandOp expansionOf(Value value) {
    constexpr int64_t most = int64_t(1) << 18;
    auto expand = value ? value.getDefiningOp<ExpandOp>() : ExpandOp();
    bool isOne = expand && !expand.getShape() && isKnownConstant(expand.getX()) &&
                 byteSizeOf(value.getType()).value_or(most + 1) <= most;
    return isOne ? expand : ExpandOp();
  }

  /// Whether `value` is on the way from bytes to an operand of a product whose other operand is dequantised, too.
  static bool isDequantizedWeight(Value value, int depth = 0) {
    constexpr int farthest = 5; // cast, sub, cast, mul, transpose
    return depth < farthest && llvm::any_of(
                                   value.getUses(),
                                   [&](OpOperand &use) {
                                     Operation *user = use.getOwner();
                                     if (isa<ConvOp, MatMulOp>(user))
                                       return use.getOperandNumber() == 1 && dequantized(user->getOperand(0));
                                     return isa<CastOp, SubOp, MulOp, TransposeOp>(user) &&
                                            use.getOperandNumber() == 0 &&
                                            isDequantizedWeight(user->getResult(0), depth + 1);
                                   });
  }

  /// Bytes less zero points that differ, which products take as wider numbers.
  static bool variesInZero(Value value) {
    auto sub = value.getDefiningOp<SubOp>();
    return sub && isKnownConstant(sub.getY()) && !splatValue(sub.getY()) && widensBytes(sub.getX().getDefiningOp());
  }

  /// Whether a product reads the value, of floating-point numbers or of what it packs no bytes of, behind what computes
  /// its elements one by one.
  static bool areWeights(Value value, int depth = 0) {
    constexpr int farthest = 6; // cast, sub, mul, reshape, cast, transpose
    return depth < farthest && llvm::any_of(
                                   value.getUsers(),
                                   [&](Operation *user) {
                                     auto op = dyn_cast<KilnOpInterface>(user);
                                     if (!op || user->getNumResults() == 0)
                                       return false;
                                     if (op.getFusionRole() != FusionRole::Contraction)
                                       return (isPointwise(user) || isa<ReshapeOp, TransposeOp>(user)) &&
                                              areWeights(user->getResult(0), depth + 1);
                                     return isa<FloatType>(cast<RankedTensorType>(value.getType()).getElementType()) ||
                                            variesInZero(value);
                                   });
  }

  /// Element operations: what the op computes, and what it reads and writes.
  static int64_t workOf(Operation *op) {
    const Attributes attributes = toAttributes(op);
    std::vector<Dims> dims;
    for (Value operand : operandsOf(op))
      dims.push_back(operand ? getDims(operand) : Dims());
    const Dims result = getDims(op->getResult(0));
    OpSizes sizes{attributes, {}, result};
    SizeExpr work = SizeExpr::product(result) * int64_t(op->getNumResults());
    for (auto [operand, own] : llvm::zip(operandsOf(op), dims)) {
      sizes.operands.push_back(operand ? std::optional<std::span<const SizeExpr>>(own) : std::nullopt);
      if (operand)
        work = work + SizeExpr::product(own);
    }
    work = work + flopsOf(*findOp(mnemonicOf(op)), sizes);
    return work.asConstant().value_or(std::numeric_limits<int64_t>::max());
  }
};
} // namespace
} // namespace kiln
