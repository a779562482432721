// Layout: channels-last convolutions and pools.
//
//   %1 = kiln.conv %x, %w {layout = "nchw"}           %t = kiln.transpose %x {perm = [0, 2, 3, 1]}
//   %2 = kiln.relu %1                           =>    %1 = kiln.conv %t, %w {layout = "nhwc"}
//   %3 = kiln.conv %2, %v {layout = "nchw"}           %2 = kiln.relu %1
//                                                     %3 = kiln.conv %2, %v {layout = "nhwc"}  + transpose back
//
// One sweep in program order. An op that runs channels-last gets a twin that computes the permuted result from permuted
// operands; its original result is made from the twin (a transpose, or a reshape where only unit dims move) only if
// somebody still needs it at the end. So transposes never travel: ops that do not care about the order (elementwise,
// concat, reduce, pad ...) just get twins while their operands have them. Weights keep [O, I, window]: packing is the
// kernel's business.
//
// Runs at the end of `optimized`: after raising and folding, which match the exporter's layout, and before kernels are
// formed, because a transpose in between would part an anchor from its epilogue. Does nothing without an oracle or
// where no family prefers a layout.
#include "passes/graph/Passes.h"

#include "dialects/kiln/Build.h"
#include "dialects/kiln/Dialect.h"
#include "dialects/kiln/KernelOracle.h"
#include "dialects/kiln/Ops.h"
#include "passes/Rewrite.h"
#include "runtime/base/Recipe.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/STLExtras.h"

namespace kiln {

#define GEN_PASS_DEF_LAYOUT
#include "passes/graph/Passes.h.inc"

using llvm::ArrayRef;
using llvm::SmallVector;
using mlir::OpBuilder;
using mlir::Operation;
using mlir::Value;
using Perm = SmallVector<int64_t, 5>;

/// N, C, spatial... -> N, spatial..., C as a transpose permutation.
static Perm toLast(int64_t rank) {
  Perm perm{0};
  for (int64_t d = 2; d < rank; ++d)
    perm.push_back(d);
  perm.push_back(1);
  return perm;
}

static Perm toFirst(int64_t rank) {
  Perm perm{0, rank - 1};
  for (int64_t d = 1; d < rank - 1; ++d)
    perm.push_back(d);
  return perm;
}

/// Where dim `d` of the channels-first order is in the channels-last order.
static int64_t lastPosition(int64_t d, int64_t rank) { return d == 0 ? 0 : d == 1 ? rank - 1 : d - 1; }

static Dims permuted(ArrayRef<SizeExpr> dims, ArrayRef<int64_t> perm) {
  Dims out;
  for (int64_t d : perm)
    out.push_back(dims[d]);
  return out;
}

static mlir::Type elementType(Value value) {
  return llvm::cast<mlir::RankedTensorType>(value.getType()).getElementType();
}

/// Whether a transpose of these dims moves only unit dims, so that it is a reshape.
static bool isReshape(ArrayRef<SizeExpr> dims, ArrayRef<int64_t> perm) {
  int64_t last = -1;
  for (int64_t d : perm) {
    if (dims[d].isConstant(1))
      continue;
    if (d < last)
      return false;
    last = d;
  }
  return true;
}

static bool isUnit(ArrayRef<SizeExpr> dims) {
  return llvm::all_of(dims, [](const SizeExpr &dim) { return dim.isConstant(1); });
}

static ArrayRef<int64_t> intsAttr(Operation *op, llvm::StringRef name) {
  auto attribute = op->getAttrOfType<mlir::DenseI64ArrayAttr>(name);
  return attribute ? attribute.asArrayRef() : ArrayRef<int64_t>();
}

static void setInts(Operation *op, llvm::StringRef name, ArrayRef<int64_t> values) {
  op->setAttr(name, mlir::DenseI64ArrayAttr::get(op->getContext(), values));
}

static bool isTranspose(Operation *op, ArrayRef<int64_t> perm) {
  return llvm::isa_and_nonnull<TransposeOp>(op) && intsAttr(op, "perm") == perm;
}

namespace {

class LayoutRewriter {
public:
  LayoutRewriter(mlir::func::FuncOp function, KernelOracle &oracle)
      : function(function), oracle(oracle), builder(function.getContext()) {}

  void run();

private:
  void visit(Operation *op);
  void visitTranspose(Operation *op);
  void visitWindow(Operation *op);
  void visitReshape(Operation *op);
  void visitElementwise(Operation *op);
  void visitReduce(Operation *op);
  void visitAxis(Operation *op);
  void visitPad(Operation *op);
  void visitSlice(Operation *op);
  void visitResize(Operation *op);
  void finish();

  bool hasTwin(Value value) const { return twins.count(value); }
  /// `value` in channels-last order: its twin, a constant permuted at compile time, a free reshape, or a new transpose.
  Value last(Value value);
  /// The same for an operand that broadcasts against `rank` dims.
  Value lastBroadcast(Value value, int64_t rank);
  bool isFree(Value value, int64_t rank) const;
  /// Whether an op that reads `operands` (all of the result's rank or broadcast to it) should run channels-last.
  bool worthwhile(ArrayRef<Value> operands, int64_t rank) const;

  /// A copy of `op` on other operands whose result has its dims permuted; becomes the twin.
  Operation *makeTwin(Operation *op, ArrayRef<Value> operands);
  Value reshape(Value value, ArrayRef<SizeExpr> dims);
  void keepPlain(Operation *op, Value replacement);

  mlir::func::FuncOp function;
  KernelOracle &oracle;
  OpBuilder builder;
  llvm::DenseMap<Value, Value> twins;  // computed channels-last
  llvm::DenseMap<Value, Value> copies; // transposed because an op needed it
  SmallVector<Operation *> converted;  // originals whose result comes from a twin, in program order
};

} // namespace

/// `value` under other dims; constants are retyped, a reshape's operand is used directly.
Value LayoutRewriter::reshape(Value value, ArrayRef<SizeExpr> dims) {
  mlir::RankedTensorType type = makeTensorType(dims, elementType(value));
  if (isConstant(value)) {
    mlir::Attribute attribute = value.getDefiningOp()->getAttr("value");
    mlir::Attribute retyped;
    if (auto dense = llvm::dyn_cast<mlir::DenseElementsAttr>(attribute))
      retyped = dense.reshape(type);
    else if (auto weight = llvm::dyn_cast<WeightAttr>(attribute))
      retyped = WeightAttr::get(builder.getContext(), weight.getFile(), weight.getOffset(), type, weight.getDigest());
    if (retyped) {
      Operation *copy = builder.clone(*value.getDefiningOp());
      copy->setAttr("value", retyped);
      copy->getResult(0).setType(type);
      return copy->getResult(0);
    }
  }
  while (Operation *op = value.getDefiningOp()) {
    if (!isView(op))
      break;
    value = op->getOperand(0);
  }
  return buildReshape(builder, value.getLoc(), value, type);
}

Value LayoutRewriter::last(Value value) {
  if (auto it = twins.find(value); it != twins.end())
    return it->second;
  if (auto it = copies.find(value); it != copies.end())
    return it->second;
  Dims dims = getDims(value);
  Perm perm = toLast(dims.size());
  if (isReshape(dims, perm))
    return reshape(value, permuted(dims, perm));

  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointAfterValue(value);
  Value copy;
  if (isConstant(value)) {
    Tensor storage;
    SmallVector<int64_t> constantDims;
    Result<TensorView> view = viewConstant(value, storage, constantDims);
    if (view.ok()) {
      Recipe recipe;
      recipe.permute({perm.begin(), perm.end()});
      if (Result<Tensor> packed = applyRecipe(*view, recipe); packed.ok())
        copy = makeConstant(builder, value.getLoc(), *std::move(packed));
    }
  }
  if (!copy) {
    Attributes attributes;
    attributes.set("perm", std::vector<int64_t>(perm.begin(), perm.end()));
    copy = buildOp(builder, makeTensorType(permuted(dims, perm), elementType(value)), value.getLoc(), "transpose",
                   value, attributes);
  }
  return copies[value] = copy;
}

Value LayoutRewriter::lastBroadcast(Value value, int64_t rank) {
  Dims dims = getDims(value);
  if (isUnit(dims))
    return value;
  if (int64_t(dims.size()) == rank)
    return last(value);
  dims.insert(dims.begin(), rank - dims.size(), SizeExpr(1));
  Perm perm = toLast(rank);
  if (isReshape(dims, perm))
    return reshape(value, permuted(dims, perm));
  return last(reshape(value, dims));
}

/// Whether the channels-last form of an operand costs nothing at run time.
bool LayoutRewriter::isFree(Value value, int64_t rank) const {
  Dims dims = getDims(value);
  if (isConstant(value) || isUnit(dims) || copies.count(value))
    return true;
  dims.insert(dims.begin(), rank - dims.size(), SizeExpr(1));
  return isReshape(dims, toLast(rank));
}

bool LayoutRewriter::worthwhile(ArrayRef<Value> operands, int64_t rank) const {
  int with = 0, without = 0;
  for (Value operand : operands) {
    if (hasTwin(operand) && getRank(operand.getType()) == rank)
      ++with;
    else if (!isFree(operand, rank))
      ++without;
  }
  return with > 0 && without <= with;
}

Operation *LayoutRewriter::makeTwin(Operation *op, ArrayRef<Value> operands) {
  builder.setInsertionPoint(op);
  Operation *twin = builder.clone(*op);
  twin->setOperands(operands);
  Value result = twin->getResult(0);
  Dims dims = getDims(result);
  result.setType(makeTensorType(permuted(dims, toLast(dims.size())), elementType(result)));
  twins[op->getResult(0)] = result;
  converted.push_back(op);
  return twin;
}

/// The op's result has no channel order (any more): `replacement` is it.
void LayoutRewriter::keepPlain(Operation *op, Value replacement) {
  op->getResult(0).replaceAllUsesWith(replacement);
  converted.push_back(op);
}

void LayoutRewriter::visitTranspose(Operation *op) {
  Value x = op->getOperand(0);
  int64_t rank = getRank(x.getType());
  if (rank < 3)
    return;
  if (isTranspose(op, toLast(rank)) && hasTwin(x))
    keepPlain(op, twins[x]);
  else if (isTranspose(op, toFirst(rank)))
    twins[op->getResult(0)] = x;
}

void LayoutRewriter::visitWindow(Operation *op) {
  auto layout = op->getAttrOfType<mlir::StringAttr>("layout");
  if (layout && layout.getValue() == "nhwc")
    return;
  if (oracle.layoutPreference(op).value_or("") != "nhwc")
    return;
  builder.setInsertionPoint(op);
  SmallVector<Value> operands(op->getOperands());
  operands[0] = last(operands[0]);
  makeTwin(op, operands)->setAttr("layout", mlir::StringAttr::get(op->getContext(), "nhwc"));
}

/// A reshape that regroups spatial dims only: [N, C, H, W] -> [N, C, H*W].
void LayoutRewriter::visitReshape(Operation *op) {
  Value x = op->getOperand(0);
  if (op->getNumOperands() != 1 || !hasTwin(x))
    return;
  Dims from = getDims(x), to = getDims(op->getResult(0));
  if (from.size() < 3 || to.size() < 3 || !(from[0] == to[0]) || !(from[1] == to[1]) || from[0].isInvalid() ||
      from[1].isInvalid())
    return;
  makeTwin(op, twins[x]);
}

void LayoutRewriter::visitElementwise(Operation *op) {
  int64_t rank = getRank(op->getResult(0).getType());
  SmallVector<Value> operands(op->getOperands());
  bool perChannel = !isPointwise(op); // scale, bias ... have one dim
  if (rank < 3 || !worthwhile(perChannel ? ArrayRef(operands).take_front(1) : ArrayRef(operands), rank))
    return;
  builder.setInsertionPoint(op);
  if (!perChannel) {
    for (Value &operand : operands)
      operand = lastBroadcast(operand, rank);
    makeTwin(op, operands);
    return;
  }
  Attributes attributes = toAttributes(op);
  int64_t axis = attributes.getInt("channel_axis", 1);
  if (axis < 0 || axis >= rank)
    return;
  operands[0] = last(operands[0]);
  makeTwin(op, operands)->setAttr("channel_axis", builder.getI64IntegerAttr(lastPosition(axis, rank)));
}

void LayoutRewriter::visitReduce(Operation *op) {
  Value x = op->getOperand(0);
  int64_t rank = getRank(x.getType());
  if (rank < 3 || !hasTwin(x))
    return;
  Attributes attributes = toAttributes(op);
  std::vector<int64_t> axes = attributes.getInts("axes");
  SmallVector<bool> reduced(rank, false);
  for (int64_t &axis : axes) {
    if (axis < 0 || axis >= rank)
      return;
    reduced[axis] = true;
    axis = lastPosition(axis, rank);
  }
  llvm::sort(axes);
  builder.setInsertionPoint(op);
  if (attributes.getBool("keepdims", true)) {
    setInts(makeTwin(op, twins[x]), "axes", axes);
    return;
  }
  // Without keepdims the result has no channel order; it is the same only if the dims that stay are in the same order.
  int64_t previous = -1;
  for (int64_t d : toLast(rank)) {
    if (reduced[d])
      continue;
    if (d < previous)
      return;
    previous = d;
  }
  Operation *copy = builder.clone(*op);
  copy->setOperand(0, twins[x]);
  setInts(copy, "axes", axes);
  keepPlain(op, copy->getResult(0));
}

/// Ops that name one axis: concat, softmax, argmax ...
void LayoutRewriter::visitAxis(Operation *op) {
  Value result = op->getResult(0);
  int64_t rank = getRank(result.getType());
  Attributes attributes = toAttributes(op);
  int64_t axis = attributes.getInt("axis");
  if (axis < 0)
    axis += rank;
  SmallVector<Value> operands(op->getOperands());
  if (rank < 3 || axis < 0 || axis >= rank || getRank(operands[0].getType()) != rank || !worthwhile(operands, rank))
    return;
  builder.setInsertionPoint(op);
  for (Value &operand : operands)
    operand = last(operand);
  makeTwin(op, operands)->setAttr("axis", builder.getI64IntegerAttr(lastPosition(axis, rank)));
}

void LayoutRewriter::visitPad(Operation *op) {
  Value x = op->getOperand(0);
  int64_t rank = getRank(x.getType());
  ArrayRef<int64_t> pads = intsAttr(op, "pads");
  if (rank < 3 || op->getNumOperands() != 1 || !hasTwin(x) || int64_t(pads.size()) != 2 * rank)
    return;
  SmallVector<int64_t> moved;
  for (int64_t side = 0; side < 2; ++side)
    for (int64_t d : toLast(rank))
      moved.push_back(pads[side * rank + d]);
  setInts(makeTwin(op, twins[x]), "pads", moved);
}

void LayoutRewriter::visitSlice(Operation *op) {
  Value x = op->getOperand(0);
  int64_t rank = getRank(x.getType());
  if (rank < 3 || op->getNumOperands() != 1 || !hasTwin(x))
    return;
  SmallVector<int64_t> axes(intsAttr(op, "axes"));
  if (axes.empty())
    for (size_t i = 0; i < intsAttr(op, "starts").size(); ++i)
      axes.push_back(i);
  for (int64_t &axis : axes) {
    if (axis < 0)
      axis += rank;
    if (axis < 0 || axis >= rank)
      return;
    axis = lastPosition(axis, rank);
  }
  setInts(makeTwin(op, twins[x]), "axes", axes);
}

/// Unless it only makes a larger result of the function, or what is looked up in it: the transpose back is cheaper
/// before it, and rows along the image are long.
void LayoutRewriter::visitResize(Operation *op) {
  Value x = op->getOperand(0);
  int64_t rank = getRank(x.getType());
  if (rank < 3 || !hasTwin(x) ||
      llvm::all_of(
          op->getUsers(),
          [](Operation *user) {
            return user->hasTrait<mlir::OpTrait::IsTerminator>() || llvm::isa<ArgMaxOp, ArgMinOp>(user);
          }))
    return;
  SmallVector<int64_t> axes(intsAttr(op, "axes"));
  if (axes.empty())
    axes = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  for (int64_t &axis : axes)
    axis = lastPosition(axis < 0 ? axis + rank : axis, rank);
  SmallVector<Value> operands(op->getOperands());
  operands[0] = twins[x];
  setInts(makeTwin(op, operands), "axes", axes);
}

void LayoutRewriter::visit(Operation *op) {
  auto kilnOp = llvm::dyn_cast<KilnOpInterface>(op);
  if (!kilnOp || op->getNumResults() != 1 || op->getNumOperands() == 0)
    return;
  if (findOp(mnemonicOf(op))->findAttribute("layout"))
    return visitWindow(op);
  if (llvm::isa<TransposeOp>(op))
    return visitTranspose(op);
  if (llvm::isa<ReshapeOp>(op))
    return visitReshape(op);
  if (llvm::isa<ReduceOp>(op))
    return visitReduce(op);
  if (llvm::isa<ConcatOp, SoftmaxOp, LogSoftmaxOp>(op))
    return visitAxis(op);
  if (llvm::isa<ArgMaxOp, ArgMinOp>(op) && toAttributes(op).getBool("keepdims", true))
    return visitAxis(op);
  if (llvm::isa<PadOp>(op))
    return visitPad(op);
  if (llvm::isa<SliceOp>(op))
    return visitSlice(op);
  if (llvm::isa<ResizeOp>(op))
    return visitResize(op);
  if (kilnOp.getFusionRole() == FusionRole::Elementwise)
    return visitElementwise(op);
}

/// Results that are still needed in their own order are made from the twins; originals go.
void LayoutRewriter::finish() {
  for (Operation *op : llvm::reverse(converted)) {
    Value result = op->getResult(0);
    if (!result.use_empty()) {
      Value twin = twins.lookup(result);
      Dims dims = getDims(twin);
      Perm perm = toFirst(dims.size());
      builder.setInsertionPointAfterValue(twin);
      Value plain;
      if (isReshape(dims, perm)) {
        plain = reshape(twin, getDims(result));
      } else {
        Attributes attributes;
        attributes.set("perm", std::vector<int64_t>(perm.begin(), perm.end()));
        plain = buildOp(builder, result.getType(), op->getLoc(), "transpose", twin, attributes);
      }
      // Reshapes of a reshape look through it.
      for (mlir::OpOperand &use : llvm::make_early_inc_range(result.getUses())) {
        Operation *user = use.getOwner();
        if (isView(user) && plain != twin && isView(plain.getDefiningOp()))
          use.set(plain.getDefiningOp()->getOperand(0));
        else
          use.set(plain);
      }
      if (plain.use_empty() && plain.getDefiningOp() && plain != twin)
        plain.getDefiningOp()->erase();
    }
    op->erase();
  }
}

void LayoutRewriter::run() {
  for (mlir::Block &block : function.getBody()) {
    // Twins are inserted before their originals, so the list of originals is taken first.
    SmallVector<Operation *> ops;
    for (Operation &op : block)
      ops.push_back(&op);
    for (Operation *op : ops) {
      if (!hasFuel(op->getContext()))
        break;
      size_t before = converted.size();
      visit(op);
      if (converted.size() != before)
        takeFuel(op, "Layout");
    }
  }
  finish();
  // Transposes and constants that lost their last user, whoever took it.
  for (mlir::Block &block : function.getBody())
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
      if (mlir::isOpTriviallyDead(&op))
        op.erase();
}

namespace {
struct Layout : impl::LayoutBase<Layout> {
  void runOnOperation() override {
    auto *dialect = getContext().getLoadedDialect<KilnDialect>();
    if (!dialect || !dialect->oracle || getOperation().isExternal())
      return;
    LayoutRewriter(getOperation(), *dialect->oracle).run();
  }
};
} // namespace

} // namespace kiln
